"""Demonstration data of our own making, so that no page is empty on the first day.

Map: `people_en` and `people_zh` are the people, all made up; `documents` turns each into a résumé file; `client`
speaks to the API; `main` is the command `looma-demo load | remove`. The people go the same road as anybody's
résumé: through `POST /api/v1/resumes`, marked with `source=demo`.
"""
