"""What can be done with every kind of record: create, read, list, change, delete.

    entity       what tells one kind from another
    merging      JSON merge patches
    ties         what one has to do with others, for the kinds that say so
    rows         columns that every kind has
    repository   rows, inside a session that knows its tenant
    history      what was done to one of them; `history_rows` is how the database keeps it
    service      one transaction each
    batch        several changes in one transaction
    sparse       some fields of a record alone
    routes       requests and answers

`talents`, `jobs`, `companies` and `relations` beside this package say what each kind is.
"""
