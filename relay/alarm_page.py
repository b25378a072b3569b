"""docs/alarm-life.md, made by asking the real functions what every event does in every stage.

python -m relay.alarm_page [--check] [--out docs/alarm-life.md]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from doorbell.wire import AlarmKind
from relay.core.alarm import (
    Accepted,
    Advance,
    Alarm,
    AlarmEvent,
    AlarmStage,
    BellsChanged,
    ClockStepped,
    ClosedBy,
    DeadlineLost,
    DeadlinePassed,
    Declined,
    DoneBy,
    HookFailed,
    OkPressed,
    Outcome,
    Pressed,
)
from relay.core.life import APPLIED, advance_alarm, raise_alarm
from relay.core.policy import DEAF_S, DEFAULT_POLICIES, THREE_PRESSES_S, Policy, Step, parse_target
from relay.core.register import Community, Device, DeviceRole, Group, Household, Person, Register
from relay.core.steps import Surroundings

OUT = Path("docs/alarm-life.md")
_START = datetime(2026, 1, 1, tzinfo=UTC)
_NOW_S = 100
_BELLS = ("bell-a", "bell-b")


def _register() -> Register:
    """Two volunteers, a and b; the office has a hook."""
    bells = [Device(bell, "c", DeviceRole.BELL, person=bell[-1]) for bell in _BELLS]
    return Register(
        communities={"c": Community("c", "c")},
        households={"h": Household("h", "c", "h", "", ("a", "b"))},
        people={person: Person(person, "c", person) for person in "ab"},
        devices={device.id: device for device in [Device("panel", "c", DeviceRole.PANEL, household="h"), *bells]},
        groups={"o": Group("o", "c", "office", "office", (), ("hook",))},
    )


def _policy() -> Policy:
    return Policy("p", tuple(Step((parse_target(t),), 600) for t in ("volunteers", "office", "everyone")))


_AROUND = Surroundings(_register(), frozenset(_BELLS))


def _at(seconds: float) -> datetime:
    return _START + timedelta(seconds=seconds)


def _raise() -> Alarm:
    return raise_alarm(
        alarm_id="alarm",
        kind=AlarmKind.HELP,
        household="h",
        source="panel",
        policy=_policy(),
        at=_at(0),
        seq=1,
        around=_AROUND,
        now=_at(0),
    ).alarm


def _then(alarm: Alarm, *events: tuple[float, AlarmEvent]) -> Alarm:
    for seconds, event in events:
        alarm = advance_alarm(alarm, event, _AROUND, _at(seconds)).alarm
    return alarm


_SOUNDING = (1.0, BellsChanged(_BELLS))
_ACCEPTED = (20.0, Accepted("a", "bell-a", _at(20)))
_ARRIVED = (40.0, OkPressed("panel", _at(40), 2))

_ALARMS: dict[AlarmStage, Callable[[], Alarm]] = {
    AlarmStage.RINGING: lambda: _then(_raise(), _SOUNDING),
    AlarmStage.ACCEPTED: lambda: _then(_raise(), _SOUNDING, _ACCEPTED),
    AlarmStage.ARRIVED: lambda: _then(_raise(), _SOUNDING, _ACCEPTED, _ARRIVED),
    AlarmStage.CLOSED: lambda: _then(_raise(), (9.0, ClosedBy(Outcome.CANCELLED, "office"))),
}
"""An alarm in each stage: in ``accepted`` and ``arrived`` volunteer a is the helper."""

_LOST = "the auditor finds it without a deadline"
_PRESS = Pressed("panel", _at(_NOW_S), 8)
_EVENTS: dict[str, tuple[AlarmEvent, ...]] = {
    "help pressed again": (_PRESS,),
    f"help pressed three times within {THREE_PRESSES_S} s": (_PRESS, _PRESS, _PRESS),
    "OK pressed": (OkPressed("panel", _at(_NOW_S), 9),),
    "OK pressed before the newest press, heard after it": (OkPressed("panel", _at(_NOW_S), 0),),
    "volunteer a accepts": (Accepted("a", "bell-a", _at(_NOW_S)),),
    "volunteer b accepts": (Accepted("b", "bell-b", _at(_NOW_S)),),
    "volunteer b accepted, heard after the time to arrive": (Accepted("b", "bell-b", _at(-900)),),
    "volunteer a declines": (Declined("a", "bell-a", _at(_NOW_S)),),
    "volunteer b declines": (Declined("b", "bell-b", _at(_NOW_S)),),
    "volunteer b accepted before she declined, heard after it": (
        Declined("b", "bell-b", _at(_NOW_S), 9),
        Accepted("b", "bell-b", _at(_NOW_S - 1), 8),
    ),
    "everybody whom the step calls declines": (
        Declined("a", "bell-a", _at(_NOW_S)),
        Declined("b", "bell-b", _at(_NOW_S)),
    ),
    "volunteer a says done": (DoneBy("a", "bell-a", _at(_NOW_S)),),
    "volunteer b says done": (DoneBy("b", "bell-b", _at(_NOW_S)),),
    "bells fall silent": (BellsChanged(()),),
    "the same bells sound still": (BellsChanged(_BELLS),),
    "a hook of another step fails": (HookFailed("hook"),),
    "the clock comes to look, early": (DeadlinePassed(),),
    "the deadline passes": (DeadlinePassed(),),
    "the auditor finds it, though its deadline will come": (DeadlineLost(),),
    _LOST: (DeadlineLost(),),
    "the office closes it": (ClosedBy(Outcome.HOSPITAL, "office"),),
    "the relay's clock is set": (ClockStepped(60_000),),
}


def _play(stage: AlarmStage, name: str) -> tuple[Alarm, list[Advance]]:
    alarm = before = _ALARMS[stage]()
    now = _at(_NOW_S)
    if name == "the deadline passes" and alarm.deadline is not None:
        now = alarm.deadline
    if name == _LOST and alarm.is_open:
        alarm = before = replace(alarm, deadline=None)
    results = []
    for event in _EVENTS[name]:
        results.append(advance_alarm(alarm, event, _AROUND, now))
        alarm = results[-1].alarm
    return before, results


def _cell(stage: AlarmStage, name: str) -> str:
    before, results = _play(stage, name)
    after, last = results[-1].alarm, results[-1]
    if last.reason != APPLIED:
        return f"*{last.reason}*"
    moved = ""
    if after.stage is not before.stage:
        moved = f"**→ {after.stage.value}** "
    elif after.step != before.step:
        moved = "**next step** "
    lines = dict.fromkeys(note.type.value for result in results for note in result.notes)
    return moved + " ".join(f"`{line}`" for line in lines)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _table() -> list[str]:
    stages = list(_ALARMS)
    rows = [_row("", *(stage.value for stage in stages)), _row(*["---"] * (len(stages) + 1))]
    return rows + [_row(name, *(_cell(stage, name) for stage in stages)) for name in _EVENTS]


def _diagram() -> list[str]:
    arrows: dict[tuple[str, str], list[str]] = {}
    for stage in _ALARMS:
        for name in _EVENTS:
            before, results = _play(stage, name)
            after = results[-1].alarm
            if after.stage is not before.stage:
                arrows.setdefault((before.stage.value, after.stage.value), []).append(name)
    lines = [f"    {a} --> {b}: {'<br>'.join(names)}" for (a, b), names in arrows.items()]
    return ["```mermaid", "stateDiagram-v2", "    [*] --> ringing: help pressed", *lines, "    closed --> [*]", "```"]


def _deadlines() -> list[str]:
    policy = DEFAULT_POLICIES[AlarmKind.HELP]
    waits = ", ".join(f"{' '.join(map(str, step.targets))} {step.wait_s} s" for step in policy.steps)
    return [
        _row("deadline for", "when", "then"),
        _row("---", "---", "---"),
        _row(
            "`deaf`", f"{DEAF_S} s after a step began or its last bell fell silent", "no bell of it sounds: next step"
        ),
        _row("`step`", f"the step's wait is over (help: {waits})", "next step; after the last the last again"),
        _row("`arrive`", f"{policy.arrive_wait_s} s after the acceptance was said", "rings again at the next step"),
        _row("`done`", f"{policy.done_wait_s} s after the arrival, again and again", "the office is told: overdue"),
    ]


_PAGE = """\
# An alarm's life

Made from `relay.core` by `python -m relay.alarm_page`; do not edit. Words: [glossary](glossary.md).

{diagram}

## What every event does in every stage

Volunteer a is the helper in `accepted` and `arrived`. **Bold**: where the alarm goes; `code`: the journal's lines;
*italics*: nothing changed, and why. A closed alarm stays as it is: a new press raises a new one.

{table}

## Deadlines

An open alarm has exactly one, in the database. A step that nobody can hear (every bell offline or declined, every hook
failed) does not wait for it.

{deadlines}
"""


def build_page() -> str:
    """The whole page."""
    parts = {"diagram": _diagram(), "table": _table(), "deadlines": _deadlines()}
    return _PAGE.format(**{name: "\n".join(lines) for name, lines in parts.items()})


def main(arguments: list[str] | None = None) -> int:
    """Write or check the page; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m relay.alarm_page", description="Generate docs/alarm-life.md.")
    parser.add_argument("--out", type=Path, default=OUT, help=f"the file to write (default {OUT})")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is not current")
    asked = parser.parse_args(arguments)
    page = build_page()
    out: Path = asked.out
    if out.is_file() and out.read_text(encoding="utf-8") == page:
        return 0
    if asked.check:
        sys.stderr.write(f"{out} is not current: run python -m relay.alarm_page\n")
        return 1
    out.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
