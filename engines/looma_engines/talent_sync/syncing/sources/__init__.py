"""Where records come from.

| module        | what it holds                                                                |
| ------------- | ---------------------------------------------------------------------------- |
| record_source | what a source is, and how it says that it is away                            |
| mapping       | which field of a record is taken from where in the source. Pure              |
| making        | a record of what a source has: its key, its time, its fields. Pure           |
| credentials   | the keys of the source's Secret                                              |
| patience      | reads a source that may be away for a while                                  |
| opening       | the source that a SyncJob names: each kind has its line there                |
| files         | CSV and JSONL                                                                |
| remote_files  | the same by HTTP, and from S3                                                |
| zervigo       | the platform Zervigo, page by page                                           |
| remote        | what the last two ask with                                                   |
"""
