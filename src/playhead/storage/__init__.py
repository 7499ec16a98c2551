"""SQL: the schema, and one file of queries per subject, as functions that take a connection.

`engine/` knows which database runs, `upkeep/` works on whole databases, `migrations/` changes the schema.
"""
