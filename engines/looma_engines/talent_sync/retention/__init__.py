"""Partitions of the history of records: one a month, made ahead of time and dropped whole when they are old.

    plan         which months to make and which partitions to drop; pure
    statements   both as SQL; pure
    upkeep       does it, as the owner of the tables

`looma-migrate` runs `upkeep` by way of `migrations.upkeep`. Nothing waits for it: a row of a month that has no
partition goes to the default one, and the next run moves it.
"""
