"""One alarm's life: ``ringing`` → ``accepted`` → ``arrived`` → ``closed``.

The state of an alarm is one frozen value. Whatever happens to it is an ``AlarmEvent``; ``advance_alarm`` gives the new
state, what goes into the journal, which hooks to tell, and a named reason. A late, repeated or impossible event gives
the same state and the reason why it changed nothing, because a network repeats itself.

The one deadline is data: ``Alarm.deadline`` says when and ``Alarm.due`` what for. Every open alarm has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from doorbell.values import value
from doorbell.wire import AlarmKind
from relay.core.policy import Policy

MAX_HELPERS = 50
"""Helpers listed in one alarm, the newest: more than a community would ever send. The journal has all of them."""


class AlarmStage(StrEnum):
    """Where an alarm is. ``CLOSED`` is the end."""

    RINGING = "ringing"
    ACCEPTED = "accepted"
    ARRIVED = "arrived"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How an alarm ended."""

    HELPED = "helped"
    HOSPITAL = "hospital"
    FALSE_ALARM = "false_alarm"
    NOBODY_CAME = "nobody_came"
    CANCELLED = "cancelled"


class Due(StrEnum):
    """What the deadline of an alarm is for."""

    DEAF = "deaf"
    """By now one of the step's bells should have reported that it sounds."""
    STEP = "step"
    """The step's wait is over: the next starts."""
    ARRIVE = "arrive"
    """Whoever accepted should have arrived."""
    DONE = "done"
    """Whoever arrived should have said that it is done."""


class HelperState(StrEnum):
    """How far a helper has come."""

    COMING = "coming"
    LATE = "late"
    """Accepted, and did not arrive in time; still listed."""
    HANDED_BACK = "handed_back"
    ARRIVED = "arrived"


@dataclass(frozen=True, slots=True)
class Helper:
    """Somebody who said: I am coming."""

    person: str
    device: str
    accepted_at: datetime
    state: HelperState = HelperState.COMING


@value(frozen=True, slots=True)
class Alarm:
    """The state of one alarm. Times are aware UTC in whole milliseconds."""

    id: str
    community: str
    household: str
    kind: AlarmKind
    source: str
    """The device that raised it."""
    raised_at: datetime
    """When the button went down, by the best clock there was."""
    policy: Policy
    stage: AlarmStage
    since: datetime
    """When the present stage began."""
    deadline: datetime | None
    due: Due | None
    step: int = 0
    round: int = 0
    """How often the last step has been repeated."""
    step_ends: datetime | None = None
    called: tuple[str, ...] = ()
    """Bells asked to ring so far, in order: nobody who was called is silently dropped."""
    step_bells: tuple[str, ...] = ()
    step_hooks: tuple[str, ...] = ()
    """Hooks of the present step that have not failed for good."""
    sounding: tuple[str, ...] = ()
    """Bells that report that this alarm's chime really runs, sorted."""
    declined: tuple[str, ...] = ()
    """People who said that they cannot; asked again only when everybody called has declined."""
    helpers: tuple[Helper, ...] = ()
    presses: int = 1
    recent_presses: tuple[datetime, ...] = ()
    """The newest three presses, oldest first."""
    press_seqs: tuple[tuple[str, int | None], ...] = ()
    """The newest press of each panel by that panel's own count, sorted; None if it does not count its events."""
    answer_seqs: tuple[tuple[str, int], ...] = ()
    """The newest acceptance or refusal of each bell by that bell's own count, sorted; of bells that count."""
    ok_closes: bool = True
    """False for a look-in: the elder has said that it was a mistake, and somebody is to look in all the same."""
    outcome: Outcome | None = None

    @property
    def is_open(self) -> bool:
        """Whether anybody still has to do something."""
        return self.stage is not AlarmStage.CLOSED

    @property
    def last_press_at(self) -> datetime:
        """When the newest press happened."""
        return self.recent_presses[-1] if self.recent_presses else self.raised_at

    @property
    def holder(self) -> Helper | None:
        """Who is coming or there: the newest helper, while the alarm is accepted or arrived."""
        if self.stage in (AlarmStage.ACCEPTED, AlarmStage.ARRIVED) and self.helpers:
            return self.helpers[-1]
        return None

    @property
    def at_last_step(self) -> bool:
        """Whether the present step is the one that repeats."""
        return self.step >= len(self.policy.steps) - 1

    @property
    def nobody_has_come(self) -> bool:
        """Whether everyone has been called and waited for in vain."""
        return self.stage is AlarmStage.RINGING and self.round > 0


class NoteType(StrEnum):
    """What can stand in the journal of an alarm. docs/glossary.md has the words."""

    RAISED = "raised"
    PRESSED_AGAIN = "pressed_again"
    STEP_STARTED = "step_started"
    STEP_DEAF = "step_deaf"
    STEP_REPEATED = "step_repeated"
    ALL_CALLED = "all_called"
    SOUNDING = "sounding"
    SILENT = "silent"
    ACCEPTED = "accepted"
    ACCEPTED_LATE = "accepted_late"
    DECLINED = "declined"
    HANDED_BACK = "handed_back"
    NOT_ARRIVED = "not_arrived"
    ARRIVED = "arrived"
    OVERDUE = "overdue"
    CLOSED = "closed"
    CLOCK_STEPPED = "clock_stepped"
    HOOK_FAILED = "hook_failed"
    RECOVERED = "recovered"
    WAITING = "waiting"
    """Nothing but the deadline changed."""


@value(frozen=True, slots=True)
class Note:
    """A line for the journal: what happened, and the facts of it (ids and numbers, no names)."""

    type: NoteType
    data: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """A hook to tell: ``key`` makes the delivery repeatable without telling twice."""

    hook: str
    key: str
    occasion: NoteType


@value(frozen=True, slots=True)
class Advance:
    """What became of an event: the alarm afterwards, the journal's lines, the hooks to tell, and why."""

    alarm: Alarm
    reason: str
    """``applied``, or a word that says why nothing changed."""
    notes: tuple[Note, ...] = ()
    notices: tuple[Notice, ...] = ()


# ---------------------------------------------------------------------------------------------------------------------
# What can happen to an alarm


@dataclass(frozen=True, slots=True)
class Pressed:
    """The help button of the household went down again. ``seq`` is the panel's own count of events."""

    device: str
    at: datetime
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class OkPressed:
    """The green button: a mistake while ringing, "my helper is here" once accepted."""

    device: str
    at: datetime
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """Somebody said: I am coming. ``seq`` is the bell's own count of events."""

    person: str
    device: str
    at: datetime
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """Somebody said: I cannot; from who is coming, it hands the alarm back."""

    person: str
    device: str
    at: datetime
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class DoneBy:
    """A helper said: it is done."""

    person: str
    device: str
    at: datetime


@dataclass(frozen=True, slots=True)
class BellsChanged:
    """Some bell came, went, began or stopped to sound. ``sounding``: all that report this alarm's chime now, sorted."""

    sounding: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HookFailed:
    """A hook could not be told, and will not be: it counts as deaf."""

    hook: str


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The clock says that it is time to look at the deadline; before it, this changes nothing."""


@dataclass(frozen=True, slots=True)
class DeadlineLost:
    """The auditor found this open alarm without a deadline that will come: it must be looked at now."""


@dataclass(frozen=True, slots=True)
class ClosedBy:
    """The office closed it by command. ``by`` is an account or program, not a name."""

    outcome: Outcome
    by: str


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """The relay's wall clock was moved by ``delta_ms``: waits keep their length, so deadlines move with the clock."""

    delta_ms: int


AlarmEvent = (
    Pressed
    | OkPressed
    | Accepted
    | Declined
    | DoneBy
    | BellsChanged
    | HookFailed
    | DeadlinePassed
    | DeadlineLost
    | ClosedBy
    | ClockStepped
)
