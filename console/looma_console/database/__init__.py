"""How the database does, for administrators: statements, tables, hit rates."""
