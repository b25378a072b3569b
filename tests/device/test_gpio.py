"""Pins by gpiozero's MockFactory: raw edges with their own times, levels, light and buzzer patterns."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from device.adapters import gpio
from device.adapters.gpio import open_factory, switch_outputs_off
from device.blinker import Blinker
from device.core.signals import LIGHT_COLOURS, LIGHT_PATTERNS, PRIMARIES_OF, Colour, Light, Primary
from device.ports import PinEdge, UnavailableError
from device.wiring import ButtonWire, Level, OutputWire, Pull, Wiring
from tests.device.boards import BUTTONS, HELP, HIGH, LOW, OK, Board, now_ms, rgb
from tests.device.waiting import wait_until


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


@pytest.mark.parametrize("pull", Pull)
@pytest.mark.parametrize("active", Level)
def test_every_way_of_wiring_a_button_begins_released_and_is_pressed(pull: Pull, active: Level) -> None:
    board = Board(Wiring({HELP: ButtonWire(17, pull, active)}))
    pin = board.line(17)
    assert pin.pull == {Pull.UP: "up", Pull.DOWN: "down", Pull.NONE: "floating"}[pull]
    assert board.pins.level(HELP) is False
    (pin.drive_low if active is LOW else pin.drive_high)()
    assert board.pins.level(HELP) is True
    (pin.drive_high if active is LOW else pin.drive_low)()
    assert [edge.active for edge in board.edges] == [True, False]
    board.pins.drive(HELP, active=True)
    assert board.pins.levels() == {"help": True}
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
    pin = board.line(22)
    pin.clear_states()
    wait_until(lambda: len(pin.states) >= 6)
    levels = [state.state for state in pin.states]
    assert all(a != b for a, b in pairwise(levels))


@pytest.mark.parametrize("active", Level)
@pytest.mark.parametrize("light", Light)
def test_a_light_of_several_lamps_blinks_in_its_colour_and_no_other(
    light: Light, active: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every lamp of the colour follows the pattern, the others stay dark, whatever was shown before."""
    quick = {one: tuple(max(2, ms // 50) for ms in pattern) for one, pattern in LIGHT_PATTERNS.items()}
    monkeypatch.setattr(gpio, "LIGHT_PATTERNS", quick)
    before = Light.COMING if LIGHT_COLOURS[light] is not LIGHT_COLOURS[Light.COMING] else Light.UNREACHABLE
    board = Board(Wiring({}, rgb(active)))
    board.pins.show(before)
    wait_until(board.pins.light_lit)
    board.pins.show(light)
    shining = PRIMARIES_OF[LIGHT_COLOURS[light]]
    lit = {wire.primary: board.line(wire.pin) for wire in rgb(active)}

    def shows() -> set[Primary | None]:
        return {primary for primary, pin in lit.items() if pin.state is (active is HIGH)}

    wait_until(lambda: shows() == shining)
    if len(LIGHT_PATTERNS[light]) > 1:
        for pin in lit.values():
            pin.clear_states()
        wait_until(lambda: all(len(lit[primary].states) >= 4 for primary in shining))
        assert all(len(lit[primary].states) == 1 for primary in set(Primary) - shining)
        assert all(lit[primary].states[0].state is (active is LOW) for primary in set(Primary) - shining)
    board.pins.close()


def test_a_colour_of_the_settings_is_shown() -> None:
    board = Board(Wiring({}, rgb(HIGH)), colours=LIGHT_COLOURS | {Light.READY: Colour.MAGENTA})
    board.pins.show(Light.READY)
    wait_until(lambda: [board.line(pin).state for pin in (22, 23, 24)] == [True, False, True])
    board.pins.close()


@pytest.mark.parametrize("light", [(OutputWire(22, LOW),), (OutputWire(22, HIGH),), rgb(LOW), rgb(HIGH)])
@pytest.mark.parametrize("buzzer", [LOW, HIGH])
def test_outputs_are_off_from_the_start_and_after_the_end(light: tuple[OutputWire, ...], buzzer: Level) -> None:
    wiring = Wiring(BUTTONS, light, OutputWire(25, buzzer))
    board = Board(wiring)
    off = {wire.pin: wire.active is LOW for _, wire in wiring.outputs()}
    driven = {pin: board.line(pin) for pin in off}
    assert {pin: line.state for pin, line in driven.items()} == off
    assert all(line.function == "output" for line in driven.values())
    board.pins.show(Light.ARRIVED)
    assert board.pins.buzzer is not None
    board.pins.buzzer.blink(None, steady=True)
    wait_until(lambda: board.pins.light_lit() and driven[25].state is (buzzer is HIGH))
    board.pins.close()
    assert {pin: line.state for pin, line in driven.items()} == off
    assert all(line.function == "input" for line in driven.values())


def test_the_end_is_dark_though_the_blinker_had_died(allow_error_logs: list[dict[str, Any]]) -> None:
    board = Board()
    line = board.line(22)
    board.pins.show(Light.COVERED)
    wait_until(board.pins.light_lit)
    assert board.pins._light_blinker is not None

    def broken(_lit: bool) -> None:
        raise RuntimeError("as if the line were gone")

    board.pins._light_blinker.blink(None, write=broken)
    wait_until(lambda: not board.pins.healthy())
    assert [line.state] == [True]
    board.pins.close()
    assert [line.state] == [False]
    assert [one["event"] for one in allow_error_logs] == ["gpio.blinker_died"]


def test_a_line_that_cannot_be_reached_keeps_no_other_lit(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(Wiring(BUTTONS, rgb(HIGH)))
    board.pins.show(Light.HEARD)
    wait_until(board.pins.light_lit)

    def unreachable() -> None:
        raise OSError("the chip is gone")

    first = board.pins._outputs[0][1]
    monkeypatch.setattr(first, "close", unreachable)
    monkeypatch.setattr(first, "off", unreachable)
    board.pins.close()
    assert [board.line(pin).function for pin in (23, 24, 17, 27)] == ["input"] * 4
    assert [board.line(pin).state for pin in (23, 24)] == [False, False]


@pytest.mark.parametrize("active", Level)
def test_lights_off_after_a_kill_leaves_no_output_on(active: Level) -> None:
    """The kernel leaves the lines as they were last driven: here the light and the buzzer are on."""
    wiring = Wiring(BUTTONS, rgb(active), OutputWire(25, active))
    factory = MockFactory()
    lines = [factory.pin(wire.pin) for _, wire in wiring.outputs()]
    for line in lines:
        line.function = "output"
        line.state = active is HIGH
        line.function = "input"
        line.clear_states()
    switch_outputs_off(factory, wiring)
    assert [line.state for line in lines] == [active is LOW] * 4
    assert factory.pin(17).pull == "floating"  # the buttons are left alone
    with pytest.raises(UnavailableError, match="is another program holding it"):
        switch_outputs_off(Board(wiring).factory, wiring)


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
        Board(Wiring({HELP: ButtonWire(17)}, (OutputWire(17),)))


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
