"""Pins by gpiozero's MockFactory: raw edges with their own times, levels, light and buzzer patterns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from device.adapters.gpio import GpioPins, open_factory
from device.blinker import Blinker
from device.core.role import ButtonName
from device.core.signals import LIGHT_PATTERNS, Light
from device.ports import PinEdge, UnavailableError
from tests.device.waiting import wait_until

HELP, OK = ButtonName.HELP, ButtonName.OK


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Board:
    def __init__(self, *, pull_up: bool = True, sink: Callable[[PinEdge], None] | None = None) -> None:
        self.factory = MockFactory()
        self.edges: list[PinEdge] = []
        self.pins = GpioPins(
            self.factory,
            {HELP: 17, OK: 27},
            light=22,
            buzzer=18,
            pull_up=pull_up,
            sink=sink or self.edges.append,
            now_ms=now_ms,
        )


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board()
    yield made
    made.pins.close()


def test_a_finger_makes_edges_with_their_own_times_and_the_level_follows(board: Board) -> None:
    before = now_ms()
    board.pins.drive(HELP, active=True)
    assert board.pins.level(HELP) is True
    assert board.pins.levels() == {"help": True, "ok": False}
    board.pins.drive(HELP, active=False)
    after = now_ms()
    assert [(edge.button, edge.active) for edge in board.edges] == [(HELP, True), (HELP, False)]
    assert all(before - 1 <= edge.at_ms <= after for edge in board.edges)


@pytest.mark.parametrize("pull_up", [True, False])
def test_pull_up_and_pull_down_wiring_both_begin_released(*, pull_up: bool) -> None:
    board = Board(pull_up=pull_up)
    pin = board.factory.pin(17)
    assert pin.pull == ("up" if pull_up else "down")
    assert board.pins.level(HELP) is False
    (pin.drive_low if pull_up else pin.drive_high)()
    assert board.pins.level(HELP) is True
    assert [edge.active for edge in board.edges] == [True]
    board.pins.close()


def test_the_library_does_not_debounce_behind_our_back(board: Board) -> None:
    assert board.factory.pin(17).bounce is None
    for _ in range(20):
        board.pins.drive(OK, active=True)
        board.pins.drive(OK, active=False)
    assert len(board.edges) == 40


def test_an_edge_stamped_by_another_clock_is_taken_as_now(board: Board) -> None:
    pin: Any = board.factory.pin(17)
    callback = pin._when_changed()
    callback(time.time(), False)
    callback(0.0, True)
    assert all(abs(edge.at_ms - now_ms()) < 1_000 for edge in board.edges)


def test_an_error_in_the_sink_does_not_reach_the_librarys_thread(
    allow_error_logs: list[dict[str, Any]],
) -> None:
    def broken(_edge: PinEdge) -> None:
        raise RuntimeError("full")

    board = Board(sink=broken)
    board.pins.drive(HELP, active=True)
    assert board.pins.level(HELP) is True
    assert [one["event"] for one in allow_error_logs] == ["gpio.callback_failed"]
    board.pins.close()


def test_a_steady_light_is_lit_and_a_blinking_one_toggles(board: Board) -> None:
    board.pins.show(Light.COVERED)
    wait_until(board.pins.light_lit)
    board.pins.show(Light.HEARD)
    pin = board.factory.pin(22)
    pin.clear_states()
    wait_until(lambda: len(pin.states) >= 6)
    levels = [state.state for state in pin.states]
    assert all(a != b for a, b in pairwise(levels))


@pytest.mark.parametrize("light", Light)
def test_every_light_has_a_pattern_that_a_person_can_see(light: Light) -> None:
    pattern = LIGHT_PATTERNS[light]
    assert len(pattern) == 1 or len(pattern) % 2 == 0
    assert all(60 <= ms <= 5_000 for ms in pattern)


def test_healthy_until_closed(board: Board) -> None:
    assert board.pins.healthy()
    board.pins.close()
    assert not board.pins.healthy()


def test_a_pin_that_is_held_already_may_be_free_later() -> None:
    with pytest.raises(UnavailableError, match="cannot be used"):
        GpioPins(MockFactory(), {HELP: 17}, light=17, buzzer=None, pull_up=True, sink=lambda _: None, now_ms=now_ms)


def test_no_pins_here_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "native")
    with pytest.raises(UnavailableError, match="--pins mock"):
        open_factory(tmp_path, mock=False)
    assert isinstance(open_factory(tmp_path, mock=True), MockFactory)


def test_a_pattern_played_once_ends_dark_and_says_when_it_toggles() -> None:
    written: list[bool] = []
    done = threading.Event()

    def write(lit: bool) -> None:
        written.append(lit)
        if written[-4:] == [True, False, True, False]:
            done.set()

    blinker = Blinker("test", write)
    assert blinker.toggling() is False
    blinker.blink((5, 5, 5), repeat=False)
    assert done.wait(5)
    wait_until(lambda: not blinker.toggling())
    blinker.blink((5, 5))
    assert blinker.toggling(wait_s=5)
    blinker.close()
    assert written[-1] is False
    assert not blinker.alive()
