"""SQLite: the connection's settings, the file and the lock of its owner, and what its errors mean."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from doorbell.errors import SetupError
from relay.adapters.sealing import Seal
from relay.adapters.store_checkpoint import LIMIT_PAGES, Checkpoints
from relay.adapters.store_hot import HotStatements
from relay.ports import Batch, StoreError

BUSY_S = 5.0
"""How long to wait for another process's transaction: importing 100,000 devices as new ones takes about two."""
CHECKPOINT_PAGES = 4_000
"""Of who does not own the database: the write-ahead log goes back into its file with a commit that makes it longer. The
owner has ``Checkpoints``."""
CACHE_KIB = 64 * 1024
"""Random event ids touch pages all over their index: this keeps the index of a million of them in memory."""

OLDER = "the relay that runs on {place} is of an older release: restart it, then try again"
RUNNING = "a relay runs on {place}: stop every relay first, then try again"
"""Why the schema, or the whole database, cannot be changed now."""
_FOR_READING = "doorbell_reading"
_RETRYABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


_log = structlog.get_logger("relay")


class SqliteDatabase:
    """A ``relay.adapters.store_database.Database`` in a file: the relay's own, with nothing to install."""

    def __init__(self, path: Path, busy_s: float, seal: Seal) -> None:
        self._file = path.absolute()
        self._lock = OwnerLock(self._file)
        self._asking: Connection | None = None
        self._checkpoints: Checkpoints | None = None
        # Transactions begin as writers, so that none fails half-way for the lock.
        self.engine = create_engine(
            URL.create("sqlite", database=str(self._file)),
            hide_parameters=True,
            connect_args={"timeout": busy_s, "check_same_thread": False},
        )
        event.listen(self.engine, "connect", self._prepare_connection)
        event.listen(self.engine, "begin", _begin)
        self.reader = self.engine.execution_options(**{_FOR_READING: True})
        self._hot = HotStatements(self.engine.dialect, seal)

    def is_made(self) -> bool:
        """Whether there is a file."""
        return self._file.exists()

    def prepare(self) -> None:
        """Make the file, if there is none."""
        prepare_file(self._file)

    def own(self) -> None:
        """Take the lock of the one relay."""
        if not self._lock.acquire():
            raise SetupError(
                f"another relay (process {self._lock.owner()}) owns the database {self._file}: stop it first, "
                "or give this one a database of its own"
            )
        self._checkpoints = Checkpoints(self._file)

    @contextmanager
    def migrating(self, refusal: str = OLDER) -> Iterator[Connection]:
        """The lock is borrowed, if this process has it not."""
        borrowed = not self._lock.held
        if borrowed and not self._lock.acquire():
            raise SetupError(refusal.format(place=self._file))
        try:
            with self.engine.begin() as connection:
                yield connection
        finally:
            if borrowed:
                self._lock.release()

    def known(self, ids: Sequence[str]) -> set[str]:
        """By the driver's own cursor on a connection that stays open: a pool costs more than the question."""
        if self._asking is None or self._asking.invalidated:
            self._asking = self.reader.connect()
            self._driver: Any = self._asking.connection.driver_connection
        marks = ",".join("?" * len(ids))
        # S608: nothing but placeholders is put in.
        return {row[0] for row in self._driver.execute(f"SELECT id FROM event WHERE id IN ({marks})", tuple(ids))}  # noqa: S608

    def write(self, batch: Batch) -> None:
        """One transaction; a commit that fails has written nothing, says SQLite.

        By the driver itself, unless leases are to be checked: a connection and a transaction of SQLAlchemy's take as
        long as all the rest of one press.
        """
        if batch.fences:
            with self.engine.begin() as connection:
                self._hot.write(connection, batch)
            return
        pooled = self.engine.raw_connection()
        try:
            driver: Any = pooled.driver_connection
            if self._checkpoints is not None:
                self._checkpoints.finish(driver)
            before = driver.total_changes
            driver.execute("BEGIN IMMEDIATE")
            self._hot.write_rows(driver.cursor(), batch)
            driver.execute("COMMIT")
            if self._checkpoints is not None:
                self._checkpoints.written(driver.total_changes - before)
        finally:
            pooled.close()  # the pool rolls back what is not committed

    def copy_into(self, part: Path) -> None:
        """By SQLite itself, which reads as of one moment while the relay goes on writing."""
        with self.reader.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("VACUUM INTO ?", (str(part),))

    def forget_traces(self, *, beside_a_relay: bool = False) -> None:
        """Everything is written anew without its free pages, and the write-ahead log is emptied.

        Beside a relay the latter alone: what was deleted has been overwritten (``secure_delete``).
        """
        try:
            with self.engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                if not beside_a_relay:
                    driver.execute("VACUUM")
                (busy, _, _) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            _log.warning("store.traces_left", reason=str(error))
            return
        if busy:
            _log.warning("store.traces_left", reason="somebody reads")

    def close(self) -> None:
        """Close every connection and let go of the lock."""
        if self._checkpoints is not None:
            self._checkpoints.close()
        if self._asking is not None:
            self._asking.close()
            self._asking = None
        self.engine.dispose()
        self._lock.release()

    def errors(self) -> AbstractContextManager[None]:
        """See ``store_errors``."""
        return store_errors()

    def _prepare_connection(self, connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions, not the driver: its documented recipe
        cursor = connection.cursor()
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")  # in WAL mode NORMAL may lose the newest commits with the power
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.execute("PRAGMA secure_delete=ON")  # what was deleted is overwritten, not only let go
            cursor.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
            pages = CHECKPOINT_PAGES if self._checkpoints is None else LIMIT_PAGES
            cursor.execute(f"PRAGMA wal_autocheckpoint={pages}")
        finally:
            cursor.close()


def _begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get(_FOR_READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def store_errors() -> Iterator[None]:
    """Whatever the database complains of becomes a ``StoreError``; its message never holds a row's content."""
    try:
        yield
    except DBAPIError as error:
        raise _explain(error.orig, gone=error.connection_invalidated) from error
    except sqlite3.Error as error:  # from the driver's own cursor
        raise _explain(error) from error
    except PoolTimeoutError as error:
        raise StoreError("no connection to the database became free", retryable=True) from error
    except SQLAlchemyError as error:
        raise StoreError(f"{type(error).__name__}: {error}", retryable=False) from error


def _explain(error: BaseException | None, *, gone: bool = False) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return StoreError(str(error), retryable=gone)
    name = getattr(error, "sqlite_errorname", "")
    moved = code == sqlite3.SQLITE_READONLY_DBMOVED  # the file was deleted under us: no wait brings it back
    return StoreError(f"{name}: {error}", retryable=code & 0xFF in _RETRYABLE and not moved)


# ---------------------------------------------------------------------------------------------------------------------
# The file


def prepare_file(path: Path) -> None:
    """Make the database file if there is none, readable by its owner only: it holds names and addresses.

    Made by root, it belongs to whoever owns the folder: a technician imports the register before the relay has run.
    """
    if not path.parent.is_dir():
        raise SetupError(f"the folder {path.parent} for the database does not exist: make it, or set another path")
    try:
        touch_private(path)
    except OSError as error:
        raise SetupError(f"the database {path} cannot be opened: {error.strerror}") from error


def touch_private(path: Path) -> None:
    """Make a file that its owner alone can read, if it is not there. Raises ``OSError``.

    A database is not opened for that: to close it would take from SQLite every lock that this process has on it, by the
    rules of POSIX; the next other process that ends would then delete the write-ahead log under us, with all commits to
    come.
    """
    if path.is_file() and path.stat().st_size > 0:
        if not os.access(path, os.R_OK | os.W_OK):
            reason = errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(reason, os.strerror(reason))
        return
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        folder = path.parent.stat()
        if os.geteuid() == 0 and os.fstat(fd).st_uid != folder.st_uid and os.fstat(fd).st_size == 0:
            os.fchown(fd, folder.st_uid, folder.st_gid)
    finally:
        os.close(fd)


class OwnerLock:
    """The lock of the one relay that owns a database file: held by the process, gone with it however it ends."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.lock")
        self._fd: int | None = None

    def acquire(self) -> bool:
        """Take the lock; False if another process has it."""
        touch_private(self._path)
        fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd
        return True

    @property
    def held(self) -> bool:
        """Whether this process has the lock."""
        return self._fd is not None

    def release(self) -> None:
        """Let go of the lock. The file stays: removing it would let two processes lock two files of one name."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def owner(self) -> str:
        """The process that has the lock, as far as the file tells."""
        return self._path.read_text(encoding="ascii", errors="replace").strip() or "?"
