"""Runs the migrations on the connection that ``SqlStore.upgrade`` opened: all of them in its one transaction."""

from __future__ import annotations

from alembic import context

from relay.adapters.store_schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
