"""Bringing a database's schema to this release's, by Alembic. Imported only when there is something to do."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from doorbell.errors import SetupError
from relay.adapters.sealing import Seal


def migrations() -> Config:
    """Where the migrations are, for Alembic."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def check_known(revision: str | None) -> None:
    """Raise ``SetupError`` for the revision of a newer release: an older one must not write into it."""
    scripts = ScriptDirectory.from_config(migrations())
    if revision is not None and revision not in {script.revision for script in scripts.walk_revisions()}:
        raise SetupError(
            f"the database is of a newer release (schema {revision}, while this one knows "
            f"up to {scripts.get_current_head()}): install that release again, or restore the back-up from before it"
        )


def migrate(connection: Connection, seal: Seal) -> None:
    """Run every migration that the database has not had, in the transaction that is open.

    ``seal``: prepared, if there is anything in the database; what an earlier release left open is sealed with it.
    """
    config = migrations()
    config.attributes["connection"] = connection
    config.attributes["seal"] = seal
    command.upgrade(config, "head")
