"""The stores that there are, held to the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.adapters.store import SqlStore
from relay.ports import Batch, StoreError
from sim.stores import MemoryStore
from tests.postgres import PostgresServer
from tests.relay.rows import an_alarm, raising
from tests.relay.store_contract import Reopen, StoreContract


class TestSqlite(StoreContract):
    """SQLite, in a file."""

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[list[SqlStore]]:
        stores = [SqlStore.open(tmp_path / "relay.sqlite3", exclusive=True)]
        yield stores
        stores[-1].close()

    @pytest.fixture
    def store(self, opened: list[SqlStore]) -> SqlStore:
        return opened[0]

    @pytest.fixture
    def reopen(self, opened: list[SqlStore], tmp_path: Path) -> Iterator[Reopen]:
        readers: list[SqlStore] = []

        def another() -> SqlStore:
            readers.append(SqlStore.open(tmp_path / "relay.sqlite3"))
            return readers[-1]

        yield another
        for reader in readers:
            reader.close()


class TestPostgres(StoreContract):
    """PostgreSQL, on a server of the tests' own."""

    @pytest.fixture
    def url(self, postgres: PostgresServer) -> str:
        return postgres.ready()

    @pytest.fixture
    def opened(self, url: str) -> Iterator[list[SqlStore]]:
        stores = [SqlStore.open(url, exclusive=True)]
        yield stores
        stores[-1].close()

    @pytest.fixture
    def store(self, opened: list[SqlStore]) -> SqlStore:
        return opened[0]

    @pytest.fixture
    def reopen(self, opened: list[SqlStore], url: str) -> Iterator[Reopen]:
        readers: list[SqlStore] = []

        def another() -> SqlStore:
            readers.append(SqlStore.open(url))
            return readers[-1]

        yield another
        for reader in readers:
            reader.close()


class TestMemory(StoreContract):
    """The village's store."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def reopen(self, store: MemoryStore) -> Reopen:
        return lambda: store


def test_the_village_can_make_commits_and_reads_fail() -> None:
    store = MemoryStore()
    store.fail_commits = 1
    with pytest.raises(StoreError) as caught:
        store.commit(raising(an_alarm()))
    assert caught.value.retryable
    assert store.load().alarms == {}
    store.commit(raising(an_alarm()))
    store.fail_reads = 1
    with pytest.raises(StoreError) as caught:
        store.poll()
    assert caught.value.retryable
    assert store.load().alarms == {an_alarm().id: an_alarm()}
    store.commit(Batch())
