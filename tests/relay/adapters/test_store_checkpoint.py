"""The write-ahead log goes back into the database file beside the commits, and begins anew before it is endless."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from relay.adapters import store_checkpoint
from relay.adapters.store import SqlStore
from relay.adapters.store_checkpoint import LIMIT_PAGES, Checkpoints
from relay.ports import Batch, EventRow
from tests.relay.rows import T0, uid

MANY = 3_000
"""Commits after which it must have happened; a dozen is enough on an idle machine."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.sqlite3"


@pytest.fixture
def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlStore]:
    monkeypatch.setattr(store_checkpoint, "PASS_PAGES", 40)
    monkeypatch.setattr(store_checkpoint, "LONG_PAGES", 80)
    store = SqlStore.open(path, exclusive=True)
    yield store
    store.close()


def an_event(number: int) -> Batch:
    row = EventRow(uid(number), "xihu", "panel-liu", "test", T0, T0, None, "recorded", b"x" * 3_000)
    return Batch(events=[row])


def beginnings(path: Path) -> int:
    """How often the log began anew: a number in its head (sqlite.org/fileformat2.html, section 4.1)."""
    head = path.with_name(f"{path.name}-wal").read_bytes()[:16]
    return int.from_bytes(head[12:16], "big")


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_a_log_that_gets_long_is_carried_over_and_begins_anew_without_a_commit_that_does_it(
    path: Path, store: SqlStore
) -> None:
    """A commit that did it kept every press waiting for 10 ms and more, several times a second in a flood."""
    first, number = beginnings(path), 0
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar() == LIMIT_PAGES
    while beginnings(path) < first + 3:
        store.commit(an_event(number))
        number += 1
        assert number < MANY, "the log grows for ever"
    store.close()
    with closing(SqlStore.open(path, exclusive=True)) as again:
        ids = [uid(n) for n in range(number)]
        assert again.known_events(ids) == set(ids)


def test_a_pass_that_fails_harms_no_commit_and_is_made_again(
    path: Path, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, whole, broken = 0, Checkpoints._carry_over, threading.Event()

    def refuse(self: Checkpoints, connection: sqlite3.Connection) -> None:
        nonlocal refused
        if broken.is_set():
            refused += 1
            raise sqlite3.OperationalError("disk I/O error")
        whole(self, connection)

    broken.set()
    monkeypatch.setattr(Checkpoints, "_carry_over", refuse)
    first, number = beginnings(path), 0
    while beginnings(path) == first:
        store.commit(an_event(number))
        number += 1
        if refused > 2:
            broken.clear()
        assert number < MANY, "never tried again"
    assert store.known_events([uid(n) for n in range(number)]) == {uid(n) for n in range(number)}


def test_the_thread_ends_with_the_store(store: SqlStore) -> None:
    for number in range(10):
        store.commit(an_event(number))
    assert "checkpoints" in threads()
    store.close()
    assert "checkpoints" not in threads()


def test_who_does_not_own_the_database_starts_no_thread(path: Path, store: SqlStore) -> None:
    with closing(SqlStore.open(path)) as office:
        for number in range(10):
            office.commit(an_event(number))
        assert "checkpoints" not in threads()
