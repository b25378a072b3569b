"""What only a server can do to the relay: go away in mid-commit, come back, be taken by another relay, be locked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trustme
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event

from doorbell.errors import SetupError
from relay.adapters.store import SqlStore
from relay.adapters.store_schema import metadata
from relay.core.alarm import NoteType
from relay.core.register import Register
from relay.database import PostgresPlace
from relay.ports import Batch, EventRow, NoticeRow, RejectedRow, StoreError
from tests.postgres import Cut, Cutter, PostgresServer
from tests.relay.committing import kill_in_mid_commit
from tests.relay.store_contract import T0, a_register, accepted, an_alarm, changing, raising, uid


@pytest.fixture
def name(postgres: PostgresServer) -> str:
    return postgres.database(postgres.template)


@pytest.fixture
def url(postgres: PostgresServer, name: str) -> str:
    return postgres.url(name)


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    store = SqlStore.open(url, exclusive=True, busy_s=0.05)
    yield store
    store.close()


# ---------------------------------------------------------------------------------------------------------------------
# A connection that breaks in mid-commit


@pytest.fixture
def cutter(postgres: PostgresServer, name: str) -> Iterator[Cutter]:
    with Cutter(postgres, name) as cutter:
        yield cutter


@pytest.fixture
def relay(cutter: Cutter) -> Iterator[SqlStore]:
    """A relay's store whose connection the test can cut."""
    with closing(SqlStore.open(cutter.url, exclusive=True)) as store:
        yield store


def insist(store: SqlStore, batch: Batch, failures: int) -> None:
    """Commit as the relay's loop does: again while the failure says that it may work."""
    for _ in range(failures):
        with pytest.raises(StoreError) as caught:
            store.commit(batch)
        assert caught.value.retryable, caught.value
    store.commit(batch)


def commit_at_last(store: SqlStore, batch: Batch) -> None:
    """Commit as soon as the server has seen that another session is over."""
    for _ in range(1_000):
        try:
            return store.commit(batch)
        except StoreError as error:
            if not error.retryable:
                raise
    raise TimeoutError("the server holds the other session's lock for ever")


def full_batch(alarm_number: int) -> Batch:
    """One that writes into every table of a batch."""
    batch = raising(an_alarm(alarm_number, household=f"home-{alarm_number}"))
    batch.rejected.append(RejectedRow(T0, "t", b"", "not_json", ""))
    batch.notices["n"] = NoticeRow("n", "xihu", uid(alarm_number), "board", {}, T0)
    return batch


@pytest.mark.parametrize("cut", list(Cut))
def test_a_batch_is_written_once_wherever_the_connection_breaks(cutter: Cutter, relay: SqlStore, cut: Cut) -> None:
    relay.commit(full_batch(1))
    cutter.cut_at(cut)
    second = full_batch(2)
    insist(relay, second, failures=1)
    assert cutter.cuts == 1
    relay.commit(full_batch(3))
    assert relay.known_events([uid(n) for n in range(5)]) == {uid(1), uid(2), uid(3)}
    assert [line.alarm for line in relay.journal()] == [uid(n) for n in (1, 1, 2, 2, 3, 3)]
    assert len(relay.rejected()) == 3
    assert second.alarms.items() <= relay.load().alarms.items()


def test_a_batch_without_an_event_is_not_written_twice_either(cutter: Cutter, relay: SqlStore) -> None:
    """Nothing in it is unique: only its mark tells that it is there."""
    relay.commit(raising(an_alarm()))
    cutter.cut_at(Cut.REPLY_LOST)
    insist(relay, changing(accepted(an_alarm()), NoteType.ACCEPTED), failures=1)
    assert [line.type for line in relay.journal()] == ["raised", "step_started", "accepted"]


def test_a_doubt_does_not_pass_to_another_batch(cutter: Cutter, relay: SqlStore) -> None:
    cutter.cut_at(Cut.REPLY_LOST)
    with pytest.raises(StoreError):
        relay.commit(raising(an_alarm(1)))
    relay.commit(raising(an_alarm(2, household="home-chen")))
    assert set(relay.load().alarms) == {uid(1), uid(2)}


def test_a_forerunner_that_the_server_still_holds_is_ended(cutter: Cutter, relay: SqlStore, name: str) -> None:
    """A server that has not noticed the cut would keep the lock, and a transaction open, until its own time-out."""
    cutter.cut_at(Cut.COMMIT_HELD)
    with pytest.raises(StoreError):
        relay.commit(raising(an_alarm()))
    assert [row[0] for row in cutter.server.ask(_WRITING, name)] == ["idle in transaction"]
    relay.commit(raising(an_alarm()))
    assert [row[0] for row in cutter.server.ask(_WRITING, name)] == ["idle"]
    assert len(list(relay.journal())) == 2


_WRITING = "SELECT state FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE locktype = 'advisory' AND datname = %s"


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_restarts_is_found_again(store: SqlStore, postgres: PostgresServer, mode: str) -> None:
    store.commit(raising(an_alarm(1)))
    store.known_events([uid(1)])
    postgres.stop(mode)
    try:
        with pytest.raises(StoreError, match="connection") as caught:
            store.commit(raising(an_alarm(2, household="home-chen")))
        assert caught.value.retryable
        for ask in (store.load, store.poll, lambda: store.known_events([uid(1)])):
            with pytest.raises(StoreError) as caught:
                ask()
            assert caught.value.retryable
    finally:
        postgres.start()
    assert store.known_events([uid(1), uid(2)]) == {uid(1)}
    store.commit(raising(an_alarm(2, household="home-chen")))
    assert set(store.load().alarms) == {uid(1), uid(2)}


@pytest.mark.system
def test_what_was_said_to_be_committed_survives_kill_9_and_the_servers_end(url: str, postgres: PostgresServer) -> None:
    printed = kill_in_mid_commit(url)
    postgres.stop("immediate")
    postgres.start()
    with closing(SqlStore.open(url, exclusive=True)) as store:
        assert store.known_events(printed) == set(printed)
    with psycopg.connect(**postgres.parameters(url)) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM event").fetchone() or (1,)
    assert rows % 3 == 0, "half a batch"


def test_a_commit_waits_for_the_disk_whatever_the_servers_default(postgres: PostgresServer, name: str) -> None:
    with postgres.connect(name) as other:
        other.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    with closing(SqlStore.open(postgres.url(name), exclusive=True)) as store, store._engine.begin() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_a_relay_on_a_server_that_may_lose_what_it_confirms_says_so(
    postgres: PostgresServer, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with postgres.configured(full_page_writes="off"):
        SqlStore.open(postgres.url(name), exclusive=True).close()
    assert "event=store.not_durable" in (told := capsys.readouterr().out)
    assert "setting=full_page_writes value=off" in told
    SqlStore.open(postgres.url(name), exclusive=True).close()
    assert "not_durable" not in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------------------------
# One relay, one database


def test_two_relays_never_own_one_database(store: SqlStore, url: str) -> None:
    with pytest.raises(SetupError, match="another relay"):
        SqlStore.open(url, exclusive=True, busy_s=0.05)
    with closing(SqlStore.open(url)) as office:
        assert office.poll() == (0, [])
    store.close()
    SqlStore.open(url, exclusive=True).close()


def test_a_relay_that_is_restarted_waits_until_the_server_has_seen_the_end_of_the_one_before(
    store: SqlStore, url: str, name: str, postgres: PostgresServer
) -> None:
    """It used to be refused if it was quick: the server reads the end of a connection when it comes to it."""
    opened: list[SqlStore] = []
    waiting = threading.Thread(target=lambda: opened.append(SqlStore.open(url, exclusive=True, busy_s=30)))
    waiting.start()
    asleep = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND query LIKE '%%pg_sleep%%' AND state = 'active'"
    while not postgres.ask(asleep, name):
        assert waiting.is_alive()
    store.close()
    waiting.join(timeout=30)
    (again,) = opened
    again.commit(raising(an_alarm()))
    again.close()


def test_a_relay_that_lost_its_session_waits_for_whoever_has_the_lock(
    store: SqlStore, url: str, name: str, postgres: PostgresServer
) -> None:
    store.commit(raising(an_alarm(1)))
    assert postgres.end_sessions(name) > 0
    with closing(SqlStore.open(url, exclusive=True)):
        for _ in range(2):
            with pytest.raises(StoreError) as caught:
                store.commit(raising(an_alarm(2, household="home-chen")))
            assert caught.value.retryable
        assert "another relay has taken over" in str(caught.value)
    commit_at_last(store, raising(an_alarm(2, household="home-chen")))
    assert len(store.load().alarms) == 2


def test_what_a_relay_has_in_memory_is_worth_nothing_once_another_has_written(
    store: SqlStore, url: str, name: str, postgres: PostgresServer
) -> None:
    """Else its next commit would undo what the other has done meanwhile."""
    store.commit(raising(an_alarm(1)))
    postgres.end_sessions(name)
    with closing(SqlStore.open(url, exclusive=True)) as other:
        other.commit(changing(accepted(an_alarm(1)), NoteType.ACCEPTED))
    for _ in range(2):
        with pytest.raises(StoreError, match="start anew"):
            commit_at_last(store, raising(an_alarm(2, household="home-chen")))
    with closing(SqlStore.open(url)) as office:
        assert office.load().alarms == {uid(1): accepted(an_alarm(1))}


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


# ---------------------------------------------------------------------------------------------------------------------
# Who may come in


def test_the_password_comes_from_a_file_and_is_said_nowhere(
    postgres: PostgresServer, name: str, tmp_path: Path
) -> None:
    place = postgres.place_by_password(name, tmp_path / "password")
    (tmp_path / "password").write_text("wrong-word\n")
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        SqlStore.open(place)
    assert "wrong-word" not in f"{caught.value!r} {caught.value.__cause__}"
    (tmp_path / "password").write_text(f"{postgres.password}\n")
    with closing(SqlStore.open(place, exclusive=True)) as store:
        store.commit(raising(an_alarm()))
        assert postgres.password not in repr(store._engine) + str(place)
    (tmp_path / "password").unlink()
    with pytest.raises(SetupError, match="cannot be read"):
        SqlStore.open(place)


def test_a_pgpass_file_will_do(
    postgres: PostgresServer, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:*:*:*:{postgres.password}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    with closing(SqlStore.open(replace(postgres.place_by_password(name, passfile), password_file=None))) as store:
        assert store.poll() == (0, [])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def with_tls(postgres: PostgresServer, authority: trustme.CA) -> Iterator[PostgresServer]:
    """The server with a certificate for 127.0.0.1."""
    issued = authority.issue_cert("127.0.0.1")
    key = postgres.give("server.key", issued.private_key_pem.bytes())
    chain = postgres.give("server.pem", b"".join(part.bytes() for part in issued.cert_chain_pems))
    with postgres.configured(ssl_cert_file=str(chain), ssl_key_file=str(key)), postgres.configured(ssl="on"):
        yield postgres


def trusting(place: PostgresPlace, authority: trustme.CA, folder: Path, host: str = "127.0.0.1") -> PostgresPlace:
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return replace(place, ca=folder / "ca.pem", hosts=((host, place.hosts[0][1]),))


def test_a_server_is_known_by_its_certificate(
    with_tls: PostgresServer, authority: trustme.CA, name: str, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(with_tls.password)
    place = with_tls.place_by_password(name, tmp_path / "password")
    with closing(SqlStore.open(trusting(place, authority, tmp_path))) as store, store.reading() as connection:
        assert connection.exec_driver_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").scalar() is True
    with pytest.raises(StoreError, match="certificate"):  # in another name than the one that was asked for
        SqlStore.open(trusting(place, authority, tmp_path, host="localhost"))
    with pytest.raises(StoreError, match="certificate"):
        SqlStore.open(trusting(place, trustme.CA(), tmp_path))


def test_a_server_that_offers_no_tls_is_told_nothing(
    postgres: PostgresServer, authority: trustme.CA, name: str, tmp_path: Path
) -> None:
    """Whoever answers in the server's place must not get the password in clear text."""
    (tmp_path / "password").write_text(postgres.password)
    place = postgres.place_by_password(name, tmp_path / "password")
    SqlStore.open(place).close()
    with pytest.raises(StoreError, match="SSL"):
        SqlStore.open(trusting(place, authority, tmp_path))
