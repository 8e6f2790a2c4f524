"""Pages about applications: a job's board with its funnel, one application with its history, those of a person, stages.

routes, stage_routes          parse, ask the operations, render
operations, stage_operations  ask the engine, change with an audit entry
boards                        columns and cards of a board, and what a form means; pure
messages                      what the pages say
"""
