"""The machine of tests/relay/lease_machine.py on real databases."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from relay.adapters.store import SqlStore
from relay.ports import LeaseStore, Store
from sim.stores import MemoryStore
from tests.postgres import PostgresServer
from tests.relay.lease_machine import LeaseMachine


@cache
def _migrated() -> bytes:
    """An empty database, as the migrations make it: they would be most of the test."""
    with tempfile.TemporaryDirectory(prefix="leases-") as folder:
        path = Path(folder) / "relay.sqlite3"
        SqlStore.open(path).close()
        return path.read_bytes()


class MemoryMachine(LeaseMachine):
    """In memory: many examples."""

    def __init__(self) -> None:
        self._store = MemoryStore()
        super().__init__()

    def open_shared(self, name: str) -> tuple[Store, LeaseStore]:
        return self._store, self._store.leases


class SqliteLeases(LeaseMachine):
    """On SQLite, in a file that each relay opens for itself."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="leases-"))
        (self._folder / "relay.sqlite3").write_bytes(_migrated())
        self._opened: list[SqlStore] = []
        super().__init__()

    def open_shared(self, name: str) -> tuple[Store, LeaseStore]:
        store = SqlStore.open(self._folder / "relay.sqlite3")
        self._opened.append(store)
        return store, store.leases()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            for store in self._opened:
                store.close()
            shutil.rmtree(self._folder)


class PostgresLeases(LeaseMachine):
    """On PostgreSQL, each relay with a session of its own name."""

    server: PostgresServer

    def __init__(self) -> None:
        self._url = self.server.ready()
        self._opened: list[SqlStore] = []
        super().__init__()

    def open_shared(self, name: str) -> tuple[Store, LeaseStore]:
        store = SqlStore.open(self._url, exclusive=True, name=name)
        self._opened.append(store)
        return store, store.leases()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            for store in self._opened:
                store.close()


@pytest.mark.parametrize("examples", [1, pytest.param(25, marks=pytest.mark.slow)])
def test_postgres(postgres: PostgresServer, examples: int) -> None:
    class Bound(PostgresLeases):
        server = postgres

    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


@pytest.mark.slow
def test_sqlite_at_length() -> None:
    run_state_machine_as_test(
        SqliteLeases,
        settings=settings(
            max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestSqliteLeases = SqliteLeases.TestCase
TestSqliteLeases.settings = settings(
    max_examples=2, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
