"""SQL: the schema, and one file of queries for each subject, as functions that take a connection.

`engine/` knows which database runs, `upkeep/` looks after whole databases, `migrations/` changes the schema.
"""
