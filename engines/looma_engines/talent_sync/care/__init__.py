"""How the database does, read from what it counts of itself.

`repository` asks the database, `routes` parses and renders, `watching` keeps the metrics.

The application's role reads it: its own statements' texts it may see without another grant, those of other roles the
database hides from it.
"""
