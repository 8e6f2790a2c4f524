"""The history of a person, a job or a company: who changed what, and when; and how a deleted one comes back.

told        entries as lines that a page shows; pure
operations  restores, with an entry of the audit
routes      parse, ask the engine, render
"""
