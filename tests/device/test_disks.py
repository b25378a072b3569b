"""A disk that is full, read-only, spoilt or gone, on real file systems: the press goes out, and the fault is told."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.adapters.health import SystemHealth
from device.adapters.outbox import SqliteOutbox, make_state_dir
from device.core.role import ButtonName
from device.ports import StoreError
from device.timely import TimelyOutbox
from doorbell.wire import EventType
from tests.device.doubles import Bench
from tests.device.mounts import KINDS, Mount, mounted, mounted_image, needs_root
from tests.device.test_outbox_store import found, id_of, row
from tests.device.waiting import wait_until

pytestmark = [pytest.mark.system, needs_root]


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mount]:
    with mounted(request.param, tmp_path / "disk") as made:
        yield made


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Mount]:
    with mounted("ext4", tmp_path / "disk") as made:
        yield made


def device_on(path: Path) -> Bench:
    """A panel whose outbox is a real file, connected."""
    bench = Bench()
    bench.store = SqliteOutbox(path / "outbox.sqlite3")  # type: ignore[assignment]
    bench.boot()
    bench.connect()
    return bench


def sent(bench: Bench) -> list[str]:
    """Every event once, in order: ``help``, or a fault's code with + when it began and - when it was over."""
    told = {}
    for event in bench.events():
        detail = event.detail or {}
        fault = f"{'-' if detail.get('cleared') else '+'}{detail.get('code')}"
        told[event.id] = fault if event.type is EventType.FAULT else event.type.value
    return list(told.values())


def waiting(bench: Bench) -> set[str]:
    """The ids that the device has in memory without a receipt."""
    return {one.row.id for one in bench.runtime.state.outbox.waiting}


def on_disk(path: Path) -> set[str]:
    """The ids that a process started now would find."""
    return {one.id for one in found(path / "outbox.sqlite3").rows}


def test_a_press_goes_out_from_a_full_disk_and_is_on_it_as_soon_as_there_is_room(disk: Mount) -> None:
    bench = device_on(disk.path)
    bench.press(ButtonName.HELP)
    disk.fill()
    for _ in range(8):
        bench.press(ButtonName.HELP)
    assert sent(bench).count("help") == 9
    assert sent(bench).count("+outbox_failed") == 1
    bench.advance(60_000)
    disk.make_room()
    bench.advance(11_000)
    assert sent(bench)[-1] == "-outbox_failed"
    bench.store.close()
    assert on_disk(disk.path) == waiting(bench)
    assert len(waiting(bench)) == 10


def test_a_disk_that_is_full_from_the_start_stops_no_press(disk: Mount) -> None:
    disk.fill()
    bench = device_on(disk.path)
    bench.press(ButtonName.HELP)
    assert sorted(sent(bench)) == ["+outbox_failed", "help"]
    disk.make_room()
    bench.advance(11_000)
    bench.store.close()
    assert on_disk(disk.path) == waiting(bench)
    assert len(waiting(bench)) == 2


def test_a_press_goes_out_while_the_disk_hangs_and_is_on_it_when_it_moves_again(ext4: Mount) -> None:
    bench = Bench()
    bench.store = store = TimelyOutbox(SqliteOutbox(ext4.path / "outbox.sqlite3"), answer_s=0.5)  # type: ignore[assignment]
    bench.boot()
    bench.connect()
    with ext4.hanging():
        bench.press(ButtonName.HELP)
        bench.press(ButtonName.HELP)
        assert sent(bench) == ["help", "+outbox_failed", "help"]

    def moves() -> bool:
        bench.advance(5_000)
        return sent(bench)[-1] == "-outbox_failed"

    wait_until(moves)
    bench.advance(5_000)
    store.close()
    wait_until(lambda: not store.alive())
    assert on_disk(ext4.path) == waiting(bench)
    assert len(waiting(bench)) == 3


def test_what_lies_on_a_full_disk_is_sent(disk: Mount) -> None:
    killed_with_rows(disk.path / "outbox.sqlite3")
    disk.fill()
    bench = device_on(disk.path)
    bench.press(ButtonName.HELP)
    assert {id_of(1), id_of(2)} < {event.id for event in bench.events()}
    assert sent(bench).count("help") == 3
    disk.make_room()
    bench.advance(11_000)
    bench.store.close()
    assert on_disk(disk.path) == waiting(bench)
    assert {id_of(1), id_of(2)} < waiting(bench)


def test_a_press_goes_out_from_a_disk_that_turns_read_only_by_itself(ext4: Mount) -> None:
    """What ext4 does when the card gives errors; the health says what the kernel says."""
    bench = device_on(ext4.path)
    source = SystemHealth(ext4.path)
    assert (source.read().disk_read_only, source.read().disk_errors) == (False, 0)
    bench.press(ButtonName.HELP)
    ext4.remount("abort")
    bench.press(ButtonName.HELP)
    assert sent(bench) == ["help", "help", "+outbox_failed"]
    bench.health.now = source.read()
    assert (bench.health.now.disk_errors or 0) > 0
    bench.advance(60_000)
    assert "+disk_failing" in sent(bench)[3:]  # statvfs calls it read-only as well, but not since kernel 6.15
    bench.store.close()


def killed_with_rows(path: Path) -> None:
    """An outbox at ``path`` as a process leaves it that was killed: two presses, and they are in the log only."""
    scratch = path.with_name("scratch")
    scratch.mkdir()
    store = SqliteOutbox(scratch / path.name)
    store.commit((row(1), row(2)), ())
    for suffix in ("", "-wal"):
        shutil.copyfile(scratch / f"{path.name}{suffix}", path.with_name(f"{path.name}{suffix}"))
    store.close()
    shutil.rmtree(scratch)


def test_what_lies_on_a_disk_that_came_back_read_only_is_sent(disk: Mount) -> None:
    """The power went, the card did not survive it: the press from before is in a log that nobody can fold in."""
    killed_with_rows(disk.path / "outbox.sqlite3")
    disk.remount("ro")
    assert SystemHealth(disk.path).read().disk_read_only is True
    bench = device_on(disk.path)
    assert {event.id for event in bench.events()} == {id_of(1), id_of(2)}
    bench.press(ButtonName.HELP)
    assert sent(bench)[2:] == ["help", "+outbox_failed"]
    disk.remount("rw")
    bench.desire(stored=(id_of(1),))
    bench.advance(11_000)
    bench.store.close()
    assert on_disk(disk.path) == waiting(bench)
    assert id_of(2) in on_disk(disk.path)


@pytest.mark.parametrize("seed", range(40))
def test_spoilt_bytes_anywhere_stop_nothing(tmp_path: Path, seed: int) -> None:
    chance, path = random.Random(seed), tmp_path / "outbox.sqlite3"
    if seed % 2:
        killed_with_rows(path)
    else:
        store = SqliteOutbox(path)
        store.commit((row(1), row(2)), ())
        store.close()
    for file in tmp_path.iterdir():
        content = bytearray(file.read_bytes())
        for _ in range(chance.choice([1, 5, 200])):
            at = chance.randrange(len(content))
            content[at : at + chance.choice([1, 16, 4_096])] = chance.randbytes(1)
        file.write_bytes(content)
    bench = device_on(tmp_path)
    bench.press(ButtonName.HELP)
    bench.advance(11_000)
    assert "help" in sent(bench)
    bench.store.close()
    assert on_disk(tmp_path) == waiting(bench)


@pytest.mark.parametrize("gone", ["directory", "file"])
def test_an_outbox_that_is_deleted_under_us_is_noticed_at_the_next_press_and_made_again(
    tmp_path: Path, gone: str
) -> None:
    directory = tmp_path / "state"
    directory.mkdir()
    bench = device_on(directory)
    bench.press(ButtonName.HELP)
    if gone == "directory":
        shutil.rmtree(directory)
    else:
        (directory / "outbox.sqlite3").unlink()
    bench.press(ButtonName.HELP)
    assert sent(bench)[:3] == ["help", "help", "+outbox_failed"]
    directory.mkdir(exist_ok=True)
    bench.advance(11_000)
    assert sent(bench)[-1] == "-outbox_failed"
    assert len(waiting(bench)) == 3
    bench.store.close()
    assert on_disk(directory) == waiting(bench)


def test_the_image_of_a_cut_has_what_was_forced_to_the_disk_and_nothing_else(ext4: Mount, tmp_path: Path) -> None:
    """The harness itself: without this the tests below could not fail."""
    (ext4.path / "held").write_text("in memory only")
    with (ext4.path / "forced").open("w") as file:
        file.write("on disk")
        file.flush()
        os.fsync(file.fileno())
    (ext4.path / "late").write_text("in memory only")
    ext4.cut(tmp_path / "cut.img")
    with mounted_image(tmp_path / "cut.img", tmp_path / "after") as after:
        assert (after / "forced").read_text() == "on disk"
        assert not (after / "late").exists()
        assert not (after / "held").exists() or (after / "held").read_text() == ""


def test_a_power_cut_right_after_the_very_first_commit_loses_nothing(ext4: Mount, tmp_path: Path) -> None:
    state_dir = ext4.path / "lib" / "doorbell"
    make_state_dir(state_dir)
    store = SqliteOutbox(state_dir / "outbox.sqlite3")
    store.commit((row(1),), ())
    ext4.cut(tmp_path / "cut.img")
    store.close()
    with mounted_image(tmp_path / "cut.img", tmp_path / "after") as after:
        assert on_disk(after / "lib" / "doorbell") == {id_of(1)}


def test_a_power_cut_after_any_commit_loses_nothing_and_brings_nothing_back(ext4: Mount, tmp_path: Path) -> None:
    store = SqliteOutbox(ext4.path / "outbox.sqlite3")
    wanted: set[str] = set()
    for seq in range(24):
        done = id_of(seq - 3)
        store.commit((row(seq),), (done,))
        wanted = (wanted | {id_of(seq)}) - {done}
        if seq % 4 == 0:
            ext4.cut(tmp_path / "cut.img")
            with mounted_image(tmp_path / "cut.img", tmp_path / "after") as after:
                assert on_disk(after) == wanted
    store.close()


def test_a_state_directory_that_cannot_be_made_is_an_os_error(disk: Mount) -> None:
    disk.remount("ro")
    with pytest.raises(OSError, match="Read-only"):
        make_state_dir(disk.path / "lib" / "doorbell")
    make_state_dir(disk.path)


def test_a_store_error_names_the_file_and_the_reason(disk: Mount) -> None:
    store = SqliteOutbox(disk.path / "outbox.sqlite3")
    store.load()
    disk.fill()
    with pytest.raises(StoreError, match=r"outbox.sqlite3: .*full"):
        store.commit([row(seq) for seq in range(500)], ())
    store.close()
