"""Proof of life of the GPIO library: its thread, the edges that it tells, its errors, the place of its pipe."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from device.adapters import gpio
from device.core.role import ButtonName
from tests.device.boards import HELP, OK, Board


class DeafBoard(Board):
    """Levels change and no edge tells it, as when lgpio's notification thread has died. Time moves when told."""

    def __init__(self) -> None:
        self.now = 1_000
        super().__init__(clock=lambda: self.now)
        self.deafen(True)

    def deafen(self, deaf: bool) -> None:
        for pin in (17, 27):
            self.line(pin).edges = "none" if deaf else "both"

    def look(self, *, after_ms: int) -> bool:
        """Read every level, as the poll does; whether the pins call themselves healthy then."""
        self.now += after_ms
        self.pins.levels()
        return self.pins.healthy()


def test_a_level_that_no_edge_told_is_evidence_against_the_library_until_an_edge_comes() -> None:
    board = DeafBoard()
    assert board.look(after_ms=2_000)
    board.pins.drive(HELP, active=True)
    assert board.look(after_ms=2_000)  # the edge may be under way
    assert board.look(after_ms=249)
    assert not board.look(after_ms=1)
    board.pins.drive(HELP, active=False)
    assert not board.look(after_ms=5_000)
    board.deafen(False)
    board.pins.drive(OK, active=True)
    assert board.look(after_ms=2_000)
    board.pins.close()


def test_a_short_press_without_edges_is_evidence_too() -> None:
    board = DeafBoard()
    board.pins.drive(HELP, active=True)
    assert board.look(after_ms=2_000)
    board.pins.drive(HELP, active=False)
    assert not board.look(after_ms=2_000)
    board.pins.close()


def test_an_edge_that_comes_late_clears_the_doubt() -> None:
    board = DeafBoard()
    board.pins.drive(HELP, active=True)
    assert board.look(after_ms=2_000)
    board.deafen(False)
    board.line(17)._call_when_changed()
    assert all(board.look(after_ms=2_000) for _ in range(3))
    board.pins.close()


@pytest.mark.parametrize("held", [HELP, OK])
def test_a_button_that_is_held_from_before_the_start_is_no_evidence(held: ButtonName) -> None:
    board = DeafBoard()
    board.pins.drive(held, active=True)
    board.pins._lines[held].listen(lambda *_: None)
    assert all(board.look(after_ms=2_000) for _ in range(3))
    board.pins.close()


def test_without_the_librarys_thread_the_pins_are_not_healthy() -> None:
    board = Board()
    ended = threading.Thread(target=lambda: None)
    board.pins._notifier = threading.current_thread()
    assert board.pins.healthy()
    ended.start()
    ended.join()
    board.pins._notifier = ended
    assert not board.pins.healthy()
    board.pins.close()


_LGPIO = """
import struct, sys, threading
from pathlib import Path
import gpiozero.pins.lgpio, lgpio
from device.adapters.gpio import notification_thread

threading.excepthook = lambda _: None
factory = object.__new__(gpiozero.pins.lgpio.LGPIOFactory)  # a chip is not needed for the thread, which is the module's
thread = notification_thread(factory)
seen, told = [], threading.Event()

def callback(chip, gpio, level, tick):
    seen.append(level)
    told.set()
    if level == 0:
        raise RuntimeError("as a callback that was not wrapped")

lgpio.callback(0, 17, lgpio.BOTH_EDGES, callback)
pipe = next(Path(sys.argv[1]).glob(".lgd-nfy*"))
with pipe.open("wb") as kernel:
    for level in (1, 0):
        kernel.write(struct.pack("QBBBBI", 1, 0, 17, level, 0, 0))
        kernel.flush()
        told.wait(20)
        told.clear()
        if level:
            print(thread.is_alive())
    thread.join(20)
print(seen, thread.is_alive())
"""


def test_the_real_lgpios_thread_is_found_and_its_death_is_seen(tmp_path: Path) -> None:
    """The real library on its real pipe: one callback that raises ends the only thread that tells edges."""
    done = subprocess.run(
        [sys.executable, "-c", _LGPIO, str(tmp_path)],
        env={**os.environ, "LG_WD": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split("\n")[:2] == ["True", "[1, 0] False"], done.stderr


_NO_CHIP = """
import sys
from pathlib import Path
import gpiozero.pins.local
gpiozero.pins.local.get_pi_revision = lambda: 0xC04170
from device.adapters.gpio import open_factory
from device.ports import UnavailableError
try:
    open_factory(Path(sys.argv[1]), mock=False)
except UnavailableError as error:
    print(error)
"""


def test_lgpios_own_error_is_no_bug_of_ours(tmp_path: Path) -> None:
    """A Pi whose chip is not up yet: lgpio raises a class that is a plain Exception; it must be tried again later."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GPIOZERO", "LG_"))}
    done = subprocess.run(
        [sys.executable, "-c", _NO_CHIP, str(tmp_path)],
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "no GPIO pins here (error: 'can not open gpiochip')" in done.stdout, done.stderr
    assert [path.name[:8] for path in tmp_path.iterdir()] == [".lgd-nfy"]


def test_the_pipe_goes_where_it_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that has turned read-only must not cost the pins."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}:/other")
    assert gpio._pipe_dir(Path("/proc")) == str(tmp_path)
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/nowhere")
    assert gpio._pipe_dir(tmp_path) == str(tmp_path)
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    assert gpio._pipe_dir(Path("/nowhere")) == tempfile.gettempdir()
