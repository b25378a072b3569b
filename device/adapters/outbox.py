"""The outbox's disk: one small SQLite file, safe against kill and power cut at any instant.

WAL with ``synchronous=FULL``: a commit is one fsync of the log. An idle device writes nothing at all. A file that is
corrupt is read as far as it goes, set aside and replaced; at most ``MAX_SET_ASIDE`` such files are kept. A file that is
deleted under us is made again with what it held.

``locking_mode=EXCLUSIVE``: SQLite then keeps the log's index in its own memory. Otherwise it is a mapped file, and on
a full disk with small blocks (ext4 below 512 MB has 1 KiB) the first touch of it kills the process by SIGBUS. Nobody
else can open the file while it is ours: ``read_copy`` reads beside its owner, and where nothing can be written.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from device.core.effects import OutboxRow
from device.ports import StoredOutbox, StoreError
from doorbell.folders import sync_folder
from doorbell.wire import ClockState, Event, EventType

MAX_SET_ASIDE = 3
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA_VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
        self._file: tuple[int, int] | None = None
        """Device and inode of the file that is open."""
        self._rescued: Sequence[OutboxRow] = ()
        """What a file held that was deleted under us: goes into the next one first."""

    def load(self) -> StoredOutbox:
        """Every row, and the number to go on with; a corrupt file is set aside, which ``trouble`` says. From a disk
        that cannot be written what lies on it is read; the first commit will tell of it.

        Raises ``StoreError`` where the disk refuses; the next call tries again.
        """
        try:
            connection = self._connection()
            if (verdict := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                return self._start_anew(f"quick_check: {verdict}")
            return _read_all(connection)
        except (ValueError, TypeError) as error:  # a row that no program of ours has written
            return self._start_anew(f"{type(error).__name__}: {error}")
        except StoreError:
            raise
        except OSError as error:  # the new file that a power cut has left beside the corrupt one cannot take its place
            with suppress(StoreError):
                return read_copy(self._beside(".new"))
            raise self._failed(error) from error
        except sqlite3.Error as error:
            # A table that is missing in a readable file is "SQL logic error": as corrupt as a torn page.
            if _code(error) in (*_CORRUPT, sqlite3.SQLITE_ERROR):
                return self._start_anew(str(error))
            self.close()
            with suppress(StoreError):
                return read_copy(self._path)
            raise self._failed(error) from error

    def commit(self, keep: Sequence[OutboxRow], forget: Sequence[str]) -> None:
        """One transaction, on the disk when it returns. Raises ``StoreError`` with nothing done."""
        self._notice_deletion()
        keep = (*self._rescued, *keep)
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
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error
        self._rescued = ()

    def reserve(self, seq: int) -> None:
        """``load`` never again gives a ``next_seq`` below this."""
        try:
            connection = self._connection()
            connection.execute("UPDATE counter SET value = max(value, ?) WHERE name = 'next_seq'", (seq,))
        except (sqlite3.Error, OSError) as error:
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
            if self._beside(".new").exists():  # the power went while the corrupt one was being replaced
                self._put_in_place()
            connection = sqlite3.connect(self._path, timeout=1.0, isolation_level=None)
            try:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                if connection.execute("PRAGMA user_version").fetchone() == (0,):
                    connection.executescript(
                        f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
                    )
            except sqlite3.Error:
                connection.close()
                raise
            self._open, self._file = connection, _inode(self._path)
        return self._open

    def _notice_deletion(self) -> None:
        """SQLite goes on writing into a file that has no name any more. Raises ``StoreError`` once, so that it is told;
        the next commit makes a new file."""
        if self._open is None or _inode(self._path) == self._file:
            return
        self._rescued, _ = self._salvage()
        self.close()
        raise StoreError(f"{self._path.name}: deleted by somebody else, {len(self._rescued)} events are written again")

    def _failed(self, error: sqlite3.Error | OSError) -> StoreError:
        self.close()
        return StoreError(f"{self._path.name}: {error}")

    def _start_anew(self, reason: str) -> StoredOutbox:
        """Set the corrupt file aside, begin a new one with whatever could still be read."""
        rows, next_seq = self._salvage()
        self.close()
        aside, part = self._aside(), self._beside(".part")
        try:
            for suffix in ("", "-wal"):
                part.with_name(part.name + suffix).unlink(missing_ok=True)
            fresh = SqliteOutbox(part)
            fresh.commit(rows, ())
            fresh.close()
            # From here on a power cut changes nothing: whoever finds it whole under this name puts it in place.
            part.replace(self._beside(".new"))
            sync_folder(self._path.parent)
            self._put_in_place()
        except OSError as error:
            raise StoreError(f"{self._path.name}: corrupt, and cannot be set aside: {error}") from error
        told = f"{self._path.name} was corrupt ({reason}); set aside as {aside.name}, {len(rows)} events saved"
        return StoredOutbox(tuple(rows), next_seq, told)

    def _put_in_place(self) -> None:
        """Set aside what is there, its log first: a log must never meet a file that it was not written for."""
        aside = self._aside()
        for suffix in ("-wal", "-shm", ""):
            file = self._beside(suffix)
            if file.exists():
                file.replace(aside.with_name(aside.name + suffix))
        self._beside(".new").replace(self._path)
        sync_folder(self._path.parent)

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    def _salvage(self) -> tuple[list[OutboxRow], int]:
        """Rows up to the first page that cannot be read."""
        rows: list[OutboxRow] = []
        with suppress(sqlite3.Error, OSError):
            for fields in self._connection().execute(_SELECT):
                rows += _mended(fields)  # one by one: what came before the damage must survive it
        return rows, max((row.seq + 1 for row in rows), default=0)

    def _aside(self) -> Path:
        """The first free name of ``.corrupt-1`` to ``-3``; the last is overwritten once all are taken."""
        names = [self._path.with_name(f"{self._path.name}.corrupt-{n}") for n in range(1, MAX_SET_ASIDE + 1)]
        return next((name for name in names if not name.exists()), names[-1])


def read_copy(path: Path) -> StoredOutbox:
    """What lies in the outbox at ``path``, from a copy in a temporary directory: for one that somebody else has open,
    or on a disk that cannot be written, where SQLite would need to. Raises ``StoreError`` if it cannot be read.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="doorbell-outbox-") as directory:
            copy = Path(directory) / path.name
            shutil.copyfile(path, copy)
            with suppress(FileNotFoundError):  # folded in already
                shutil.copyfile(path.with_name(f"{path.name}-wal"), copy.with_name(f"{copy.name}-wal"))
            with closing(sqlite3.connect(copy)) as connection:
                return _read_all(connection)
    except (OSError, sqlite3.Error, ValueError, TypeError) as error:
        raise StoreError(f"{path.name}: {error}") from error


def _read_all(connection: sqlite3.Connection) -> StoredOutbox:
    rows = tuple(_row(fields) for fields in connection.execute(_SELECT))
    (next_seq,) = connection.execute("SELECT value FROM counter WHERE name = 'next_seq'").fetchone()
    return StoredOutbox(rows, next_seq)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _code(error: sqlite3.Error) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF  # the primary code of an extended one


def _fields(row: OutboxRow) -> tuple[object, ...]:
    detail = None if row.detail is None else json.dumps(dict(row.detail), ensure_ascii=False)
    at = row.at.isoformat()
    return row.seq, row.id, row.type.value, at, row.clock.value, row.boot, row.born_ms, row.alarm, detail


def _row(fields: tuple[Any, ...]) -> OutboxRow:
    """Raises ``ValueError`` for what could not go on the wire: it would end the process at every start."""
    seq, event_id, kind, at, clock, boot, born_ms, alarm, detail = fields
    row = OutboxRow(
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
    if row.at.tzinfo is None:
        raise ValueError("a time without its zone")
    Event(id=row.id, type=row.type, at=_EPOCH, age_ms=0, clock=row.clock, alarm=row.alarm, detail=row.detail, seq=seq)
    return row


def _mended(fields: tuple[Any, ...]) -> list[OutboxRow]:
    """A row of a spoilt file. Of a press only that it was one is needed: it goes out under a new id and with the time
    of its arrival. Anything else that cannot be read is lost."""
    with suppress(ValueError, TypeError):
        return [_row(fields)]
    if fields[2] != EventType.HELP.value:
        return []
    new_id, unsynced = str(uuid.uuid4()), ClockState.UNSYNCED
    return [OutboxRow(fields[0], new_id, EventType.HELP, at=_EPOCH, clock=unsynced, boot="unknown", born_ms=0)]


def make_state_dir(path: Path) -> None:
    """Make a directory and what is missing above it, each known to its parent's disk when this returns.

    SQLite forces the entries of its own files to the disk, but not that of the directory in which they lie. Raises
    ``OSError``.
    """
    for directory in (*reversed(path.parents), path):
        try:
            directory.mkdir()
        except OSError:
            if not directory.is_dir():
                raise
            continue
        sync_folder(directory.parent)
