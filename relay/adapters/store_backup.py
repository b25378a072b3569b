"""Back-ups: one SQLite file with everything of one moment, whichever database it comes from, and back into either.

So a back-up of a server can be looked at on a laptop, and a community that has outgrown its file moves to a server by
a back-up and a restore.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Connection, Table, delete, func, insert, select, text, update

from doorbell.errors import SetupError
from relay.adapters import store_schema as schema
from relay.adapters.store_sqlite import BUSY_S, touch_private

ROWS_AT_ONCE = 1_000
_SIDE_FILES = ("-wal", "-shm", "-journal")
_MAGIC = b"SQLite format 3\x00"
"""What every SQLite file begins with (its file format, section 1.2)."""
_RUNNING = "last_batch%"
"""Keys of ``meta`` that belong to the relay that was running, not to what it knew."""


def part_of(path: Path) -> Path:
    """Where a file is written before it is whole."""
    return path.with_name(f"{path.name}.part")


def discard(path: Path) -> None:
    """Remove an SQLite file and all that SQLite puts beside it."""
    for one in (path, *(path.with_name(f"{path.name}{end}") for end in (*_SIDE_FILES, ".lock"))):
        one.unlink(missing_ok=True)


def claim(path: Path) -> None:
    """Make an empty file that its owner alone can read: it will hold names and addresses. Raises ``OSError``."""
    discard(path)
    touch_private(path)


def settle(part: Path, path: Path) -> None:
    """Put a finished file in its place, durably: there is never a half one. Raises ``OSError``."""
    with closing(sqlite3.connect(part, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # one file, which can be read where nothing can be written
    _flush(part)
    part.replace(path)
    discard(part)
    _flush(path.parent)


def _flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def copy_rows(
    source: Connection, target: Connection, progress: Callable[[str, int], None] = lambda _table, _rows: None
) -> dict[str, int]:
    """Copy every table of ours into empty ones of the same release; returns how many rows each had."""
    counts: dict[str, int] = {}
    for table in schema.metadata.sorted_tables:
        counts[table.name] = 0
        rows = source.execution_options(yield_per=ROWS_AT_ONCE).execute(select(table)).mappings()
        for some in rows.partitions():
            target.execute(table.insert(), [dict(row) for row in some])
            counts[table.name] += len(some)
            progress(table.name, counts[table.name])
    if target.dialect.name == "postgresql":
        for table in schema.metadata.sorted_tables:
            _continue_numbers(target, table)
    return counts


def _continue_numbers(target: Connection, table: Table) -> None:
    """PostgreSQL numbers rows by a counter of its own, which knows nothing of the rows that came with their numbers."""
    for column in table.primary_key.columns:
        counter = target.execute(
            text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": f'"{table.name}"', "column": column.name}
        ).scalar()
        if counter is not None:
            highest = target.execute(select(func.max(column))).scalar()
            if highest is not None:
                target.execute(text("SELECT setval(:counter, :highest)"), {"counter": counter, "highest": highest})


def forget_running(connection: Connection) -> None:
    """In a copy: what belonged to the relays that ran then. Those that run next begin without it."""
    connection.execute(delete(schema.meta).where(schema.meta.c.key.like(_RUNNING)))
    connection.execute(delete(schema.member))
    connection.execute(update(schema.lease).values(holder=None, fence=schema.lease.c.fence + 1))


def read_fences(connection: Connection) -> dict[str, int]:
    """The fencing numbers that have been given out, by community."""
    return {row.community: row.fence for row in connection.execute(select(schema.lease))}


def raise_fences(connection: Connection, given: Mapping[str, int]) -> None:
    """Let no number that was given out hold: a relay that was stopped before the restore may still believe in it."""
    present = read_fences(connection)
    lease = schema.lease
    for community, fence in given.items():
        if community not in present:
            connection.execute(insert(lease).values(community=community, fence=fence + 1))
        elif present[community] <= fence:
            connection.execute(update(lease).where(lease.c.community == community).values(fence=fence + 1))


def empty_tables(connection: Connection) -> None:
    """Delete everything from a PostgreSQL database, in the transaction that is open."""
    names = ", ".join(f'"{table.name}"' for table in schema.metadata.sorted_tables)
    for switch in ("DISABLE", "ENABLE"):
        for table in ("journal", "audit"):
            connection.execute(text(f"ALTER TABLE {table} {switch} TRIGGER USER"))
        if switch == "DISABLE":
            connection.execute(text(f"TRUNCATE {names}"))


def is_empty(connection: Connection) -> bool:
    """Whether nothing would be lost: no register, and nothing has happened."""
    tables = (schema.community, schema.event, schema.journal, schema.alarm, schema.rejected)
    return all(connection.execute(select(table).limit(1)).first() is None for table in tables)


def read_copy(backup: Path, copy: Path) -> None:
    """Copy a back-up, so that it stays as it is while the copy is brought to this release. ``SetupError``: no back-up.

    SQLite copies it: whoever has taken a database's file and its write-ahead log by hand gets both.
    """
    try:
        with (
            closing(sqlite3.connect(f"file:{_quoted(backup)}?mode=ro", uri=True, timeout=BUSY_S)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            made = target.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    except sqlite3.Error as error:
        raise SetupError(f"{backup}: not a back-up of a relay, or a damaged one: {error}") from None
    if made is None:
        raise SetupError(f"{backup}: an SQLite file, but not of a relay")


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def put_in_place(copy: Path, path: Path, kept: Path) -> bool:
    """Put a database's file in the place of another that nobody uses, which is ``kept``; False if there was none.

    At every moment either the old or the new one is there, whole: a relay that is started after a power cut must not
    find nothing, and make an empty one. Raises ``OSError``.
    """
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _flush(copy)
    existed = path.exists()
    if existed:
        _take_in_log(path)
        for end in _SIDE_FILES:
            side = path.with_name(f"{path.name}{end}")
            if side.exists():
                side.replace(kept.with_name(f"{kept.name}{end}"))
        os.link(path, kept)
        _like(copy, path)
    copy.replace(path)
    _flush(path.parent)
    return existed


def _take_in_log(path: Path) -> None:
    """Put the write-ahead log into its file; a damaged file keeps its log, for whoever can make something of both."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return  # SQLite would take it for no database yet, and delete the log
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _like(copy: Path, path: Path) -> None:
    """The owner and mode of the file before: a technician who restores as root must not lock the relay out."""
    before = path.stat()
    copy.chmod(before.st_mode & 0o777)
    with suppress(PermissionError):
        os.chown(copy, before.st_uid, before.st_gid)
