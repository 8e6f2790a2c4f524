"""What records of different kinds have to do with each other. `records.ties` says when each is asked.

lookups      reads relations beside one, and locks; no decision
relations    what keeps a relation from being stored beside others
deletions    what becomes of relations and jobs when what they refer to is deleted
"""
