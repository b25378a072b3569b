"""Policies: who is called in which order, and for how long before the next.

A policy is a list of steps; the last step repeats until somebody accepts. It is frozen into an alarm when the alarm is
raised, so editing a policy changes no alarm that runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from doorbell.ids import SLUG_PATTERN
from doorbell.wire import AlarmKind

MAX_STEPS = 20
MAX_WAIT_S = 86_400
MIN_WAIT_S = 1
THREE_PRESSES_S = 60
"""Three presses within this many seconds call every step at once (product rule)."""
DEAF_S = 5
"""A bell that does not report that it sounds within this many seconds is held deaf (product rule)."""


class TargetType(StrEnum):
    """Whom a step calls."""

    VOLUNTEER = "volunteer"
    """One volunteer of the household by place in the pair's order: ``volunteer:1`` is the first."""
    VOLUNTEERS = "volunteers"
    """All volunteers of the household."""
    GROUP = "group"
    """The alliance groups of the community of this kind or id: ``group:medical``."""
    OFFICE = "office"
    """The community's office group."""
    EVERYONE = "everyone"
    """All of the household's volunteers and all groups of the community."""
    HOOK = "hook"
    """A webhook of the register: ``hook:board``."""


@dataclass(frozen=True, slots=True)
class Target:
    """One target of a step; ``name`` is the group or hook, or the volunteer's place as a decimal from 1."""

    type: TargetType
    name: str = ""

    def __str__(self) -> str:
        return f"{self.type.value}:{self.name}" if self.name else self.type.value


_NAMED = {TargetType.VOLUNTEER, TargetType.GROUP, TargetType.HOOK}


def parse_target(text: str) -> Target:
    """``volunteer:1``, ``volunteers``, ``group:medical``, ``office``, ``everyone``, ``hook:board``; else ValueError."""
    head, colon, name = text.partition(":")
    try:
        kind = TargetType(head)
    except ValueError:
        known = ", ".join(t.value for t in TargetType)
        raise ValueError(f"unknown target {text!r}: use one of {known}") from None
    if (kind in _NAMED) != bool(name) or (colon and not name):
        raise ValueError(f"target {text!r}: write {kind.value}{':NAME' if kind in _NAMED else ''}")
    if kind is TargetType.VOLUNTEER and not re.fullmatch(r"[1-9][0-9]?", name):
        raise ValueError(f"target {text!r}: write the volunteer's place, volunteer:1 to volunteer:99")
    if kind in (TargetType.GROUP, TargetType.HOOK) and not re.match(SLUG_PATTERN, name):
        raise ValueError(f"target {text!r}: a name has lower-case letters, digits and '-', at most 63")
    return Target(kind, name)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: who is called, and how many seconds before the next step starts (1 s to one day)."""

    targets: tuple[Target, ...]
    wait_s: int

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError("a step needs at least one target")
        if not MIN_WAIT_S <= self.wait_s <= MAX_WAIT_S:
            raise ValueError(f"wait_s {self.wait_s} is outside {MIN_WAIT_S} to {MAX_WAIT_S}")


class OnMistake(StrEnum):
    """What the green button does while ``help`` rings: "a mistake, thank you"."""

    CLOSE = "close"
    """The alarm is closed as a false alarm."""
    LOOK_IN = "look-in"
    """The alarm is closed as a false alarm, and a ``checkin`` alarm asks a volunteer to look in."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How one kind of alarm escalates. Waits in seconds."""

    id: str
    steps: tuple[Step, ...]
    arrive_wait_s: int = 600
    """An accepted alarm without an arrival rings again after this (product default: 10 min)."""
    done_wait_s: int = 3600
    """An arrived alarm that nobody has closed is shown to the office as overdue after this, again and again."""
    on_mistake: OnMistake = OnMistake.CLOSE

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= MAX_STEPS:
            raise ValueError(f"a policy has 1 to {MAX_STEPS} steps, this one {len(self.steps)}")
        for name, value in (("arrive_wait_s", self.arrive_wait_s), ("done_wait_s", self.done_wait_s)):
            if not MIN_WAIT_S <= value <= MAX_WAIT_S:
                raise ValueError(f"{name} {value} is outside {MIN_WAIT_S} to {MAX_WAIT_S}")


def _steps(*steps: tuple[str, int]) -> tuple[Step, ...]:
    return tuple(Step(tuple(parse_target(t) for t in targets.split()), wait_s) for targets, wait_s in steps)


DEFAULT_POLICIES: dict[AlarmKind, Policy] = {
    AlarmKind.HELP: Policy(
        "default-help",
        _steps(("volunteer:1", 45), ("volunteers", 45), ("group:medical office", 120), ("everyone", 120)),
    ),
    AlarmKind.CHECKIN: Policy(
        "default-checkin", _steps(("volunteer:1", 600), ("volunteers", 600), ("office", 600)), arrive_wait_s=3600
    ),
    AlarmKind.TECHNICAL: Policy("default-technical", _steps(("office", 1800)), arrive_wait_s=86_400),
    AlarmKind.REQUEST: Policy("default-request", _steps(("volunteers office", 1800)), arrive_wait_s=14_400),
}
"""What a household gets for a kind that its register names no policy for (product defaults for help)."""
