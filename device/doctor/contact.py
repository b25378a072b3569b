"""What a button's raw edges say about its contact and its wiring. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from device.core.role import ButtonName
from device.findings import Finding, Severity
from device.ports import PinEdge
from device.wiring import ButtonWire, Level

MAX_BOUNCE_MS = 20
"""A push button that is well bounces for less than 10 ms; from twice that on it is worn or loose."""
MAX_EDGES = 40
"""Of one press: a clean contact makes 2, a bouncing one some ten."""
MAX_REST_EDGES = 0
RAW_EDGES = 40
"""So many edges are shown to whoever wants to see them."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A button and its line."""

    button: ButtonName
    line: ButtonWire


@dataclass(frozen=True, slots=True)
class Touch:
    """What happened on the lines while a person was asked to press ``wire.button``.

    ``rest``: its level before, None if it cannot be read. ``rest_edges``: of its line within ``listened_s`` before
    anybody was asked. ``edges``: of all lines, in order of time. ``ended_ms``: when listening ended, monotonic.
    """

    wire: Wire
    rest: bool | None
    rest_edges: int
    listened_s: float
    edges: tuple[PinEdge, ...]
    ended_ms: int


@dataclass(frozen=True, slots=True)
class Contact:
    """One press in figures. Times in ms; ``held_ms`` None if no contact was stable."""

    edges: int
    longest_ms: int
    bounce_ms: int
    held_ms: int | None
    released: bool


def measure_contact(edges: Sequence[PinEdge], ended_ms: int, stable_ms: int) -> Contact:
    """From the edges of one line, the first of which is the way down. A level lasts until the next edge."""
    ends = [edge.at_ms for edge in edges[1:]] + [ended_ms] * bool(edges)
    closed = [(edge.at_ms, end) for edge, end in zip(edges, ends, strict=True) if edge.active]
    stable = [(start, end) for start, end in closed if end - start >= stable_ms]
    longest_ms = max((end - start for start, end in closed), default=0)
    released = bool(edges) and not edges[-1].active
    if not stable:
        return Contact(len(edges), longest_ms, edges[-1].at_ms - edges[0].at_ms if edges else 0, None, released)
    down_ms, up_ms = stable[0][0], stable[-1][1]
    settling = edges[-1].at_ms - up_ms if released else 0
    return Contact(len(edges), longest_ms, max(down_ms - edges[0].at_ms, settling), up_ms - down_ms, released)


def judge_touch(touch: Touch, stable_ms: int) -> tuple[Finding, ...]:
    """The findings of one button; the first decides whether it can be used."""
    wire = touch.wire
    own = [edge for edge in touch.edges if edge.button is wire.button]
    data: dict[str, object] = {
        "button": wire.button.value,
        "pin": wire.line.pin,
        "other": "GND" if wire.line.active is Level.LOW else "3.3 V",
    }
    if touch.rest is None:
        return (Finding("button", "unreadable", Severity.FAILURE, data),)
    if touch.rest:
        opened = any(not edge.active for edge in own)
        should = Level.HIGH if wire.line.active is Level.LOW else Level.LOW
        return (
            Finding("button", "inverted", Severity.FAILURE, {**data, "active_should": should.value})
            if opened
            else Finding("button", "active_at_rest", Severity.FAILURE, data),
        )
    if not own:
        return (_unmoved(touch, data),)
    contact = measure_contact(own, touch.ended_ms, stable_ms)
    data |= {
        "edges": contact.edges,
        "bounce_ms": contact.bounce_ms,
        "held_ms": contact.held_ms,
        "raw": [[edge.at_ms - own[0].at_ms, int(edge.active)] for edge in own[:RAW_EDGES]],
    }
    found = [_pressed(contact, data, stable_ms)]
    if touch.rest_edges > MAX_REST_EDGES:
        rest = {**data, "edges": touch.rest_edges, "listened_s": f"{touch.listened_s:g}"}
        found.append(Finding("button", "restless", Severity.WARNING, rest))
    return tuple(found)


def _unmoved(touch: Touch, data: dict[str, object]) -> Finding:
    moved = sorted({edge.button.value for edge in touch.edges})
    if moved:
        return Finding("button", "swapped", Severity.FAILURE, {**data, "moved": moved})
    return Finding("button", "silent", Severity.FAILURE, data)


def _pressed(contact: Contact, data: dict[str, object], stable_ms: int) -> Finding:
    if contact.held_ms is None:
        short = {**data, "longest_ms": contact.longest_ms, "stable_ms": stable_ms}
        return Finding("button", "too_short", Severity.FAILURE, short)
    if not contact.released:
        return Finding("button", "not_released", Severity.FAILURE, {**data, "waited_s": contact.held_ms // 1000})
    if contact.bounce_ms > MAX_BOUNCE_MS or contact.edges > MAX_EDGES:
        return Finding("button", "noisy", Severity.WARNING, data)
    return Finding("button", "good", Severity.OK, data)
