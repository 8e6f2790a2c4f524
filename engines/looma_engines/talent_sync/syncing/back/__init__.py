"""Writing back to a source what was changed here.

| module   | what it holds                                                                   |
| -------- | ------------------------------------------------------------------------------- |
| offering | which fields of a record are written. Pure                                      |
| putting  | where a field stands in what the source has. Pure                               |
| writable | what a source is that can be written to                                         |
| opening  | the source that a SyncJob names, as one that is written to                      |
| intents  | what is meant to be written of one record                                       |
| outbox   | what is meant to be written, and what became of it: rows, inside a transaction  |
| creations | records of here that the source is to have                                     |
| refusals | what the source refused, in the quarantine                                      |
| stage    | carries it out, a few records at a time                                         |

The rest is a module for each kind of source.
"""
