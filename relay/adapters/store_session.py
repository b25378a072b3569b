"""The one session in which a relay writes to PostgreSQL: it holds the relay's lock, and knows what became of a commit.

A connection that breaks while a commit is under way leaves open whether the commit was done. So every transaction
also writes a mark of its own into ``meta``, and on the next connection the mark tells: if it is there, the whole batch
is; if not, nothing of it. That holds only once the session before has ended, for until then it might still commit:
the new one ends it, and goes on when it has the lock, which the server gives to one session at a time. A mark that is
neither of ours says that another relay has written meanwhile: what this one has in memory is then worth nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import Connection, Engine, text

from doorbell.errors import SetupError
from relay.adapters.store_hot import HotStatements
from relay.ports import Batch, StoreError

LOCK_CLASS = 0x4C44
"""The first half of the numbers of our advisory locks: "LD". They count within one database."""
RELAY, MIGRATING = 1, 2
"""The second halves: a relay runs; somebody changes the schema."""
NAME_CLASS = LOCK_CLASS + 1
"""The first half of the numbers of the locks that relays of one database hold in their names."""
MARK_KEY = "last_batch"

_LOCK = text(f"SELECT pg_try_advisory_lock({LOCK_CLASS}, {RELAY})")
_LOCK_ONE = text(
    f"SELECT pg_try_advisory_lock_shared({LOCK_CLASS}, {RELAY}) AND pg_try_advisory_lock({NAME_CLASS}, :number)"
)
_SELF = text("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
END_MS = 2_000
"""How long the session before may take to end; then the commit is tried again."""
_END = text(
    "SELECT pg_terminate_backend(pid, :wait) FROM pg_stat_activity WHERE pid = :pid AND backend_start = :since"
)  # a number alone may by now be another session's
PAUSE_S = 0.1
"""Between two looks whether the lock is free, at the start."""
_PAUSE = text("SELECT pg_sleep(:pause)")
_HAS_META = text("SELECT to_regclass('meta') IS NOT NULL")
_MARK = text("SELECT value FROM meta WHERE key = :key")
_HOLDER = text(
    "SELECT a.pid, host(a.client_addr) AS address FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.classid = :class AND l.objid = :id "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)

_log = structlog.get_logger("relay")


class WritingSession:
    """Writes batches, each exactly once however often the connection breaks. ``place`` names the database for people.

    ``name``: of one relay of several, which has a lock and marks in its own name; None: no other one may run.

    Its methods raise what the driver raises; ``StoreError`` (retryable) while the session before has not ended.
    """

    def __init__(self, engine: Engine, hot: HotStatements, place: str, name: str | None = None) -> None:
        self._engine = engine
        self._hot = hot
        self._place = place
        self._name = name
        digest = b"" if name is None else blake2b(name.encode(), digest_size=8).digest()
        self._mark_key = MARK_KEY if name is None else f"{MARK_KEY}.{digest.hex()}"
        self._lock_class, self._lock_number = LOCK_CLASS, RELAY
        if name is not None:
            self._lock_class, self._lock_number = NAME_CLASS, int.from_bytes(digest[:4], signed=True)
        self._connection: Connection | None = None
        self._former: tuple[int, datetime] | None = None
        self._mark: str | None = None
        self._doubtful: tuple[Batch, str] | None = None
        """A batch of which we do not know whether it is committed, with its mark."""
        self._done: Batch | None = None
        """A batch that was in doubt, and is committed."""

    def open(self, wait_s: float) -> None:
        """Connect and take the lock. Raises ``SetupError`` if another relay has it for longer than ``wait_s``."""
        if not self._connect_within(wait_s):
            if self._name is not None and (holder := self._holder()) != "?":
                raise SetupError(
                    f"another relay ({holder}) runs under the name {self._name!r} on the database {self._place}: "
                    "no two relays may share a name"
                )
            raise SetupError(
                f"another relay ({self._holder()}) owns the database {self._place}: stop it first, "
                "or give this one a database of its own"
            )

    def close(self) -> None:
        """End the session: the server gives the lock to whoever asks next."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction of this session."""
        connection = self._connected()
        try:
            with connection.begin():
                yield connection
        finally:
            self._forget_if_broken()

    def write(self, batch: Batch) -> None:
        """Commit a batch; the same once more if a failure left it open whether it was."""
        connection = self._connected()  # clears the doubt
        if self._done is batch:
            self._done = None
            _log.warning("store.commit_confirmed")
            return
        mark = uuid4().hex
        self._doubtful = (batch, mark)
        with self.begin():
            driver: Any = connection.connection.driver_connection
            # Everything but the check of the numbers is sent at once: one round trip, and one more for the commit.
            self._hot.write(connection, batch, together=driver.pipeline, mark={self._mark_key: mark})
        self._mark, self._doubtful = mark, None

    def _connected(self) -> Connection:
        if self._connection is None and not self._connect():
            raise StoreError(
                f"another session ({self._holder()}) holds this relay's lock: the one before has not ended, "
                "or another relay has taken over",
                retryable=True,
            )
        assert self._connection is not None  # noqa: S101 - for mypy: _connect has made it
        return self._connection

    def _connect_within(self, wait_s: float) -> bool:
        """The relay of before may have ended a moment ago, and the server not know it yet."""
        for _ in range(int(wait_s / PAUSE_S)):
            if self._connect():
                return True
            with self._engine.connect() as connection:
                connection.execute(_PAUSE, {"pause": PAUSE_S})
        return self._connect()

    def _connect(self) -> bool:
        """A new session with the lock; False if another one has it."""
        connection = self._engine.connect()
        try:
            with connection.begin():
                if self._former is not None:
                    pid, since = self._former
                    connection.execute(_END, {"pid": pid, "since": since, "wait": END_MS})
                asked = _LOCK if self._name is None else _LOCK_ONE.bindparams(number=self._lock_number)
                taken = bool(connection.execute(asked).scalar())
                if taken:
                    self._take_up(connection)
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        if not taken:
            connection.invalidate()  # of two locks it may have one
            connection.close()
            return False
        self._connection = connection
        return True

    def _take_up(self, connection: Connection) -> None:
        """Compare the mark in the database with ours: what was written since?"""
        mark = (
            connection.execute(_MARK, {"key": self._mark_key}).scalar()
            if connection.execute(_HAS_META).scalar()
            else None
        )
        self._done = None
        if self._former is not None and mark != self._mark:
            if self._doubtful is None or self._doubtful[1] != mark:
                raise StoreError("another relay has written into the database meanwhile: start anew", retryable=False)
            self._done = self._doubtful[0]
        self._mark, self._doubtful = mark, None
        row = connection.execute(_SELF).one()
        self._former = (row.pid, row.backend_start)

    def _forget_if_broken(self) -> None:
        connection = self._connection
        if connection is None:
            return
        if connection.invalidated or getattr(connection.connection.driver_connection, "closed", True):
            connection.invalidate()
            connection.close()
            self._connection = None

    def _holder(self) -> str:
        with self._engine.connect() as connection:
            row = connection.execute(_HOLDER, {"class": self._lock_class, "id": self._lock_number % 2**32}).first()
        return "?" if row is None else f"session {row.pid} from {row.address or 'this machine'}"
