"""Contact data at rest: who reads the database alone reads no address and no number of a person.

    ring        the keys: which seal, which open, which make hashes; read from a file
    sealing     one value sealed, opened or hashed, given the keys; pure
    fields      which fields of which rows, and what each is bound to; pure
    sessions    what seals, by way of a session of the database
    stored      where sealed values are, and what becomes of each row; pure
    resealing   walks through what is stored: plain to sealed, an old key to the new one, or back to plain
    main        `looma-engine records-reseal`

The repositories seal what they write and open what they read; whatever is above them has plain values.
"""
