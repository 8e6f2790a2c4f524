"""The Kubernetes API: reading what a plan needs, and carrying a plan out.

`client` is the only module that talks HTTP; `read` turns answers into `plan.observed` values; `write` carries out
actions, each behind the fence that a leader that slept does not pass. Nothing here decides.
"""
