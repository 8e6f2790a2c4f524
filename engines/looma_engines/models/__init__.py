"""Models of a pod: `looma-model-fetch`, its init container, fetches each by digest before the engine starts.

| module   | what it does                                              |
| -------- | --------------------------------------------------------- |
| fetch    | one artifact into one file: whole and verified, or nothing |
| registry | the registry's HTTP API, as far as reading needs it       |
| main     | the command: reads LOOMA_MODELS, says why it failed       |
"""
