"""Alembic revisions, one a file."""
