"""Telling people: messages out of the objects' status, to addresses that the operator's settings name.

`files` reads the settings and the Secrets, `formats` makes requests of messages and judges their answers, `sending`
speaks HTTP, `delivering` keeps the order and tries again, and `telling` stands between all of it and the looks.
"""
