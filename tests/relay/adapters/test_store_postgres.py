"""What only a server can do to the relay: be locked, only read, be of another release."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event

from doorbell.errors import SetupError
from relay.adapters.store import SqlStore
from relay.adapters.store_schema import metadata
from relay.core.register import Register
from relay.ports import Batch, EventRow, RejectedRow, StoreError
from tests.postgres import PostgresServer
from tests.relay.rows import T0, a_register, an_alarm, raising, uid


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    store = SqlStore.open(url, exclusive=True, busy_s=0.05)
    yield store
    store.close()


# ---------------------------------------------------------------------------------------------------------------------
# Failures


def test_a_table_that_somebody_locks_can_be_read_and_is_written_later(
    store: SqlStore, name: str, postgres: PostgresServer
) -> None:
    with postgres.connect(name) as other, other.transaction():
        other.execute("LOCK TABLE event IN SHARE MODE")
        with pytest.raises(StoreError, match="55P03") as caught:
            store.commit(raising(an_alarm()))
        assert caught.value.retryable
        assert store.load().alarms == {}
    store.commit(raising(an_alarm()))
    assert store.load().alarms == {uid(1): an_alarm()}


def test_a_server_that_only_reads_can_be_tried_again(store: SqlStore, name: str, postgres: PostgresServer) -> None:
    """A standby after its primary has died, until somebody makes it the primary."""
    with postgres.connect(name) as other:
        other.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        postgres.end_sessions(name)
        for _ in range(3):
            with pytest.raises(StoreError) as caught:
                store.commit(raising(an_alarm()))
            assert caught.value.retryable
        assert "25006" in str(caught.value)
    with postgres.connect("postgres") as other:
        other.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    postgres.end_sessions(name)
    with pytest.raises(StoreError):
        store.commit(raising(an_alarm()))
    store.commit(raising(an_alarm()))
    assert len(list(store.journal())) == 2


def test_a_failed_batch_leaves_the_session_usable(store: SqlStore) -> None:
    store.commit(raising(an_alarm(1)))
    with pytest.raises(StoreError, match="23505") as caught:
        store.commit(raising(an_alarm(1)))
    assert not caught.value.retryable
    store.commit(raising(an_alarm(2, household="home-chen")))
    assert len(store.load().alarms) == 2


def test_an_error_never_tells_what_was_in_a_row(store: SqlStore) -> None:
    batch = Batch(events=[EventRow("secret", "xihu", "p", "help", T0, T0, None, "applied", b"") for _ in range(2)])
    with pytest.raises(StoreError, match="23505") as caught:
        store.commit(batch)
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"
    assert caught.value.__suppress_context__
    with pytest.raises(StoreError) as caught:
        store.replace_register(replace(a_register(), communities={}))
    assert "xihu" not in f"{caught.value} {caught.value.__cause__}"  # of PostgreSQL's DETAIL
    assert store.load_register() == (0, Register())


@pytest.mark.parametrize(
    "change", ["UPDATE journal SET type = 'x'", "DELETE FROM journal WHERE seq = 2", "TRUNCATE journal"]
)
def test_the_journal_is_append_only(store: SqlStore, name: str, postgres: PostgresServer, change: str) -> None:
    store.commit(raising(an_alarm()))
    before = list(store.journal())
    with postgres.connect(name) as other, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        other.execute(change.encode())
    assert list(store.journal()) == before


# ---------------------------------------------------------------------------------------------------------------------
# Speed: a table of millions must not make a turn slower


@pytest.mark.parametrize(
    "ask",
    [
        SqlStore.load,
        SqlStore.poll,
        SqlStore.early,
        SqlStore.alarms,
        lambda store: store.alarms(open_only=False),
        lambda store: store.known_events([uid(1), uid(2)]),
        lambda store: store.find_alarm(uid(2)),
        lambda store: store.notices(pending_only=True),
        lambda store: list(store.journal(alarm=uid(1))),
        lambda store: list(store.journal(after_seq=1)),
        lambda store: store.commit(Batch(rejected=[RejectedRow(T0, "t", b"", "not_json", "")])),
    ],
)
def test_no_history_is_read_through(
    store: SqlStore, name: str, postgres: PostgresServer, ask: Callable[[SqlStore], object]
) -> None:
    """A table is read through only where no index serves: the planner is told to avoid it, and says if it cannot."""
    store.commit(raising(an_alarm()))
    asked: list[tuple[str, Any]] = [("SELECT id FROM event WHERE id = ANY(%s)", ([uid(1)],))]
    event.listen(
        store._engine, "before_cursor_execute", lambda _c, _cursor, sql, values, _x, _many: asked.append((sql, values))
    )
    ask(store)
    plans: list[str] = []
    with postgres.connect(name) as other:
        other.execute("SET enable_seqscan = off")
        for sql, values in [(sql, values) for sql, values in asked if sql.lstrip().startswith(("SELECT", "DELETE"))]:
            plans += [row[0] for row in other.execute(f"EXPLAIN {sql}".encode(), values)]
    assert plans
    history = ("event", "journal", "alarm", "notice", "command", "rejected")
    assert [step for step in plans for table in history if f"Seq Scan on {table} " in step] == []


# ---------------------------------------------------------------------------------------------------------------------
# Releases


def test_the_migrations_make_the_tables_that_the_code_names(store: SqlStore) -> None:
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_of_a_newer_release_is_refused(
    store: SqlStore, url: str, name: str, postgres: PostgresServer
) -> None:
    store.close()
    with postgres.connect(name) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SetupError, match=r"newer release \(schema 9999"):
        SqlStore.open(url, exclusive=True)


def test_no_schema_changes_under_a_running_relay(postgres: PostgresServer) -> None:
    url = postgres.url(postgres.database())
    relay = SqlStore(url)
    relay._database.own()
    with closing(relay), pytest.raises(SetupError, match="restart it"):
        SqlStore.open(url)
    SqlStore.open(url).close()


def test_a_database_in_which_no_name_can_be_written_is_refused(postgres: PostgresServer) -> None:
    with postgres.connect("postgres") as other:
        other.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0")
    with pytest.raises(SetupError, match="encoding is LATIN1"):
        SqlStore.open(postgres.url("latin"))
