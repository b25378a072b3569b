"""The outbox's disk: one small SQLite file, safe against kill and power cut at any instant.

WAL with ``synchronous=FULL``: a commit is one fsync of the log. An idle device writes nothing at all. A file that is
corrupt is read as far as it goes, set aside and replaced; at most ``MAX_SET_ASIDE`` such files are kept.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from device.core.effects import OutboxRow
from device.ports import StoredOutbox, StoreError
from doorbell.wire import ClockState, EventType

MAX_SET_ASIDE = 3
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, at TEXT NOT NULL, clock TEXT NOT NULL,
    boot TEXT NOT NULL, born_ms INTEGER NOT NULL, alarm TEXT, detail TEXT
) STRICT;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('next_seq', 0);
"""
_SELECT = "SELECT seq, id, type, at, clock, boot, born_ms, alarm, detail FROM event ORDER BY seq"


class SqliteOutbox:
    """The ``OutboxStore`` of a real device, in the file ``path``; its directory must exist. One thread only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None

    def load(self) -> StoredOutbox:
        """Every row, and the number to go on with; a corrupt file is set aside, which ``trouble`` says.

        Raises ``StoreError`` where the disk refuses; the next call tries again.
        """
        try:
            connection = self._connection()
            if (verdict := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                return self._start_anew(f"quick_check: {verdict}")
            rows = tuple(_row(fields) for fields in connection.execute(_SELECT))
            (next_seq,) = connection.execute("SELECT value FROM counter WHERE name = 'next_seq'").fetchone()
        except (ValueError, TypeError) as error:  # a row that no program of ours has written
            return self._start_anew(f"{type(error).__name__}: {error}")
        except sqlite3.Error as error:
            # A table that is missing in a readable file is "SQL logic error": as corrupt as a torn page.
            if _code(error) in (*_CORRUPT, sqlite3.SQLITE_ERROR):
                return self._start_anew(str(error))
            raise self._failed(error) from error
        return StoredOutbox(rows, next_seq)

    def commit(self, keep: Sequence[OutboxRow], forget: Sequence[str]) -> None:
        """One transaction, on the disk when it returns. Raises ``StoreError`` with nothing done."""
        try:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                # The same event again is no error; another event under a number that is taken is, and must be told.
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                [_fields(row) for row in keep],
            )
            if keep:
                above = max(row.seq for row in keep) + 1
                connection.execute("UPDATE counter SET value = max(value, ?) WHERE name = 'next_seq'", (above,))
            connection.executemany("DELETE FROM event WHERE id = ?", [(one,) for one in forget])
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Fold the log into the file and close it."""
        if self._open is not None:
            connection, self._open = self._open, None
            with suppress(sqlite3.Error):  # what is committed is on disk in the log; folding it in can wait
                connection.close()

    def _connection(self) -> sqlite3.Connection:
        """The open connection; opened anew after every failure, so that a remounted disk is found."""
        if self._open is None:
            connection = sqlite3.connect(self._path, timeout=1.0, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                if connection.execute("PRAGMA user_version").fetchone() == (0,):
                    connection.executescript(
                        f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
                    )
            except sqlite3.Error:
                connection.close()
                raise
            self._open = connection
        return self._open

    def _failed(self, error: sqlite3.Error) -> StoreError:
        self.close()
        return StoreError(f"{self._path.name}: {error}")

    def _start_anew(self, reason: str) -> StoredOutbox:
        """Set the corrupt file aside, begin a new one with whatever could still be read."""
        rows, next_seq = self._salvage()
        self.close()
        aside = self._aside()
        try:
            for suffix in ("", "-wal", "-shm"):
                file = self._path.with_name(self._path.name + suffix)
                if file.exists():
                    file.replace(aside.with_name(aside.name + suffix))
            self._connection()
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise StoreError(f"{self._path.name}: corrupt, and cannot be set aside: {error}") from error
        self.commit(rows, ())
        told = f"{self._path.name} was corrupt ({reason}); set aside as {aside.name}, {len(rows)} events saved"
        return StoredOutbox(tuple(rows), next_seq, told)

    def _salvage(self) -> tuple[list[OutboxRow], int]:
        """Rows up to the first that cannot be read."""
        rows: list[OutboxRow] = []
        with suppress(sqlite3.Error, ValueError, TypeError):
            for fields in self._connection().execute(_SELECT):
                rows.append(_row(fields))  # noqa: PERF401 - what came before the damage must survive it
        return rows, max((row.seq + 1 for row in rows), default=0)

    def _aside(self) -> Path:
        """The first free name of ``.corrupt-1`` to ``-3``; the last is overwritten once all are taken."""
        names = [self._path.with_name(f"{self._path.name}.corrupt-{n}") for n in range(1, MAX_SET_ASIDE + 1)]
        return next((name for name in names if not name.exists()), names[-1])


def _code(error: sqlite3.Error) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF  # the primary code of an extended one


def _fields(row: OutboxRow) -> tuple[object, ...]:
    detail = None if row.detail is None else json.dumps(dict(row.detail), ensure_ascii=False)
    at = row.at.isoformat()
    return row.seq, row.id, row.type.value, at, row.clock.value, row.boot, row.born_ms, row.alarm, detail


def _row(fields: tuple[int, str, str, str, str, str, int, str | None, str | None]) -> OutboxRow:
    seq, event_id, kind, at, clock, boot, born_ms, alarm, detail = fields
    return OutboxRow(
        seq=seq,
        id=event_id,
        type=EventType(kind),
        at=datetime.fromisoformat(at),
        clock=ClockState(clock),
        boot=boot,
        born_ms=born_ms,
        alarm=alarm,
        detail=None if detail is None else json.loads(detail),
    )
