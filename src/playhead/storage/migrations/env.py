"""Run by Alembic for every command: migrates over the connection that `upgrade.py` hands in, in its transaction."""

from alembic import context

from playhead.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
