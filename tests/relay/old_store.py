"""Databases of earlier releases: what is in one, as JSON, and one made of it again.

At a release, keep one of it: ``python -m tests.relay.old_store relay.sqlite3 > tests/golden/store/0001.json``. Fill it
with the release's own code; there must be something in every table.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import Connection, MetaData, Table, text

from relay.adapters.store_migrate import migrations

GOLDEN = Path(__file__).parents[1] / "golden" / "store"
_ORDER = ("community", "person", "household", "policy", "hook", "group")
"""What others refer to, first."""


def dump(path: Path) -> dict[str, Any]:
    """An SQLite database's revision and rows."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        tables = [name for (name,) in connection.execute(names) if name != "alembic_version"]
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        rows = {
            name: [_plain(row) for row in connection.execute(f'SELECT * FROM "{name}"')]  # noqa: S608 - names of ours
            for name in tables
        }
    return {"revision": revision, "rows": rows}


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    return {key: {"hex": row[key].hex()} if isinstance(row[key], bytes) else row[key] for key in row.keys()}  # noqa: SIM118 - a row's keys


def migrate_to(connection: Connection, revision: str) -> None:
    """Bring an empty database to a revision, as the release that had it did."""
    config = migrations()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def rebuild(connection: Connection, golden: dict[str, Any]) -> None:
    """The database of an earlier release in an empty one."""
    migrate_to(connection, golden["revision"])
    found = MetaData()
    names = [name for name in _ORDER if name in golden["rows"]]
    names += [name for name in golden["rows"] if name not in _ORDER]
    for name in names:
        table = Table(name, found, autoload_with=connection)
        for row in golden["rows"][name]:
            values = {key: bytes.fromhex(v["hex"]) if isinstance(v, dict) else v for key, v in row.items()}
            connection.execute(table.insert().values(values))
    if connection.dialect.name == "postgresql":
        for name, column in (("journal", "seq"), ("rejected", "id"), ("command", "id")):
            counter = f"pg_get_serial_sequence('{name}', '{column}')"
            connection.execute(text(f"SELECT setval({counter}, (SELECT max({column}) FROM {name}))"))  # noqa: S608 - names of ours


def read_golden(name: str) -> dict[str, Any]:
    """One that was kept."""
    golden: dict[str, Any] = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    return golden


if __name__ == "__main__":
    json.dump(dump(Path(sys.argv[1])), sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")
