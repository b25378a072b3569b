"""Alarms in every situation, reached through the real transitions, and everything that can happen to them.

Times in words are seconds since the press: ``@45`` is 45 s after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from doorbell.wire import AlarmKind
from relay.core.alarm import (
    Accepted,
    Advance,
    Alarm,
    AlarmEvent,
    BellsChanged,
    ClockStepped,
    ClosedBy,
    DeadlineLost,
    DeadlinePassed,
    Declined,
    DoneBy,
    Helper,
    HookFailed,
    OkPressed,
    Outcome,
    Pressed,
)
from relay.core.life import advance_alarm, raise_alarm
from relay.core.register import Register
from relay.core.steps import Surroundings
from tests.relay.doubles import BELLS, BOARD, CHAT, DOCTOR, PANEL, PENG, T0, WANG, neighbourhood, uid

BELL_OF = {"peng": PENG, "wang": WANG, "doctor": DOCTOR}


def at(seconds: float) -> datetime:
    """So many seconds after the press."""
    return T0 + timedelta(seconds=seconds)


class Story:
    """One alarm and what happens to it, second by second."""

    def __init__(
        self, *, register: Register | None = None, online: Iterable[str] = BELLS, settled: bool = True
    ) -> None:
        self.around = Surroundings(register or neighbourhood(), frozenset(online), settled)
        self.now = 0.0
        self.last = raise_alarm(
            alarm_id=uid(1),
            kind=AlarmKind.HELP,
            household="liu",
            source=PANEL,
            policy=self.around.register.policy_for("liu", AlarmKind.HELP),
            at=T0,
            seq=10,
            around=self.around,
            now=T0,
        )
        self.alarm = self.last.alarm

    def at(self, seconds: float) -> Story:
        """Move the clock, without looking at deadlines."""
        self.now = seconds
        return self

    def happens(self, event: AlarmEvent) -> Story:
        """An event, now."""
        self.last = advance_alarm(self.alarm, event, self.around, at(self.now))
        self.alarm = self.last.alarm
        return self

    def until(self, seconds: float) -> Story:
        """Let deadlines pass up to a moment."""
        for _ in range(10_000):
            if self.alarm.deadline is None or self.alarm.deadline > at(seconds):
                return self.at(seconds)
            self.now = (self.alarm.deadline - T0).total_seconds()
            self.happens(DeadlinePassed())
        raise AssertionError("deadlines without end")

    # Words

    def press(self, seq: int | None = None, device: str = PANEL) -> Story:
        """The help button."""
        return self.happens(Pressed(device, at(self.now), seq))

    def ok(self, seq: int | None = None, device: str = PANEL) -> Story:
        """The green button."""
        return self.happens(OkPressed(device, at(self.now), seq))

    def accept(self, person: str) -> Story:
        """I am coming."""
        return self.happens(Accepted(person, BELL_OF[person], at(self.now)))

    def decline(self, person: str) -> Story:
        """I cannot."""
        return self.happens(Declined(person, BELL_OF[person], at(self.now)))

    def done(self, person: str) -> Story:
        """It is done."""
        return self.happens(DoneBy(person, BELL_OF[person], at(self.now)))

    def sound(self, *bells: str) -> Story:
        """These bells, and no others, report that they sound."""
        return self.happens(BellsChanged(tuple(sorted(bells))))


SITUATIONS: dict[str, Callable[[], Story]] = {
    "fresh": lambda: Story().at(2),
    "sounding": lambda: Story().at(1).sound(PENG).at(10),
    "pressed_twice": lambda: Story().at(1).sound(PENG).at(20).press(11).at(25),
    "one_declined": lambda: Story().at(1).sound(PENG).at(10).decline("peng").at(12),
    "second_step": lambda: Story().at(1).sound(PENG).until(50),
    "third_step": lambda: Story().at(1).sound(PENG).until(100),
    "last_step": lambda: Story().at(1).sound(PENG).until(220),
    "repeating": lambda: Story().at(1).sound(PENG).until(335),
    "accepted": lambda: Story().at(1).sound(PENG).at(20).accept("peng").sound().at(30),
    "handed_back": lambda: Story().at(1).sound(PENG).at(20).accept("peng").at(40).decline("peng").at(42),
    "not_arrived": lambda: Story().at(20).accept("peng").until(622),
    "three_pressed": lambda: Story().at(20).accept("peng").at(30).press(11).at(35).press(12).at(40).press(13).at(45),
    "arrived": lambda: Story().at(20).accept("peng").at(200).ok(11).at(210),
    "closed": lambda: Story().at(20).ok(11).at(30),
}
"""By name: a story up to a moment at which no deadline has just passed."""

EVENTS: dict[str, Callable[[Story], AlarmEvent]] = {
    "press": lambda s: Pressed(PANEL, at(s.now), 90),
    "press, late": lambda s: Pressed(PANEL, at(-30), 5),
    "press, uncounted": lambda s: Pressed(PANEL, at(s.now)),
    "press, other panel": lambda s: Pressed("button-2", at(s.now), 3),
    "ok": lambda s: OkPressed(PANEL, at(s.now), 91),
    "ok, older": lambda s: OkPressed(PANEL, at(s.now), 9),
    "ok, other panel": lambda s: OkPressed("button-2", at(s.now), 1),
    "peng accepts": lambda s: Accepted("peng", PENG, at(s.now)),
    "wang accepts": lambda s: Accepted("wang", WANG, at(s.now)),
    "wang accepted 12 min ago": lambda s: Accepted("wang", WANG, at(s.now - 720)),
    "peng declines": lambda s: Declined("peng", PENG, at(s.now)),
    "wang declines": lambda s: Declined("wang", WANG, at(s.now)),
    "peng is done": lambda s: DoneBy("peng", PENG, at(s.now)),
    "peng was done before": lambda s: DoneBy("peng", PENG, at(0)),
    "doctor is done": lambda s: DoneBy("doctor", DOCTOR, at(s.now)),
    "no bell sounds": lambda s: BellsChanged(()),
    "peng's bell sounds": lambda s: BellsChanged((PENG,)),
    "both bells sound": lambda s: BellsChanged((PENG, WANG)),
    "chat fails": lambda s: HookFailed(CHAT),
    "board fails": lambda s: HookFailed(BOARD),
    "deadline, early": lambda s: DeadlinePassed(),
    "deadline": lambda s: DeadlinePassed(),
    "auditor, in time": lambda s: DeadlineLost(),
    "auditor, none left": lambda s: DeadlineLost(),
    "office closes": lambda s: ClosedBy(Outcome.HOSPITAL, "office"),
    "clock steps": lambda s: ClockStepped(3_600_000),
}


@dataclass(frozen=True)
class Case:
    """One situation and one event."""

    situation: str
    event: str

    def play(self) -> tuple[Alarm, Advance]:
        """The alarm before, and what the event did to it."""
        story = SITUATIONS[self.situation]()
        before = story.alarm
        if self.event == "deadline" and before.deadline is not None:
            story.at((before.deadline - T0).total_seconds())
        if self.event == "auditor, none left" and before.is_open:
            before = story.alarm = replace(before, deadline=None, due=None, step_ends=None)
        return before, story.happens(EVENTS[self.event](story)).last


def tell(before: Alarm, result: Advance) -> str:
    """The whole result in one line: the reason, every field that changed, the journal's lines, the hooks told."""
    changed = [
        f"{field.name}={_say(getattr(result.alarm, field.name))}"
        for field in fields(Alarm)
        if getattr(before, field.name) != getattr(result.alarm, field.name)
    ]
    notes = [f"{note.type.value}({', '.join(f'{k}={_say(v)}' for k, v in note.data)})" for note in result.notes]
    told = [f"{notice.hook}:{notice.occasion.value}" for notice in result.notices]
    parts = (result.reason, " ".join(changed), " ".join(notes), " ".join(told))
    return " | ".join(parts).rstrip(" |")


def _say(value: Any) -> str:
    match value:
        case datetime():
            return f"@{(value - T0).total_seconds():g}"
        case Enum():
            return str(value.value)
        case Helper():
            return f"{value.person}/{value.state.value}{_say(value.accepted_at)}"
        case tuple() | list():
            return "[" + " ".join(_say(item) for item in value) + "]"
        case _:
            return str(value)
