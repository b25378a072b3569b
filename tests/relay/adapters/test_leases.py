"""The stores of leases that there are, held to the contract; and what PostgreSQL alone must do, and can show."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from doorbell.errors import SetupError
from relay.adapters.store import SqlStore
from relay.adapters.store_leases import check_fences
from relay.core.lease import Claim, Member
from relay.ports import LeaseLostError, LeaseStore, StoreError
from sim.stores import MemoryStore
from tests.postgres import PostgresServer
from tests.relay.lease_contract import A, B, LeaseContract, Shared, about


class TestSqlite(LeaseContract):
    """SQLite, in a file that several have open."""

    @pytest.fixture
    def shared(self, tmp_path: Path) -> Iterator[Shared]:
        opened: list[SqlStore] = []

        def another() -> tuple[SqlStore, LeaseStore]:
            opened.append(SqlStore.open(tmp_path / "relay.sqlite3"))
            return opened[-1], opened[-1].leases()

        yield Shared(another)
        for store in opened:
            store.close()


class TestMemory(LeaseContract):
    """The village's."""

    @pytest.fixture
    def shared(self) -> Shared:
        store = MemoryStore()
        return Shared(lambda: (store, store.leases))


class TestPostgres(LeaseContract):
    """PostgreSQL, each relay with a session that writes under its own name."""

    @pytest.fixture
    def shared(self, postgres: PostgresServer) -> Iterator[Shared]:
        url, opened = postgres.ready(), list[SqlStore]()

        def another() -> tuple[SqlStore, LeaseStore]:
            name = f"r{len(opened)}"
            opened.append(SqlStore.open(url, exclusive=True, name=name))
            return opened[-1], opened[-1].leases()

        yield Shared(another)
        for store in opened:
            store.close()


@pytest.fixture
def pair(postgres: PostgresServer) -> Iterator[tuple[SqlStore, SqlStore]]:
    """Two relays of one database, ``a`` with a lease."""
    url = postgres.ready()
    with (
        closing(SqlStore.open(url, exclusive=True, name="a")) as first,
        closing(SqlStore.open(url, exclusive=True, name="b", busy_s=0.3)) as second,
    ):
        first.leases().join(A)
        second.leases().join(B)
        first.leases().take(A, [Claim("east", 0)])
        yield first, second


def test_a_taker_waits_for_a_write_that_is_under_way_and_finds_it(pair: tuple[SqlStore, SqlStore]) -> None:
    """Between the check of the number and the commit nobody can take the community."""
    first, second = pair
    taken: list[dict[str, int]] = []
    with first._engine.begin() as connection:
        check_fences(connection, {"east": 1})
        with second._engine.begin() as other:
            other.exec_driver_sql("DELETE FROM member WHERE name = 'a'")
        taker = threading.Thread(target=lambda: taken.append(second.leases().take(B, [Claim("east", 1)])))
        taker.start()
        taker.join(0.3)
        assert taker.is_alive(), "it waits"
        first._hot.write(connection, about("east"))
    taker.join(5)
    assert taken == [{"east": 2}]
    assert len(list(second.journal())) == 1
    with pytest.raises(LeaseLostError):
        first.commit(about("east", east=1))


def test_a_write_that_comes_after_a_taking_that_is_under_way_is_refused(pair: tuple[SqlStore, SqlStore]) -> None:
    first, second = pair
    refused: list[BaseException] = []

    def write() -> None:
        try:
            first.commit(about("east", east=1))
        except LeaseLostError as error:
            refused.append(error)

    with second._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE lease SET fence = 2, holder = 'run-b' WHERE community = 'east'")
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(0.3)
        assert writer.is_alive(), "it waits"
    writer.join(5)
    assert len(refused) == 1
    assert list(second.journal()) == []


def test_a_relay_stopped_in_the_middle_of_a_write_does_not_keep_its_lease(pair: tuple[SqlStore, SqlStore]) -> None:
    """Its transaction has the lease locked: burying it ends its sessions, and nothing of the write is there."""
    first, second = pair
    transaction = first._database._session.begin()  # type: ignore[attr-defined]
    connection = transaction.__enter__()
    check_fences(connection, {"east": 1})
    first._hot.write(connection, about("east"))
    leases = second.leases()
    leases.bury([leases.beat(B).members["a"]])
    assert leases.take(B, [Claim("east", 1)]) == {"east": 2}
    with pytest.raises(Exception, match=r"terminating connection|closed"):
        transaction.__exit__(None, None, None)
    with pytest.raises(LeaseLostError):
        first.commit(about("east", east=1))
    assert list(second.journal()) == []


def test_a_taker_does_not_wait_for_ever_for_a_row_that_somebody_holds(
    postgres: PostgresServer, pair: tuple[SqlStore, SqlStore]
) -> None:
    first, second = pair
    first.leases().leave(A)
    with first._engine.begin() as connection:
        connection.exec_driver_sql("SELECT 1 FROM lease WHERE community = 'east' FOR SHARE")
        with pytest.raises(StoreError) as refused:
            second.leases().take(B, [Claim("east", 1)])
        assert refused.value.retryable
    assert second.leases().take(B, [Claim("east", 1)]) == {"east": 2}


@pytest.mark.slow  # each of the two that are refused waits for the lock as long as a restart may take
def test_two_relays_of_one_name_and_one_that_wants_all_are_refused(postgres: PostgresServer) -> None:
    url = postgres.ready()
    with closing(SqlStore.open(url, exclusive=True, name="a")):
        with pytest.raises(SetupError, match="runs under the name 'a'"):
            SqlStore.open(url, exclusive=True, name="a")
        with pytest.raises(SetupError, match="owns the database"):
            SqlStore.open(url, exclusive=True)
        SqlStore.open(url, exclusive=True, name="b").close()
    SqlStore.open(url, exclusive=True, name="a").close()


def test_each_relay_knows_what_became_of_its_own_commit(pair: tuple[SqlStore, SqlStore]) -> None:
    """A commit of another relay in between is no reason to give up: marks are each relay's own."""
    first, second = pair
    second.leases().take(B, [Claim("west", 0)])
    first.commit(about("east", east=1))
    second.commit(about("west", west=1))
    first._database._session._connection.connection.driver_connection.close()  # type: ignore[attr-defined]
    batch = about("east", east=1)
    with pytest.raises(StoreError) as broken:
        first.commit(batch)
    assert broken.value.retryable
    first.commit(batch)
    assert [line.community for line in second.journal()] == ["east", "west", "east"]


def test_the_schema_is_not_changed_while_another_relay_runs(pair: tuple[SqlStore, SqlStore]) -> None:
    first, _ = pair
    with pytest.raises(SetupError, match="older release"), first._database.migrating():
        raise AssertionError("nobody may come here")


def test_a_name_is_as_long_as_a_client_id_may_be(postgres: PostgresServer) -> None:
    url, name = postgres.ready(), "n" * 57
    with closing(SqlStore.open(url, exclusive=True, name=name)) as store:
        store.leases().join(Member(name, "run"))
        store.leases().take(Member(name, "run"), [Claim("east", 0)])
        store.commit(about("east", east=1))
        assert postgres.ask("SELECT 1 FROM pg_stat_activity WHERE application_name = %s", f"relay-{name}")
