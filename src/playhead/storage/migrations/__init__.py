"""The migrations. HEAD is here so that an up-to-date database is recognised without importing Alembic."""

HEAD = "0016"
"""The revision that this version of Playhead works with: the newest in `versions/`."""
