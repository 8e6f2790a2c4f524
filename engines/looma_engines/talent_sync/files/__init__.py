"""Résumé files of people: kept sealed, in parts, each with its versions; read again by whoever may.

    kinds        what a file is, told by its bytes; pure
    naming       what a file is called: when it comes, and when it is saved; pure
    packing      a file in parts, compressed; pure
    ranges       which bytes of a file somebody asks for; pure
    rows         the two tables
    repository   reads and writes them, sealed
    service      store, list, read, link, delete; one transaction each
    moving       what becomes of files when two people are merged, and when that is undone
    expiring     what was deleted long ago goes for good
    routes       `/api/v1/resume-files` and `/api/v1/talents/{id}/resume-files`

What is in a file the engine `resume` finds out; here nothing is unpacked and nothing is parsed.
"""
