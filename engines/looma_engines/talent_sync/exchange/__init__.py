"""Records in bulk, as files: CSV for people with a spreadsheet, JSON Lines for programs.

cells        what a cell of a CSV file may hold
columns      the flat form of each kind of record
reading      rows of a file, one after another, faults among them
candidates   what a row asks for
importing    rows become records
exporting    records become a file, while it is sent
routes       requests and answers, also of several changes at once (`records.batch`)
"""
