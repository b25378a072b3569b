"""The one session in which a relay writes: it breaks in mid-commit, it is taken by another relay."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from doorbell.errors import SetupError
from relay.adapters.store import SqlStore
from relay.core.alarm import NoteType
from relay.ports import Batch, NoticeRow, RejectedRow, StoreError
from tests.postgres import Cut, Cutter, PostgresServer
from tests.relay.committing import kill_in_mid_commit
from tests.relay.rows import T0, accepted, an_alarm, changing, raising, uid


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


@pytest.mark.parametrize("mode", [pytest.param("fast", marks=pytest.mark.slow), "immediate"])
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


@pytest.mark.slow
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
