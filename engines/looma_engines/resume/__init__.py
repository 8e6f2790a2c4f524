"""The résumé engine: a file or a text becomes a person with jobs, schools and skills.

Map, in the order in which a request meets it:

- ``routes`` parses HTTP and renders answers; ``service`` does the work; ``repository`` keeps records.
- ``worker`` runs everything that touches an uploaded file in a process of its own, with limits.
- ``documents`` turns bytes into a ``Document`` (text, lines with boxes, pages).
- ``parsing`` turns a ``Document`` into a ``ParsedResume`` by a spaCy pipeline of rules.
"""
