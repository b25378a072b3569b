"""PostgreSQL, by psycopg 3: the connection's settings, and what the server's errors mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import structlog
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from doorbell.errors import SetupError
from doorbell.settings import read_password_file
from relay.adapters.sealing import Seal
from relay.adapters.store_backup import copy_rows
from relay.adapters.store_hot import HotStatements
from relay.adapters.store_leases import APPLICATION, application_of
from relay.adapters.store_migrate import migrate
from relay.adapters.store_sealed import tables_of_people
from relay.adapters.store_session import LOCK_CLASS, MIGRATING, RELAY, WritingSession
from relay.adapters.store_sqlite import OLDER, SqliteDatabase
from relay.adapters.store_verify import unsafe_settings
from relay.database import PostgresPlace
from relay.ports import Batch, StoreError

OLDEST = 14
"""The oldest server that can wait until a session has ended (``pg_terminate_backend`` with a time)."""
CONNECT_S = 5
"""How long each host may take to accept a connection: as long as a broker may."""
LOST_MS = 5_000
"""Silence after which either side gives a connection up: a relay that is cut off must notice within the 10 s in which
its communities have to go on elsewhere, and so must the server, which holds that relay's locks."""
IDLE_IN_TRANSACTION_MS = 10_000
"""A relay that is stopped in mid-transaction (SIGSTOP, a suspended machine) does not keep its locks for ever."""

_SESSION = {
    # Acknowledged is on the disk: a server whose own default is less must not make us lie to a panel.
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": str(LOST_MS),
    "timezone": "UTC",
}
_KEEPALIVE = {"keepalives_idle": 3, "keepalives_interval": 1, "keepalives_count": 2, "tcp_user_timeout": LOST_MS}
_RETRYABLE_CLASSES = frozenset({"08", "40", "53", "57", "58"})
"""Connection lost, rolled back, out of disk or memory or connections, operator's doing, input/output error."""
_RETRYABLE_STATES = frozenset({"25006", "25P03", "25P04", "55006", "55P03"})
"""Read-only (a standby that is not yet the primary), timed out in a transaction, in use, a lock that is not free."""
_GONE_STATES = frozenset({"57P04"})
"""The database was dropped: no wait brings it back."""


_log = structlog.get_logger("relay")


class PostgresDatabase:
    """A ``relay.adapters.store_database.Database`` on a server."""

    def __init__(self, place: PostgresPlace, busy_s: float, seal: Seal, name: str | None = None) -> None:
        self._place = place
        self._seal = seal
        self._busy_s = busy_s
        self._name = name
        self.engine: Engine = create_engine(
            "postgresql+psycopg://", creator=self._connect, hide_parameters=True, paramstyle="format"
        )
        self.reader: Engine = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._asking: Any = None
        self._hot = HotStatements(self.engine.dialect, seal)
        self._session: WritingSession | None = None

    def _connect(self) -> psycopg.Connection[Any]:
        place = self._place
        try:
            password = None if place.password_file is None else read_password_file(place.password_file)
        except SetupError as error:
            raise StoreError(str(error), retryable=True) from None
        settings = {**_SESSION, "lock_timeout": str(round(self._busy_s * 1000))}
        asked: dict[str, Any] = {
            "host": ",".join(host for host, _ in place.hosts),
            "port": ",".join(str(port) for _, port in place.hosts),
            "dbname": place.name,
            "user": place.user,
            "password": password,
            "sslmode": place.tls_mode,
            "sslrootcert": place.ca,
            "sslcert": place.certificate,
            "sslkey": place.key,
            "target_session_attrs": "read-write" if len(place.hosts) > 1 else None,
            "application_name": APPLICATION if self._name is None else application_of(self._name),
            "client_encoding": "utf8",
            "connect_timeout": CONNECT_S,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
            **_KEEPALIVE,
        }
        given = {
            key: value if isinstance(value, int) else str(value) for key, value in asked.items() if value is not None
        }
        return psycopg.connect(**given)  # type: ignore[arg-type]

    # -----------------------------------------------------------------------------------------------------------------
    # relay.adapters.store_database.Database

    def is_made(self) -> bool:
        """Whether our tables are there."""
        self.prepare()
        with self.reader.begin() as connection:
            return bool(connection.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL")).scalar_one())

    def prepare(self) -> None:
        """Check the password file, and that the server is one that we can use."""
        if self._place.password_file is not None:
            read_password_file(self._place.password_file)
        with self.errors(), self.reader.begin() as connection:
            version = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
            encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
        if version < OLDEST:
            raise SetupError(f"{self._place}: the server is PostgreSQL {version}; {OLDEST} is the oldest that will do")
        if encoding != "UTF8":
            raise SetupError(
                f"{self._place}: the database's encoding is {encoding}, in which not every name can be written: "
                f"make it anew with CREATE DATABASE \"{self._place.name}\" ENCODING 'UTF8' TEMPLATE template0"
            )

    def own(self) -> None:
        """Open the session that writes, which holds the relay's lock for as long as it lives."""
        session = WritingSession(self.engine, self._hot, str(self._place), self._name)
        with self.errors():
            session.open(self._busy_s)
        self._session = session
        with self.errors(), self.reader.begin() as connection:
            for name, value in unsafe_settings(connection):
                _log.warning("store.not_durable", setting=name, value=value)

    @contextmanager
    def migrating(self, refusal: str = OLDER) -> Iterator[Connection]:
        """One process at a time, and none while another relay runs."""
        if self._session is not None:
            with self._session.begin() as connection:
                self._require_no_other(connection, refusal)
                yield connection
            return
        with self.engine.begin() as connection:
            # Two commands that find a new database empty: the second waits, and then finds nothing left to do.
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {MIGRATING})"))
            self._require_no_other(connection, refusal)
            # What is done here may pause for longer than a relay's own transactions ever do.
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            yield connection

    def _require_no_other(self, connection: Connection, refusal: str) -> None:
        """A session that shares the relays' lock gets it for itself alone if nobody else shares it."""
        free = connection.execute(text(f"SELECT pg_try_advisory_xact_lock({LOCK_CLASS}, {RELAY})")).scalar_one()
        if not free:
            raise SetupError(refusal.format(place=self._place))

    def known(self, ids: Sequence[str]) -> set[str]:
        """By a cursor of the driver on a connection that stays open, outside of any transaction: one round trip."""
        if self._asking is None or self._asking.closed:
            self._asking = self._connect()
            self._asking.autocommit = True
        return {row[0] for row in self._asking.execute("SELECT id FROM event WHERE id = ANY(%s)", (list(ids),))}

    def write(self, batch: Batch) -> None:
        """In the relay's own session; elsewhere (tests, and tools beside a stopped relay) in any."""
        if self._session is not None:
            self._session.write(batch)
            return
        with self.engine.begin() as connection:
            self._hot.write(connection, batch)

    def copy_into(self, part: Path) -> None:
        """Row by row, of one moment: the same file as from SQLite, so that either can take it back."""
        with closing(SqliteDatabase(part, self._busy_s, self._seal)) as target:
            with target.migrating() as connection:
                migrate(connection, self._seal)
            with target.engine.begin() as writing, self.reader.begin() as reading:
                copy_rows(reading, writing)

    def forget_traces(self, *, beside_a_relay: bool = False) -> None:
        """The tables that hold something of people are written anew; the server's own log forgets in its time."""
        try:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for table in tables_of_people():
                    connection.execute(text(f'VACUUM {"" if beside_a_relay else "FULL"} "{table.name}"'))
        except DBAPIError as error:
            _log.warning("store.traces_left", reason=str(_explain(error.orig)))

    def close(self) -> None:
        """Close every connection; the session's end lets go of the lock."""
        if self._session is not None:
            self._session.close()
            self._session = None
        if self._asking is not None:
            with suppress(psycopg.Error):
                self._asking.close()
            self._asking = None
        self.engine.dispose()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """The server's DETAIL would tell what was in a row, so nothing but its first sentence is passed on."""
        try:
            yield
        except DBAPIError as error:
            raise _explain(error.orig) from None
        except psycopg.Error as error:  # from the driver's own cursor
            raise _explain(error) from None
        except PoolTimeoutError:
            raise StoreError("no connection to the database became free", retryable=True) from None
        except SQLAlchemyError as error:
            raise StoreError(f"{type(error).__name__}: {error}", retryable=False) from None


def _explain(error: BaseException | None) -> StoreError:
    if not isinstance(error, psycopg.Error):
        return StoreError(type(error).__name__, retryable=False)
    state = error.sqlstate
    if state is None:  # not from a server: there is none, there is none any more, or we have asked nonsense
        away = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
        return StoreError(" ".join(str(error).split()), retryable=away)
    retryable = (state[:2] in _RETRYABLE_CLASSES or state in _RETRYABLE_STATES) and state not in _GONE_STATES
    return StoreError(f"{state}: {error.diag.message_primary}", retryable=retryable)
