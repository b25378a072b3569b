"""What only a file on a disk can do to the relay: fill up, be locked, break, be cut off, be of another release."""

from __future__ import annotations

import re
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from doorbell.errors import SetupError
from relay.adapters.store import SqlStore
from relay.adapters.store_migrate import migrations
from relay.adapters.store_schema import SCHEMA_HEAD, metadata
from relay.core.register import Household, Register
from relay.ports import Batch, EventRow, RejectedRow, StoreError
from tests.relay.committing import kill_in_mid_commit
from tests.relay.rows import T0, a_register, an_alarm, raising, uid


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    store = SqlStore.open(path, exclusive=True, busy_s=0.05)
    yield store
    store.close()


@contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as a technician's own tool opens it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


# ---------------------------------------------------------------------------------------------------------------------
# Durability


@pytest.mark.system
def test_what_was_said_to_be_committed_survives_kill_9(path: Path) -> None:
    printed = kill_in_mid_commit(str(path))
    with closing(SqlStore.open(path, exclusive=True)) as store:
        assert store.known_events(printed) == set(printed)
        with raw(path) as connection:
            (rows,) = connection.execute("SELECT count(*) FROM event").fetchone()
            assert rows % 3 == 0, "half a batch"
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


OFFICE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM alarm").fetchone()
connection.close()
"""
"""A command of the office: opens the database, reads, and ends. SQLite then tidies up if nobody else has it open."""


@pytest.mark.system
def test_a_second_store_in_this_process_takes_no_lock_from_the_first(path: Path, store: SqlStore) -> None:
    """The auditor's: without its locks the relay's log would be deleted, and what it commits found by nobody."""
    store.commit(raising(an_alarm(1)))
    with closing(SqlStore.open(path)) as second:
        assert len(second.alarms()) == 1
        for _ in range(2):
            subprocess.run([sys.executable, "-c", OFFICE, str(path)], check=True, stdout=subprocess.DEVNULL)
        store.commit(raising(an_alarm(2, household="home-chen")))
        with raw(path) as connection:
            assert connection.execute("SELECT count(*) FROM alarm").fetchone() == (2,)


def test_every_commit_is_flushed_to_the_disk(store: SqlStore) -> None:
    with store._engine.begin() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


# ---------------------------------------------------------------------------------------------------------------------
# Failures


def big_batch(first: int) -> Batch:
    """More than the little room that the tests leave."""
    batch = raising(an_alarm(first, household=f"home-{first}"))
    batch.rejected += [RejectedRow(T0, "t", b"x" * 8_000, "not_json", "") for _ in range(200)]
    return batch


@contextmanager
def full_file(store: SqlStore) -> Iterator[None]:
    """The database may not grow: the disk under it is full."""
    with store._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1")  # SQLite makes it the present size
    yield
    with store._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")


@contextmanager
def full_log(_store: SqlStore) -> Iterator[None]:
    """No file of this process may grow beyond 400 kB: the write-ahead log hits a wall in the middle of a commit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("full", [full_file, full_log])
def test_a_full_disk_takes_nothing_of_a_batch_and_all_of_it_later(store: SqlStore, full: type) -> None:
    store.commit(raising(an_alarm(1)))
    before = store.load()
    batch = big_batch(2)
    with full(store):
        for _ in range(2):
            with pytest.raises(StoreError) as caught:
                store.commit(batch)
            assert caught.value.retryable, caught.value
        assert store.load() == before
        assert store.known_events([uid(2)]) == set()
        assert store.rejected() == []
    store.commit(batch)
    assert set(store.load().alarms) == {uid(1), uid(2)}
    assert len(store.rejected(limit=1_000)) == 200


def test_a_database_that_somebody_locks_can_be_read_and_is_written_later(store: SqlStore, path: Path) -> None:
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="SQLITE_BUSY") as caught:
            store.commit(raising(an_alarm()))
        assert caught.value.retryable
        assert store.load().alarms == {}
        other.execute("ROLLBACK")
    store.commit(raising(an_alarm()))
    assert store.load().alarms == {uid(1): an_alarm()}


def test_a_writer_has_its_lock_from_the_beginning(store: SqlStore, path: Path) -> None:
    """One that reads first and then waits for the lock would be refused at once if another has written meanwhile."""
    with raw(path) as other:
        other.execute("PRAGMA busy_timeout=0")
        with store._engine.begin(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        with store._reader.begin():
            other.execute("BEGIN IMMEDIATE")


def test_a_reader_does_not_hold_up_the_relay(store: SqlStore, path: Path) -> None:
    with closing(SqlStore.open(path)) as reader:
        store.commit(raising(an_alarm(1)))
        lines = reader.journal()
        assert next(lines).type == "raised"
        store.commit(raising(an_alarm(2, household="home-chen")))
        assert len(list(lines)) == 1  # of the page that was read
        assert len(list(reader.journal())) == 4


def test_a_read_only_database_can_be_tried_again(store: SqlStore) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA query_only=1")
    with pytest.raises(StoreError, match="SQLITE_READONLY") as caught:
        store.commit(raising(an_alarm()))
    assert caught.value.retryable


def test_a_broken_file_is_no_case_for_trying_again(store: SqlStore, path: Path) -> None:
    store.commit(big_batch(1))
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    with closing(SqlStore(path)) as broken, pytest.raises(StoreError, match=r"SQLITE_(CORRUPT|NOTADB)") as caught:
        broken.load()
    assert not caught.value.retryable


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"a register in a text file\n" * 400)
    with pytest.raises(StoreError, match="SQLITE_NOTADB") as caught:
        SqlStore.open(path)
    assert not caught.value.retryable


def test_an_error_never_tells_what_was_in_a_row(store: SqlStore) -> None:
    batch = Batch(events=[EventRow(uid(1), "xihu", "p", "help", T0, T0, None, "applied", b"secret") for _ in range(2)])
    with pytest.raises(StoreError) as caught:
        store.commit(batch)
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"
    with pytest.raises(StoreError) as caught:
        store.replace_register(replace(a_register(), communities={}))
    assert "彭小平" not in f"{caught.value} {caught.value.__cause__}"
    assert store.load_register() == (0, Register())


# ---------------------------------------------------------------------------------------------------------------------
# The journal


@pytest.mark.parametrize("change", ["UPDATE journal SET type = 'x'", "DELETE FROM journal WHERE seq = 2"])
def test_the_journal_is_append_only(store: SqlStore, path: Path, change: str) -> None:
    store.commit(raising(an_alarm()))
    before = list(store.journal())
    with raw(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(change)
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
def test_no_history_is_read_through(store: SqlStore, ask: Callable[[SqlStore], object]) -> None:
    store.commit(raising(an_alarm()))
    asked: list[str] = []
    store.known_events([uid(9)])
    with store._engine.connect() as connection:
        drivers: list[Any] = [connection.connection.driver_connection, store._database._driver]  # type: ignore[attr-defined]
    for driver in drivers:
        driver.set_trace_callback(asked.append)
    ask(store)
    plans: list[str] = []
    with store._reader.begin() as connection:
        for sql in [sql for sql in asked if not sql.startswith(("BEGIN", "COMMIT", "ROLLBACK"))]:
            plans += [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]
    assert plans
    history = "SCAN (event|journal|alarm|notice|command|rejected)$|USE TEMP B-TREE FOR ORDER BY"
    assert [step for step in plans if re.match(history, step)] == []


@pytest.mark.parametrize("known", [True, False])
def test_of_a_new_register_what_differs_is_written(store: SqlStore, known: bool) -> None:
    """100,000 households written anew for one of them held the database for 6 s, and every press with it."""
    homes = {f"home-{n:03}": Household(f"home-{n:03}", "xihu", "柳奶奶") for n in range(300)}
    register = replace(a_register(), households={**homes, **a_register().households}, groups={})
    store.replace_register(register)
    with store._engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
    before = driver.total_changes
    changed = replace(register, households={**register.households, "home-007": replace(homes["home-007"], place="3栋")})
    now = store.load_register() if known else None
    assert store.replace_register(changed, now) == 2
    assert driver.total_changes - before == 2, "the household, and the version"
    assert store.load_register() == (2, changed)


def test_of_two_who_import_at_once_the_second_starts_from_the_first(store: SqlStore) -> None:
    store.replace_register(a_register())
    known = store.load_register()
    store.replace_register(replace(a_register(), devices={}))
    assert store.replace_register(a_register(), known) == 3
    assert store.load_register() == (3, a_register())


# ---------------------------------------------------------------------------------------------------------------------
# One relay, one database


def test_two_relays_never_own_one_database(store: SqlStore, path: Path) -> None:
    with pytest.raises(SetupError, match="another relay"):
        SqlStore.open(path, exclusive=True)
    with closing(SqlStore.open(path)) as office:
        assert office.poll() == (0, [])
    store.close()
    SqlStore.open(path, exclusive=True).close()


def test_the_database_is_for_its_owner_only(store: SqlStore, path: Path) -> None:
    store.commit(raising(an_alarm()))
    assert {file.name: file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == dict.fromkeys(
        ("relay.sqlite3", "relay.sqlite3-wal", "relay.sqlite3-shm", "relay.sqlite3.lock"), 0
    )


def test_a_missing_folder_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="does not exist"):
        SqlStore.open(tmp_path / "none" / "relay.sqlite3")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SetupError, match="cannot be opened"):
        SqlStore.open(tmp_path / "folder")


# ---------------------------------------------------------------------------------------------------------------------
# Releases


def test_the_migrations_make_the_tables_that_the_code_names(store: SqlStore, path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
    assert ScriptDirectory.from_config(migrations()).get_heads() == [SCHEMA_HEAD]


def test_opening_again_changes_nothing(store: SqlStore, path: Path) -> None:
    store.commit(raising(an_alarm()))
    store.upgrade()
    assert store.load().alarms == {uid(1): an_alarm()}


def test_a_database_of_a_newer_release_is_refused(store: SqlStore, path: Path) -> None:
    store.close()
    with raw(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SetupError, match=r"newer release \(schema 9999"):
        SqlStore.open(path, exclusive=True)


def test_no_schema_changes_under_a_running_relay(path: Path) -> None:
    relay = SqlStore(path)
    relay._database.own()
    with closing(relay), pytest.raises(SetupError, match="restart it"):
        SqlStore.open(path)
    SqlStore.open(path).close()
