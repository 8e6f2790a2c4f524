"""Pages about applications: a job's board with its funnel, one application with its history, those of a person.

routes      parses, asks the operations, renders
operations  asks the engine, changes with an audit entry
boards      columns and cards of a board, and what a form means; pure
messages    what the pages say
"""
