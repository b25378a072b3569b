"""The hands-on part with the pins: a person presses the buttons, sees the light, hears the buzzer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from device.core.role import ButtonName, Role
from device.core.signals import LIGHT_PATTERNS, Colour, Light
from device.doctor.console import Console
from device.doctor.contact import Touch, Wire, judge_touch
from device.doctor.words_talk import say
from device.findings import Finding, Severity
from device.ports import PinEdge
from device.texts import text
from device.wiring import OutputWire

REST_S = 2.0
"""How long the lines are listened to while nobody touches them: an interference that comes every second shows."""
PRESS_WITHIN_S = 20.0
RELEASE_WITHIN_S = 10.0
_QUIET_S = 0.5
"""A released line that has been still for so long is the end of a press."""
BUZZ = (300, 300, 300, 300, 300, 300)

LIGHTS_OF: Mapping[Role, tuple[Light, ...]] = {
    Role.PANEL: (
        Light.COVERED, Light.THIN, Light.UNCOVERED, Light.HEARD, Light.RECEIVED, Light.RINGING, Light.COMING,
        Light.UNREACHABLE, Light.CLOSED, Light.OFFLINE,
    ),
    Role.BELL: (Light.READY, Light.RINGING, Light.ANSWERING, Light.MINE, Light.TAKEN, Light.OFFLINE),
}  # fmt: skip
"""What is shown to a technician: every pattern of the role once (``arrived`` looks like ``covered``)."""


class Bench(Protocol):
    """The pins on the bench: raw edges as they come, levels, light and buzzer."""

    def fitted(self) -> Sequence[ButtonName]:
        """The buttons that the settings name."""
        ...

    def level(self, button: ButtonName) -> bool | None:
        """Whether the button is down now; None if it cannot be read."""
        ...

    def next_edge(self, within_s: float) -> PinEdge | None:
        """The next raw edge of any button, None if none comes in time."""
        ...

    def now_ms(self) -> int:
        """The monotonic clock that stamps the edges."""
        ...

    def show(self, light: Light) -> None:
        """Let the light say this until told otherwise."""
        ...

    def buzz(self, pattern: tuple[int, ...]) -> None:
        """Play a pattern on the buzzer once, to its end."""
        ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """What of the settings the hands-on part needs. ``colours``: of a light that has several lamps, else None."""

    role: Role
    wires: tuple[Wire, ...]
    lamps: tuple[OutputWire, ...]
    colours: Mapping[Light, Colour] | None
    buzzer: OutputWire | None
    stable_ms: int


def try_buttons(
    bench: Bench, fitted: Fitted, console: Console, finger: Callable[[ButtonName], None] | None
) -> Iterator[Finding]:
    """Every button in turn. ``finger`` presses for the person where the pins are mock ones."""
    console.tell([say("hands_off", s=f"{REST_S:g}")])
    rest = _listen(bench, REST_S)
    for wire in fitted.wires:
        before = bench.level(wire.button)
        console.tell([say("press_now", button=wire.button.value, s=f"{PRESS_WITHIN_S:g}")])
        if finger is not None:
            finger(wire.button)
        edges = _press(bench, wire.button)
        touch = Touch(
            wire=wire,
            rest=before,
            rest_edges=sum(edge.button is wire.button for edge in rest),
            listened_s=REST_S,
            edges=tuple(edges),
            ended_ms=bench.now_ms(),
        )
        yield from judge_touch(touch, fitted.stable_ms)


def look_at_lights(bench: Bench, fitted: Fitted, console: Console) -> Iterator[Finding]:
    """Every pattern of the role, until one is skipped."""
    if not fitted.lamps:
        yield Finding("light", "not_fitted", Severity.NOTE)
        return
    for light in LIGHTS_OF[fitted.role]:
        bench.show(light)
        meaning = text(f"is_{light.value}")
        how = light_in_words(LIGHT_PATTERNS[light], None if fitted.colours is None else fitted.colours[light])
        seen = console.ask(say("light_looks", how=how, meaning=meaning))
        if seen is None:
            yield Finding("light", "not_asked", Severity.NOTE)
            return
        data = {"light": light.value, "pin": fitted.lamps[0].pin}
        yield Finding("light", "seen", Severity.OK, data) if seen else Finding("light", "wrong", Severity.FAILURE, data)


def hear_buzzer(bench: Bench, fitted: Fitted, console: Console) -> Finding:
    """Three times half a second; a person says whether it was heard."""
    if fitted.buzzer is None:
        return Finding("buzzer", "not_fitted", Severity.NOTE)
    data = {"pin": fitted.buzzer.pin}
    console.tell([say("buzzer_now")])
    bench.buzz(BUZZ)
    match console.ask(say("did_you_hear")):
        case True:
            return Finding("buzzer", "heard", Severity.OK, data)
        case False:
            return Finding("buzzer", "unheard", Severity.FAILURE, data)
        case _:
            return Finding("buzzer", "not_asked", Severity.NOTE)


def light_in_words(pattern: tuple[int, ...], colour: Colour | None = None) -> str:
    """A pattern of ``LIGHT_PATTERNS`` as a person would see it; ``colour`` for a light that has several."""
    match pattern:
        case (_,):
            words = say("light_steady")
        case (on, off):
            words = say("light_blinks", on=f"{on / 1000:g}", off=f"{off / 1000:g}")
        case _:
            words = say("light_flashes", count=len(pattern) // 2, off=f"{pattern[-1] / 1000:g}")
    return words if colour is None else say("light_coloured", colour=text(f"colour_{colour}"), words=words)


def _listen(bench: Bench, for_s: float) -> list[PinEdge]:
    until_ms = bench.now_ms() + round(for_s * 1000)
    heard: list[PinEdge] = []
    while (left_ms := until_ms - bench.now_ms()) > 0:
        if (edge := bench.next_edge(left_ms / 1000)) is not None:
            heard.append(edge)
    return heard


def _press(bench: Bench, button: ButtonName) -> list[PinEdge]:
    """All edges from the first one until the line has been released and still."""
    first = bench.next_edge(PRESS_WITHIN_S)
    if first is None:
        return []
    edges, until_ms = [first], bench.now_ms() + round(RELEASE_WITHIN_S * 1000)
    while bench.now_ms() < until_ms:
        edge = bench.next_edge(_QUIET_S)
        if edge is not None:
            edges.append(edge)
        elif not bench.level(button):
            break
    return edges
