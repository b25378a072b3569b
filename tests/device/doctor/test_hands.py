"""Hands on, with a scripted bench and a scripted person: what is asked, and what follows from the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from device.core.role import ButtonName, Role
from device.core.signals import LIGHT_COLOURS, LIGHT_PATTERNS, Light
from device.doctor.contact import Wire
from device.doctor.hands import LIGHTS_OF, Fitted, hear_buzzer, light_in_words, look_at_lights, try_buttons
from device.ports import PinEdge
from device.wiring import ButtonWire, OutputWire
from tests.device.doctor.showing import ScriptedConsole, codes, severities

HELP, OK = ButtonName.HELP, ButtonName.OK
LAMP = (OutputWire(22),)
PANEL = Fitted(Role.PANEL, (Wire(HELP, ButtonWire(17)), Wire(OK, ButtonWire(27))), LAMP, None, None, 20)
BELL = Fitted(Role.BELL, (Wire(ButtonName.ANSWER, ButtonWire(17)),), LAMP, LIGHT_COLOURS, OutputWire(18), 20)


class ScriptedBench:
    """Edges at their own times on a clock that moves only by waiting for them."""

    def __init__(self, *coming: PinEdge, levels: dict[ButtonName, bool | None] | None = None) -> None:
        self._coming = sorted(coming, key=lambda edge: edge.at_ms)
        self._now_ms = 0
        self._levels: dict[ButtonName, bool | None] = levels or {}
        self.shown: list[Light] = []
        self.buzzed: list[tuple[int, ...]] = []

    def fitted(self) -> Sequence[ButtonName]:
        return (HELP, OK)

    def level(self, button: ButtonName) -> bool | None:
        return self._levels.get(button, False)

    def next_edge(self, within_s: float) -> PinEdge | None:
        until_ms = self._now_ms + max(1, round(within_s * 1000))
        if self._coming and self._coming[0].at_ms <= until_ms:
            edge = self._coming.pop(0)
            self._now_ms = edge.at_ms
            self._levels[edge.button] = edge.active
            return edge
        self._now_ms = until_ms
        return None

    def now_ms(self) -> int:
        return self._now_ms

    def show(self, light: Light) -> None:
        self.shown.append(light)

    def buzz(self, pattern: tuple[int, ...]) -> None:
        self.buzzed.append(pattern)


def press(button: ButtonName, at_ms: int, ms: int = 150) -> tuple[PinEdge, PinEdge]:
    return PinEdge(button, True, at_ms), PinEdge(button, False, at_ms + ms)


def test_every_button_is_pressed_in_turn() -> None:
    bench = ScriptedBench(*press(HELP, 5_000), *press(OK, 9_000))
    console = ScriptedConsole()
    found = list(try_buttons(bench, PANEL, console, None))
    assert codes(found) == ["button.good", "button.good"]
    assert [one.data["held_ms"] for one in found] == [150, 150]
    assert sum("help" in line for line in console.said) == 1


def test_a_button_that_nobody_presses_and_one_that_is_wired_to_the_other_pin() -> None:
    bench = ScriptedBench(*press(OK, 5_000))
    assert severities(try_buttons(bench, PANEL, ScriptedConsole(), None)) == {
        "button.swapped": "failure",
        "button.silent": "failure",
    }


def test_noise_before_anybody_is_asked_belongs_to_its_own_line() -> None:
    bench = ScriptedBench(*press(HELP, 500, 1), *press(HELP, 5_000), *press(OK, 9_000))
    assert codes(try_buttons(bench, PANEL, ScriptedConsole(), None)) == [
        "button.good", "button.restless", "button.good",
    ]  # fmt: skip


def test_a_button_that_is_held_for_ever_does_not_hold_up_the_visit() -> None:
    bench = ScriptedBench(PinEdge(HELP, True, 5_000), *press(OK, 20_000))
    assert codes(try_buttons(bench, PANEL, ScriptedConsole(), None)) == ["button.not_released", "button.good"]


def test_every_pattern_of_the_role_is_shown_and_asked_about() -> None:
    bench, console = ScriptedBench(), ScriptedConsole(*[True] * 9, False)
    found = severities(look_at_lights(bench, PANEL, console))
    assert found == {"light.seen": "ok", "light.wrong": "failure"}
    assert tuple(bench.shown) == LIGHTS_OF[Role.PANEL]
    assert len(console.asked) == 10


@pytest.mark.parametrize("role", list(Role))
def test_no_pattern_is_shown_twice_and_every_one_has_words(role: Role) -> None:
    shown = [LIGHT_PATTERNS[light] for light in LIGHTS_OF[role]]
    assert len(set(shown)) == len(shown)
    assert len({light_in_words(pattern) for pattern in shown}) == len(shown)


def test_a_skipped_light_ends_the_looking_and_none_fitted_is_no_fault() -> None:
    bench, console = ScriptedBench(), ScriptedConsole(True, None, True)
    assert codes(look_at_lights(bench, BELL, console)) == ["light.seen", "light.not_asked"]
    dark = replace(PANEL, lamps=())
    assert severities(look_at_lights(bench, dark, console)) == {"light.not_fitted": "note"}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (True, {"buzzer.heard": "ok"}),
        (False, {"buzzer.unheard": "failure"}),
        (None, {"buzzer.not_asked": "note"}),
    ],
)
def test_the_buzzer_sounds_and_a_person_says_so(answer: bool | None, found: dict[str, str]) -> None:
    bench = ScriptedBench()
    assert severities([hear_buzzer(bench, BELL, ScriptedConsole(answer))]) == found
    assert len(bench.buzzed) == 1
    assert severities([hear_buzzer(bench, PANEL, ScriptedConsole(answer))]) == {"buzzer.not_fitted": "note"}
    assert len(bench.buzzed) == 1
