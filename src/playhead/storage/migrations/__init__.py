"""The schema's history. HEAD is apart from Alembic, which a start without anything to migrate need not load."""

HEAD = "0012"
"""The revision that this version of Playhead works with: the newest in `versions/`."""
