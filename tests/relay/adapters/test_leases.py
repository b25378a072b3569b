"""The stores of leases that there are, held to the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.adapters.store import SqlStore
from relay.ports import LeaseStore
from sim.stores import MemoryStore
from tests.relay.lease_contract import LeaseContract, Shared


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
