"""The Looma console: the one address that people and API clients see.

| where            | what                                                                     |
| ---------------- | ------------------------------------------------------------------------ |
| `main`           | runs gunicorn; nothing imports it                                        |
| `app`            | the factory: puts the parts below together                               |
| `config`         | what the environment says, once, as one frozen object                    |
| `web/`           | what every view shares: permissions, sessions, headers, language, htmx   |
| `db/`            | the schema `console`: users, sessions, audit, login failures             |
| `cluster/`       | the Kubernetes API: a watch that reads, an impersonating client that acts |
| `engines`        | the engines' HTTP API, called with a token for the person who is asking  |
| one per view     | `routes` parse and render, `operations` do and audit, `messages` say     |

A route never touches a database, an engine or the cluster itself; an operation never sees a request.
"""
