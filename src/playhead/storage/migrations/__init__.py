"""The migrations. HEAD is separate from Alembic, which need not be loaded if there is nothing to migrate."""

HEAD = "0013"
"""The revision that this version of Playhead works with: the newest in `versions/`."""
