"""A button's line as it behaves in a living room, and what a fair observer says of it: for tests and figures.

Everything happens in microseconds on a true line: fingers with bouncing contacts, interference, and a kernel that
stamps an edge at its interrupt but reads the level a little later. Then each edge is told late, or never, to a shell
that samples when the core asks, polls, and sometimes stalls. The core under test sees only what a Pi would tell it.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from device.core.button import (
    ButtonLimits,
    ButtonOutcome,
    Edge,
    Pressed,
    Sample,
    advance_button,
    button_deadline,
    new_button,
)

MS = 1_000
SURE_PRESS_US = 40 * MS
SURE_NOISE_US = 18 * MS
"""20 ms, less one for whole milliseconds and one for what kernel and bouncing add."""
MAX_BOUNCE_US = 18 * MS
FLICKER_REST_US = 200 * MS
POLL_US = 2_000 * MS
_SETTLED_US = 150 * MS
"""A line that is active at start needs so long, at most, until it is known to have been released."""

Interval = tuple[int, int]


@dataclass(frozen=True)
class Finger:
    """A finger on the button from ``start_us`` to ``end_us``; the contact bounces in pieces after both."""

    start_us: int
    end_us: int
    down: tuple[int, ...] = ()
    up: tuple[int, ...] = ()

    def closed(self) -> list[Interval]:
        """When the contact is closed. Pieces come in pairs: closed and open after the start, the reverse at the end."""
        out, at = [], self.start_us
        for closed_us, open_us in zip(self.down[::2], self.down[1::2], strict=True):
            out.append((at, at + closed_us))
            at += closed_us + open_us
        out.append((at, self.end_us))
        at = self.end_us
        for open_us, closed_us in zip(self.up[::2], self.up[1::2], strict=True):
            out.append((at + open_us, at + open_us + closed_us))
            at += open_us + closed_us
        return out

    @property
    def sure(self) -> bool:
        """Whether it must be seen: 40 ms or longer with an ordinary contact."""
        return self.end_us - self.start_us >= SURE_PRESS_US and sum(self.down) <= MAX_BOUNCE_US


@dataclass(frozen=True)
class Story:
    """What happens to a line, and how badly it is told. Noise intervals do not overlap one another."""

    fingers: tuple[Finger, ...]
    noise: tuple[Interval, ...]
    end_us: int
    read_us: int = 100
    """How long after the interrupt the kernel reads the level; edges in between are one."""
    lag_us: int = 2 * MS
    """How late an edge is told, at most."""
    loss: float = 0.0
    stalls: tuple[Interval, ...] = ()
    """When the shell does not turn: a slow disk."""
    seed: int = 0


@dataclass
class Verdict:
    """What came out, against what was true."""

    presses: int = 0
    missed: list[Finger] = field(default_factory=list)
    doubled: list[Finger] = field(default_factory=list)
    raised: list[int] = field(default_factory=list)
    """Presses told, in ms, where no finger was."""
    delays_us: list[int] = field(default_factory=list)
    """From the finger's touch to the turn that tells it, of sure presses."""
    outcomes: list[tuple[int, ButtonOutcome]] = field(default_factory=list)


class Wire:
    """The true level."""

    def __init__(self, intervals: Iterable[Interval]) -> None:
        self.changes: list[int] = []
        for start, end in sorted(intervals):
            if end <= start:
                continue
            if self.changes and start <= self.changes[-1]:
                self.changes[-1] = max(self.changes[-1], end)
            else:
                self.changes += [start, end]

    def level(self, at_us: int) -> bool:
        return bisect.bisect_right(self.changes, at_us) % 2 == 1


def kernel_edges(wire: Wire, read_us: int) -> list[tuple[int, bool]]:
    """(interrupt's time, level as read): a spike shorter than ``read_us`` looks like an edge to where the line was."""
    edges, free_at = [], -1
    for at in wire.changes:
        if at > 0 and at >= free_at:
            free_at = at + read_us
            edges.append((at, wire.level(free_at)))
    return edges


def observe(story: Story, limits: ButtonLimits) -> Verdict:
    """Play the story to the button core as the shell does, and judge what it says."""
    chance = random.Random(story.seed)
    wire = Wire([*(one for finger in story.fingers for one in finger.closed()), *story.noise])
    arrivals: list[tuple[int, int, bool]] = []
    last = 0
    for at, level in kernel_edges(wire, story.read_us):
        if story.loss and chance.random() < story.loss:
            continue
        last = max(last, at + story.read_us + chance.randint(0, max(0, story.lag_us - story.read_us)))
        arrivals.append((_awake(last, story.stalls), at, level))
    verdict = Verdict()
    state = new_button(0, active=wire.level(0))
    poll, index, count = POLL_US, 0, len(arrivals)
    while True:
        deadline = button_deadline(state, limits)
        due = poll if deadline is None else min(poll, deadline * MS + chance.randint(0, 3 * MS))
        due = _awake(due, story.stalls)
        event: Edge | Sample
        if index < count and arrivals[index][0] <= due:
            now, at, level = arrivals[index]
            index += 1
            event = Edge(level, at // MS)
        elif due > story.end_us:
            break
        else:
            now, event = due, Sample(wire.level(due))
            if now >= poll:
                poll = now + POLL_US
        state, outcomes = advance_button(state, event, now // MS, limits)
        if isinstance(event, Sample) and (deadline := button_deadline(state, limits)) is not None:
            assert deadline > now // MS, "the same deadline would be asked for without end"
        verdict.outcomes += [(now, one) for one in outcomes]
    _judge(story, verdict, began_active=wire.level(0))
    return verdict


def _awake(at_us: int, stalls: tuple[Interval, ...]) -> int:
    return next((end for start, end in stalls if start <= at_us < end), at_us)


def _judge(story: Story, verdict: Verdict, *, began_active: bool) -> None:
    seen: dict[Finger, int] = {}
    for now, outcome in verdict.outcomes:
        if not isinstance(outcome, Pressed):
            continue
        at_us = outcome.at_ms * MS
        # Interference just before a finger may be taken for its beginning.
        match = (f for f in story.fingers if f.start_us - SURE_NOISE_US - MS <= at_us <= f.end_us + sum(f.up))
        finger = next(match, None)
        if finger is None:
            verdict.raised.append(outcome.at_ms)
            continue
        seen[finger] = seen.get(finger, 0) + 1
        if finger.sure and seen[finger] == 1:
            verdict.delays_us.append(now - finger.start_us)
    sure = [f for f in story.fingers if f.sure and not (began_active and f.start_us < _SETTLED_US)]
    verdict.presses = len(sure)
    verdict.missed = [f for f in sure if f not in seen]
    verdict.doubled = [f for f, times in seen.items() if times > 1]


# --- what living rooms are made of ----------------------------------------------------------------------------------


def _log_int(chance: random.Random, low: int, high: int) -> int:
    return min(high, max(low, int(math.exp(chance.uniform(math.log(low), math.log(high))))))


def bounce(chance: random.Random, most_us: int) -> tuple[int, ...]:
    """Pieces of bouncing, in pairs, that end within ``most_us``."""
    pieces: list[int] = []
    left = chance.randint(0, most_us)
    for _ in range(chance.randint(0, 12)):
        pair = (_log_int(chance, 5, 4 * MS), _log_int(chance, 5, 4 * MS))
        if sum(pair) > left:
            break
        left -= sum(pair)
        pieces += pair
    return tuple(pieces)


def interference(chance: random.Random, start_us: int, end_us: int) -> list[Interval]:
    """Pulses of at most 18 ms: spikes, a switched lamp's burst, hum, or a comb just under the threshold."""
    kind = chance.choice(("spikes", "switch", "hum", "comb"))
    pulses: list[Interval] = []
    at = start_us
    period = 20 * MS if chance.random() < 0.5 else 10 * MS
    duty = chance.uniform(0.01, 0.9)
    while at < end_us and len(pulses) < 150:
        match kind:
            case "spikes":
                on, off = _log_int(chance, 1, 2 * MS), _log_int(chance, 100, 500 * MS)
            case "switch":
                on, off = _log_int(chance, 10, 5 * MS), _log_int(chance, 10, 3 * MS)
            case "hum":
                on = int(period * duty * chance.uniform(0.95, 1.0))
                off = period - on
            case _:
                on, off = chance.randint(15 * MS, SURE_NOISE_US), chance.randint(MS // 2, 4 * MS)
        pulses.append((at, at + min(on, SURE_NOISE_US)))
        at += on + off
    return pulses


def story(chance: random.Random, *, noisy: bool, lossy: bool = False, hours: bool = False) -> Story:
    """A line with up to six fingers, quiet or in interference; told badly or, with ``lossy``, with gaps."""
    fingers: list[Finger] = []
    at = chance.randint(5 * MS, 400 * MS)
    rest_us = 2_500 * MS if lossy else FLICKER_REST_US if noisy else 60 * MS
    for _ in range(chance.randint(0, 6)):
        press_us = _log_int(chance, 10 * MS, 6_000 * MS)
        if chance.random() < 0.2:
            press_us = chance.randint(SURE_PRESS_US, SURE_PRESS_US + 3 * MS)
        if hours and not fingers:
            press_us = chance.randint(3_600_000 * MS, 8 * 3_600_000 * MS)
        down = bounce(chance, min(MAX_BOUNCE_US, press_us // 2))
        finger = Finger(at, at + press_us, down, bounce(chance, MAX_BOUNCE_US))
        fingers.append(finger)
        at = finger.end_us + sum(finger.up) + chance.randint(rest_us, rest_us + 800 * MS)
    end_us = at + 500 * MS
    noise: list[Interval] = []
    if noisy:
        begin = 0 if chance.random() < 0.5 else chance.randint(0, at)
        while begin < end_us and len(noise) < 400:
            noise += interference(chance, begin, min(end_us, begin + _log_int(chance, 50 * MS, 8_000 * MS)))
            begin = noise[-1][1] + _log_int(chance, 25 * MS, 3_000 * MS)
    stalls: tuple[Interval, ...] = ()
    if not lossy and chance.random() < 0.2:
        start = chance.randint(0, at)
        stalls = ((start, start + chance.randint(20 * MS, 400 * MS)),)
    return Story(
        tuple(fingers),
        tuple(noise),
        end_us,
        read_us=chance.choice((1, 30, 100, 300)),
        lag_us=chance.choice((300, 2 * MS, 5 * MS)),
        loss=chance.choice((0.02, 0.3)) if lossy else 0.0,
        stalls=stalls,
        seed=chance.getrandbits(32),
    )
