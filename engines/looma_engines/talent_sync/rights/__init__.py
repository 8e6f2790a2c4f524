"""What people may ask for about their own data.

ledger      digests of what was erased, and the ledger as a file; pure
traces      values that tell of a person, and whether a text holds one; pure
opening     what is stored of a person as a plain value; pure
searching   the search of all tables for such values
erasing     erases a record in the caller's transaction, and writes the ledger and the proof
applying    the ledger as a file: read from a database, and carried out on a restored one
audit       the log of what was done with people's data
consenting  what a consent may be, and what consents come to; pure
service     erasures and consents over HTTP; `routes` are their endpoints
person      all that is held of one person
files       files that are kept of one person, by name and size
forms       the same as JSON, as a page, or as a ZIP file; pure
main        `looma-engine records-erase`
"""
