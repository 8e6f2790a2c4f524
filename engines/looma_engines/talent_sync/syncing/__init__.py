"""The worker of SyncJobs that brings records in, and what people do with what it could not take.

| module        | what it holds                                                        |
| ------------- | -------------------------------------------------------------------- |
| target        | what a SyncJob says about where its records go, and which rules hold |
| source_row    | one record as the source has it                                      |
| three_way     | what becomes of a field that both sides changed. Pure                |
| judging       | what the rules say of a record. Pure                                 |
| deciding      | what becomes of a record. Pure                                       |
| sources       | where records come from                                              |
| spans         | which part of a source a run reads. Pure                             |
| reading_ahead | makes the next batch while the last one is written                   |
| repository    | one batch, one transaction, under the fence                          |
| worker, main  | puts them into the frame of sync workers                             |
"""
