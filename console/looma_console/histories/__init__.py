"""The history of a person, a job or a company: who changed what, and when.

told     entries as lines that a page shows; pure
routes   parse, ask the engine, render
"""
