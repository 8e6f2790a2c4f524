"""The résumé files that are kept of a person: a section of the person's page.

calls        talent-sync's files and the résumé engine's reading, as this room asks for them
operations   uploading, reading, handing back and deleting, each with its audit entry
messages     how problems read to a recruiter
routes       parse, ask the operations, render
"""
