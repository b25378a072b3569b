"""What ``SqlStore`` needs of a database, and which of the two it is: SQLite in a file, or a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine

from doorbell.errors import SetupError
from relay.adapters.sealing import Seal
from relay.adapters.store_sqlite import BUSY_S, OLDER, RUNNING, SqliteDatabase
from relay.database import Place, PostgresPlace, is_url, parse_place
from relay.ports import Batch

__all__ = ["BUSY_S", "RUNNING", "Database", "open_database"]


class Database(Protocol):
    """One database. Nothing is touched before ``prepare``; what a method raises is the driver's own, see ``errors``."""

    @property
    def engine(self) -> Engine:
        """For transactions that write."""
        ...

    @property
    def reader(self) -> Engine:
        """For transactions that only read, each of one moment: they neither wait for a writer nor hold one up."""
        ...

    def is_made(self) -> bool:
        """Whether there is a database of ours, of whatever release."""
        ...

    def prepare(self) -> None:
        """Make what must be there before a connection, and check what must be true. ``SetupError`` tells a person."""
        ...

    def own(self) -> None:
        """Become the relay of this database, or the one of its name, until ``close`` or the end of the process.

        ``SetupError`` if one is.
        """
        ...

    def migrating(self, refusal: str = OLDER) -> AbstractContextManager[Connection]:
        """A transaction in which the schema may change: no relay but this one runs. ``SetupError``, in the words of
        ``refusal``, if one does."""
        ...

    def copy_into(self, part: Path) -> None:
        """Write everything of one moment into an empty SQLite file."""
        ...

    def forget_traces(self, *, beside_a_relay: bool = False) -> None:
        """Let nothing be left in the files of what rows once held; what cannot be done now is logged.

        ``beside_a_relay``: only what does not hold a relay up.
        """
        ...

    def errors(self) -> AbstractContextManager[None]:
        """Whatever the database complains of becomes a ``StoreError``; its message never holds a row's content."""
        ...

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of these ids (500 at the most) that the table ``event`` has."""
        ...

    def write(self, batch: Batch) -> None:
        """Commit a batch. Called again with the same one after any failure, it neither doubles nor loses anything."""
        ...

    def close(self) -> None:
        """Close every connection and stop owning."""
        ...


def open_database(target: Place | str, busy_s: float, seal: Seal, name: str | None = None) -> Database:
    """The database that a setting names; no I/O yet. ``busy_s``: how long to wait for somebody else's lock.

    ``seal``: with what the rows of people are sealed; ``name``: of one relay of several. On SQLite there is but
    one, whatever its name.
    """
    if isinstance(target, str):
        try:
            target = parse_place(target) if is_url(target) else Path(target)
        except ValueError as error:
            raise SetupError(str(error)) from None
    if not isinstance(target, PostgresPlace):
        return SqliteDatabase(target, busy_s, seal)
    try:
        from relay.adapters.store_postgres import PostgresDatabase  # noqa: PLC0415 - an extra; and 0.1 s of importing
    except ImportError:
        raise SetupError("PostgreSQL needs the package psycopg: pip install 'love-doorbell[postgresql]'") from None
    return PostgresDatabase(target, busy_s, seal, name)
