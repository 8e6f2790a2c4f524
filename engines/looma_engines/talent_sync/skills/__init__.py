"""The taxonomy of skills: one a tenant, its names, and who has a skill by whatever name.

    drafts        what of a draft is stored, and the key that a name gives; pure
    entity        how skills are listed; all else of a record is `records`
    models        tables: skills, and what the database itself derives of them
    ties          what is around a skill: parents that are missing, circles, keys that were given before
    lookups       the skills around one, and what a text may mean
    having        which people and jobs have a skill: the condition `skill` of their lists
    routes        `/api/v1/skills`
    files         rows of a taxonomy: our own CSV and JSON Lines, and the columns that ESCO publishes; pure
    planning      what becomes of each row; pure
    importing     does it, in one transaction
    command       `looma-engine skills-import`

What a person or a job has is kept as it was typed. Beside it the database keeps a mark for each text, made of its
normalised form alone (`skill_key`); a skill is looked for by the marks of all its names and of all names below it. So a
name that is added, or a skill that is moved, holds at once for everybody, and nothing is resolved anew.
"""
