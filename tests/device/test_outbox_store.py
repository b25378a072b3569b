"""The outbox's disk: one contract for the real store and the double, then what only a disk can do wrong."""

from __future__ import annotations

import errno
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

from device.adapters.outbox import MAX_SET_ASIDE, SqliteOutbox, make_state_dir, read_copy
from device.core.effects import OutboxRow
from device.ports import OutboxStore, StoredOutbox, StoreError
from device.timely import TimelyOutbox
from doorbell.wire import ClockState, EventType
from tests.device.doubles import ALARM, START, MemoryStore

Reopen = Callable[[], OutboxStore]


def id_of(seq: int) -> str:
    return f"00000000-0000-4000-8000-{max(seq, 0):012x}"


def row(seq: int, kind: EventType = EventType.HELP, **more: object) -> OutboxRow:
    fields = {"alarm": None, "detail": None, **more}
    return OutboxRow(seq, id_of(seq), kind, START, ClockState.SYNCED, "boot-1", 5_000 + seq, **fields)  # type: ignore[arg-type]


def found(path: Path) -> StoredOutbox:
    """What a process started now would find; it ends at once, and lets the file go."""
    store = SqliteOutbox(path)
    try:
        return store.load()
    finally:
        store.close()


@pytest.fixture(params=["sqlite", "timely", "memory"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """Each call is a new process that opens the same outbox."""
    memory, opened = MemoryStore(), list[SqliteOutbox | TimelyOutbox]()

    def open_again() -> OutboxStore:
        if request.param == "memory":
            return memory
        while opened:
            opened.pop().close()
        store = SqliteOutbox(tmp_path / "outbox.sqlite3")
        opened.append(TimelyOutbox(store) if request.param == "timely" else store)
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
    store.commit((), (id_of(7), id_of(8)))
    stored = reopen().load()
    assert (stored.rows, stored.next_seq) == ((), 9)


def test_numbers_that_were_reserved_are_not_used_again_though_nothing_was_ever_kept(reopen: Reopen) -> None:
    store = reopen()
    store.reserve(1_000)
    store.reserve(900)
    assert reopen().load().next_seq == 1_000
    store = reopen()
    store.commit((row(1_500),), ())
    store.reserve(1_400)
    assert reopen().load().next_seq == 1_501


def test_the_same_row_again_and_an_unknown_id_are_no_error(reopen: Reopen) -> None:
    store = reopen()
    store.commit((row(1),), ("nobody",))
    store.commit((row(1),), ())
    assert [one.id for one in reopen().load().rows] == [id_of(1)]


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
    again = found(path)
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
    stored = found(path)
    assert stored.rows == (row(1), row(2))
    assert stored.next_seq == 3


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "no id"),
        ("at", "2026-11-23T06:43:00"),
        ("at", "yesterday"),
        ("clock", "?"),
        ("alarm", "x"),
        ("detail", "[]"),
    ],
)
def test_a_press_that_cannot_be_read_any_more_is_still_a_press(tmp_path: Path, column: str, value: str) -> None:
    """It used to end the process at every start."""
    path = tmp_path / "outbox.sqlite3"
    store = SqliteOutbox(path)
    store.commit((row(1), row(2, EventType.OK), row(3)), ())
    store.close()
    connection = sqlite3.connect(path)
    for seq in (1, 2):
        spoilt = f"{value} {seq}" if column == "id" else value
        connection.execute(f"UPDATE event SET {column} = ? WHERE seq = ?", (spoilt, seq))  # noqa: S608 - names of ours
    connection.commit()
    connection.close()
    stored = found(path)
    mended, kept = stored.rows
    assert kept == row(3)
    assert (mended.seq, mended.type, mended.clock) == (1, EventType.HELP, ClockState.UNSYNCED)
    assert stored.trouble is not None
    again = found(path)
    assert (again.rows, again.trouble) == (stored.rows, None)


class _Cut(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("renames", range(4))
def test_a_power_cut_between_any_two_renames_of_the_set_aside_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    path = tmp_path / "outbox.sqlite3"
    store = SqliteOutbox(path)
    store.commit((row(1), row(2)), ())
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO event VALUES (3, 'x', 'no such type', 'y', 'z', 'b', 1, NULL, NULL)")
    connection.commit()
    connection.close()
    left, rename = [renames], Path.replace

    def cut(one: Path, other: Path) -> Path:
        if left[0] == 0:
            raise _Cut
        left[0] -= 1
        return rename(one, other)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", cut)
        try:
            found(path)
        except _Cut:
            cut_short = True
        else:
            cut_short = False
    assert cut_short is (renames < 3)
    stored = found(path)
    assert stored.rows == (row(1), row(2))
    again = found(path)
    assert (again.rows, again.trouble) == (stored.rows, None)
    assert not list(tmp_path.glob("*.new*"))


def test_what_a_power_cut_left_beside_a_corrupt_file_is_read_from_a_disk_that_is_read_only_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to end the device at every start."""
    path = tmp_path / "outbox.sqlite3"
    path.write_bytes(b"this is no database" * 100)
    store = SqliteOutbox(tmp_path / "outbox.sqlite3.new")
    store.commit((row(1), row(2)), ())
    store.close()

    def refuse(_one: Path, _other: Path) -> Path:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refuse)
        store = SqliteOutbox(path)
        assert store.load().rows == (row(1), row(2))
        with pytest.raises(StoreError, match="Read-only"):
            store.commit((row(3),), ())
        (tmp_path / "outbox.sqlite3.new").write_bytes(b"nor is this")
        with pytest.raises(StoreError, match="Read-only"):
            store.load()


@pytest.mark.parametrize("lost", ["nothing", "file", "log"])
def test_a_corrupt_files_log_is_never_played_into_the_new_file(tmp_path: Path, lost: str) -> None:
    """The power went at any moment of putting the new file in place."""
    path, old, new = (tmp_path / name for name in ("outbox.sqlite3", "old", "outbox.sqlite3.new"))
    store = SqliteOutbox(old)
    store.commit((row(1), row(2)), ())
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{old}{suffix}", f"{path}{suffix}")
    store.close()
    store = SqliteOutbox(new)
    store.commit((row(7),), ())
    store.close()
    if lost != "nothing":
        Path(f"{path}{'-wal' if lost == 'log' else ''}").unlink()
    stored = found(path)
    assert (stored.rows, stored.next_seq, stored.trouble) == ((row(7),), 8, None)
    assert not new.exists()


def test_every_directory_that_is_made_is_known_to_the_disk_of_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    fsync = os.fsync

    def note(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").readlink())
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    make_state_dir(tmp_path / "lib" / "doorbell")
    assert synced == [tmp_path, tmp_path / "lib"]
    make_state_dir(tmp_path / "lib" / "doorbell")
    assert synced == [tmp_path, tmp_path / "lib"]


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
    store.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        store.commit((row(2),), (id_of(1),))
    other.execute("ROLLBACK")
    other.close()
    store.commit((row(3),), ())
    assert [one.id for one in store.load().rows] == [id_of(1), id_of(3)]
    store.close()


def test_a_directory_that_is_missing_is_a_store_error_until_it_is_there(tmp_path: Path) -> None:
    store = SqliteOutbox(tmp_path / "gone" / "outbox.sqlite3")
    with pytest.raises(StoreError):
        store.load()
    (tmp_path / "gone").mkdir()
    assert store.load().rows == ()
    store.close()


def test_an_outbox_is_read_beside_its_owner_log_and_all(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    store = SqliteOutbox(path)
    store.commit((row(1),), ())
    store.commit((row(2),), (id_of(1),))
    assert read_copy(path).rows == (row(2),)
    store.commit((row(3),), ())
    store.close()
    assert read_copy(path).rows == (row(2), row(3))
    assert read_copy(path).next_seq == 4
    for bad in (tmp_path / "none", path.with_name("rubbish")):
        with pytest.raises(StoreError, match=bad.name):
            read_copy(bad)
        bad.with_name("rubbish").write_bytes(b"rubbish" * 999)
    assert not (tmp_path / "none").exists()


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
    stored = found(copy / "outbox.sqlite3")
    assert stored.trouble is None
    assert {one.seq for one in stored.rows} >= set(told)
