"""Whether a record is right, and how good it is. Pure: no clock, no database.

    rule                what a rule is, and what it finds
    periods             months, and how two times lie to each other
    contact             addresses and telephone numbers
    identity_numbers    numbers of Chinese identity cards, which are masked
    talent_texts, talent_times, talent_fields     the rules of talents
    talents             all of them, in one table
    companies, jobs, relations     the rules of each, in one table
    chains              whether one relation more closes a circle
    assessing           what all rules say of one talent, and its score

A rule is written once: the check of a request, the score, `GET /api/v1/talents/rules` and docs/records.md are all of
the same table.
"""
