"""The outbox's disk: one contract for the real store and the double, then what only a disk can do wrong."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device.adapters.outbox import MAX_SET_ASIDE, SqliteOutbox
from device.core.effects import OutboxRow
from device.ports import OutboxStore, StoreError
from doorbell.wire import ClockState, EventType
from tests.device.doubles import ALARM, START, MemoryStore

Reopen = Callable[[], OutboxStore]


def row(seq: int, kind: EventType = EventType.HELP, **more: object) -> OutboxRow:
    fields = {"alarm": None, "detail": None, **more}
    return OutboxRow(seq, f"id-{seq}", kind, START, ClockState.SYNCED, "boot-1", 5_000 + seq, **fields)  # type: ignore[arg-type]


@pytest.fixture(params=["sqlite", "memory"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """Each call is a new process that opens the same outbox."""
    memory, opened = MemoryStore(), []

    def open_again() -> OutboxStore:
        if request.param == "memory":
            return memory
        opened.append(SqliteOutbox(tmp_path / "outbox.sqlite3"))
        return opened[-1]

    yield open_again
    for store in opened:
        store.close()


def test_an_empty_outbox_has_nothing(reopen: Reopen) -> None:
    stored = reopen().load()
    assert (stored.rows, stored.next_seq, stored.trouble) == ((), 0, None)


def test_what_is_committed_is_there_again_in_every_field_and_in_order(reopen: Reopen) -> None:
    rows = (
        row(7, EventType.ACCEPT, alarm=ALARM),
        row(3),
        row(9, EventType.FAULT, detail={"code": "button_stuck", "text": "坏了", "cleared": False}),
    )
    reopen().commit(rows, ())
    stored = reopen().load()
    assert stored.rows == tuple(sorted(rows, key=lambda r: r.seq))
    assert stored.next_seq == 10


def test_numbers_are_not_used_again_after_rows_are_deleted(reopen: Reopen) -> None:
    store = reopen()
    store.commit((row(7), row(8)), ())
    store.commit((), ("id-7", "id-8"))
    stored = reopen().load()
    assert (stored.rows, stored.next_seq) == ((), 9)


def test_the_same_row_again_and_an_unknown_id_are_no_error(reopen: Reopen) -> None:
    store = reopen()
    store.commit((row(1),), ("nobody",))
    store.commit((row(1),), ())
    assert [one.id for one in reopen().load().rows] == ["id-1"]


def test_another_event_under_a_number_that_is_taken_is_refused_and_not_swallowed(tmp_path: Path) -> None:
    store = SqliteOutbox(tmp_path / "outbox.sqlite3")
    store.commit((row(1),), ())
    with pytest.raises(StoreError, match="UNIQUE"):
        store.commit((replace(row(1), id="another"),), ())
    assert store.load().rows == (row(1),)
    store.close()


def corrupt_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"this is no database" * 100),
        corrupt_middle,
        lambda path: sqlite3.connect(path).execute("DROP TABLE event").connection.close(),
        lambda path: path.write_bytes(path.read_bytes()[:5_000]),
    ],
    ids=["not_a_database", "torn_pages", "table_gone", "truncated"],
)
def test_a_corrupt_file_is_set_aside_and_a_new_one_works(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "outbox.sqlite3"
    store = SqliteOutbox(path)
    store.commit((row(1), row(2)), ())
    store.close()
    damage(path)
    store = SqliteOutbox(path)
    stored = store.load()
    assert stored.trouble is not None
    assert "outbox.sqlite3.corrupt-1" in stored.trouble
    assert (tmp_path / "outbox.sqlite3.corrupt-1").exists()
    store.commit((row(5),), ())
    store.close()
    again = SqliteOutbox(path).load()
    assert again.trouble is None
    assert row(5) in again.rows


def test_rows_before_the_damage_are_saved(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    store = SqliteOutbox(path)
    store.commit((row(1), row(2)), ())
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO event VALUES (3, 'x', 'no such type', 'y', 'z', 'b', 1, NULL, NULL)")
    connection.commit()
    connection.close()
    stored = SqliteOutbox(path).load()
    assert stored.rows == (row(1), row(2))
    assert stored.next_seq == 3


def test_set_aside_files_do_not_fill_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    for _ in range(MAX_SET_ASIDE + 3):
        path.write_bytes(b"rubbish" * 1000)
        store = SqliteOutbox(path)
        assert store.load().trouble is not None
        store.close()
    assert len(list(tmp_path.glob("*.corrupt-?"))) == MAX_SET_ASIDE


def test_a_disk_that_refuses_is_a_store_error_with_nothing_done_and_works_again_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    store = SqliteOutbox(path)
    store.commit((row(1),), ())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        store.commit((row(2),), ("id-1",))
    other.execute("ROLLBACK")
    other.close()
    store.commit((row(3),), ())
    assert [one.id for one in store.load().rows] == ["id-1", "id-3"]
    store.close()


def test_a_directory_that_is_missing_is_a_store_error_until_it_is_there(tmp_path: Path) -> None:
    store = SqliteOutbox(tmp_path / "gone" / "outbox.sqlite3")
    with pytest.raises(StoreError):
        store.load()
    (tmp_path / "gone").mkdir()
    assert store.load().rows == ()
    store.close()


_WRITER = """
import sys
from pathlib import Path
from device.adapters.outbox import SqliteOutbox
from tests.device.test_outbox_store import row
store = SqliteOutbox(Path(sys.argv[1]))
for seq in range(100_000):
    store.commit((row(seq),), ())
    print(seq, flush=True)
"""


@pytest.mark.system
def test_every_commit_that_returned_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)],
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(200)]
        writer.send_signal(signal.SIGKILL)
        told += [int(line) for line in writer.stdout if line.endswith(b"\n")]
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("outbox.sqlite3*"):
        shutil.copy(file, copy)
    stored = SqliteOutbox(copy / "outbox.sqlite3").load()
    assert stored.trouble is None
    assert {one.seq for one in stored.rows} >= set(told)
