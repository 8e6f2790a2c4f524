"""Sources that are asked over HTTP.

| module    | what it holds                                                                          |
| --------- | -------------------------------------------------------------------------------------- |
| judging   | what an answer means, and how long to wait before the question is asked again. Pure      |
| connecting | what a source is asked with, by what its Secret has                                    |
| asking    | asks: with patience, at a pace, with a token; counts what it did                        |
| tokens    | the token of a question: one that was given, or one that a client gets and renews        |
| s3        | signs the address of an object                                                          |
| fetching  | brings a file here, whole and checked, or not at all                                    |
| paging    | a list page by page: where it goes on, and that it ends                                  |
"""
