"""The outbox's rules: what waits for its receipt, what is sent now, what is sent again and when. Pure.

An event leaves the outbox only when the relay has committed it (``desired.stored``). It is sent when it happens, at
every ``Connected``, and again after 2, 4, 8, 16 and then every 30 s (wire contract). ``help`` goes first, then the
oldest; the first ``MAX_IN_FLIGHT`` in that order may be under way, the rest wait for receipts. Rows that were sent
five times in vain yield to those that were sent less often, so no row that the relay never receipts holds up another.
Nothing is ever dropped for its age. A ``fault`` overtakes a waiting one about the same thing, a ``test`` a waiting one
of the same name, a ``renew`` any other, so an outage of a week cannot fill the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from device.core.effects import Forget, Ignored, Keep, OutboxRow, Send
from device.core.moment import Moment
from doorbell.wire import MAX_IN_FLIGHT, ClockState, Event, EventType
from doorbell.wire.messages import FIRST_YEAR, LAST_YEAR

RESEND_AFTER_S = (2, 4, 8, 16, 30)
"""Wire contract; the last one for ever."""
RESEND_SPREAD = 0.2
_PATIENT_SENDS = 2
"""A row that was sent only once in this connection has its receipt under way."""
_ROUND = 5
"""Sends after which a row yields to those that had fewer such rounds."""
MAX_AGE_MS = 10 * 365 * 86_400_000
"""The wire's limit on ``age_ms``."""
_EARLIEST = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
_LATEST = datetime(LAST_YEAR, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The wire's limits on ``at``: a press must go out even where the clock is out of its mind; ``age_ms`` is right."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row without its receipt. ``sends``: in this connection; ``due_ms``: when it goes (again)."""

    row: OutboxRow
    sends: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class OutboxState:
    """What waits, oldest first. ``next_seq`` is the number of the next event."""

    waiting: tuple[Waiting, ...]
    next_seq: int
    connected: bool = False


@dataclass(frozen=True, slots=True)
class Happened:
    """Something happened here at ``at_ms`` (monotonic, not later than now)."""

    id: str
    type: EventType
    at_ms: int
    alarm: str | None = None
    detail: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Receipts:
    """The relay has committed these."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RelaySpoke:
    """The relay has said something new: it lives. What it has not receipted goes again without waiting out its pause,
    so that a relay that comes back hears an acceptance before it calls others."""


@dataclass(frozen=True, slots=True)
class Found:
    """The disk could not be read at start, and now it can: these lay on it."""

    rows: tuple[OutboxRow, ...]
    next_seq: int


@dataclass(frozen=True, slots=True)
class Connected:
    """The link is up: everything goes again, now."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The link is down: nothing can be sent."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


OutboxInput = Happened | Receipts | RelaySpoke | Found | Connected | Disconnected | Tick
OutboxEffect = Keep | Forget | Send | Ignored


def new_outbox(rows: Iterable[OutboxRow], next_seq: int, now_ms: int) -> OutboxState:
    """The state at start, from what lies on disk. ``next_seq`` must be above every number that was ever used."""
    ordered = sorted(rows, key=lambda row: row.seq)
    return OutboxState(tuple(Waiting(_in_calendar(row), 0, now_ms) for row in ordered), next_seq)


def advance_outbox(
    state: OutboxState, event: OutboxInput, moment: Moment
) -> tuple[OutboxState, tuple[OutboxEffect, ...]]:
    """Take in one event, then send what is due."""
    effects: list[OutboxEffect] = []
    match event:
        case Happened():
            state, effects = _keep(state, event, moment)
        case Receipts(ids):
            state, effects = _forget(state, frozenset(ids))
        case RelaySpoke():
            waiting = tuple(
                replace(one, due_ms=min(one.due_ms, moment.now_ms)) if one.sends >= _PATIENT_SENDS else one
                for one in state.waiting
            )
            state = replace(state, waiting=waiting)
        case Found(rows, next_seq):
            known = {one.row.id for one in state.waiting}
            found = tuple(Waiting(_in_calendar(row), 0, moment.now_ms) for row in rows if row.id not in known)
            waiting = tuple(sorted((*found, *state.waiting), key=lambda one: one.row.seq))
            state = replace(state, waiting=waiting, next_seq=max(state.next_seq, next_seq))
        case Connected():
            waiting = tuple(replace(one, sends=0, due_ms=moment.now_ms) for one in state.waiting)
            state = replace(state, waiting=waiting, connected=True)
        case Disconnected():
            state = replace(state, connected=False)
        case Tick():
            pass
    state, sends = _send_due(state, moment)
    return state, (*effects, *sends)


def outbox_deadline(state: OutboxState) -> int | None:
    """The monotonic ms at which something is to be sent again, or None."""
    if not state.connected or not state.waiting:
        return None
    return min(one.due_ms for one in _window(state))


def age_ms(row: OutboxRow, moment: Moment) -> int:
    """How long ago it happened; a lower bound where nothing better is known (another boot, no clock)."""
    if row.boot == moment.boot:
        age = moment.now_ms - row.born_ms
    elif row.clock is ClockState.SYNCED and moment.synced:
        age = max((moment.wall - row.at) // timedelta(milliseconds=1), moment.now_ms)
    else:
        age = moment.now_ms  # it happened before this boot
    return min(max(age, 0), MAX_AGE_MS)


def _keep(state: OutboxState, event: Happened, moment: Moment) -> tuple[OutboxState, list[OutboxEffect]]:
    if any(one.row.id == event.id for one in state.waiting):
        return state, [Ignored("event_repeated", event.id)]
    row = OutboxRow(
        seq=state.next_seq,
        id=event.id,
        type=event.type,
        at=_clamped(_clamped(moment.wall) - timedelta(milliseconds=moment.now_ms - event.at_ms)),
        clock=moment.clock,
        boot=moment.boot,
        born_ms=event.at_ms,
        alarm=event.alarm,
        detail=event.detail,
    )
    overtaken = tuple(one.row.id for one in state.waiting if _overtakes(row, one.row))
    waiting = tuple(one for one in state.waiting if one.row.id not in overtaken)
    state = replace(state, waiting=(*waiting, Waiting(row, 0, moment.now_ms)), next_seq=state.next_seq + 1)
    return state, [Keep(row), *([Forget(overtaken)] if overtaken else [])]


def _clamped(at: datetime) -> datetime:
    return min(max(at, _EARLIEST), _LATEST)


def _in_calendar(row: OutboxRow) -> OutboxRow:
    """A row that an older program has kept with a time which the wire refuses."""
    return replace(row, at=_clamped(row.at))


def _forget(state: OutboxState, ids: frozenset[str]) -> tuple[OutboxState, list[OutboxEffect]]:
    done = tuple(one.row.id for one in state.waiting if one.row.id in ids)
    if not done:
        return state, []
    return replace(state, waiting=tuple(one for one in state.waiting if one.row.id not in ids)), [Forget(done)]


def _overtakes(new: OutboxRow, old: OutboxRow) -> bool:
    """Whether the newer event says all that is worth knowing of the older one."""
    now, before = new.detail or {}, old.detail or {}
    if old.type is not new.type:
        return False
    match new.type:
        case EventType.FAULT:
            return (now.get("code"), now.get("subject")) == (before.get("code"), before.get("subject"))
        case EventType.TEST:
            return now.get("of") is not None and now.get("of") == before.get("of")
        case EventType.RENEW:
            return True
        case _:
            return False


def _window(state: OutboxState) -> tuple[Waiting, ...]:
    """What may be under way: help first, then the fewest rounds in vain, then the oldest. A new help takes the place of
    the least urgent."""
    return tuple(sorted(state.waiting, key=_urgency)[:MAX_IN_FLIGHT])


def _urgency(one: Waiting) -> tuple[bool, int, int]:
    return one.row.type is not EventType.HELP, one.sends // _ROUND, one.row.seq


def _send_due(state: OutboxState, moment: Moment) -> tuple[OutboxState, list[Send]]:
    if not state.connected or not state.waiting:
        return state, []
    due = [one for one in _window(state) if one.due_ms <= moment.now_ms]
    again = {one.row.id: _scheduled(one, moment) for one in due}
    state = replace(state, waiting=tuple(again.get(one.row.id, one) for one in state.waiting))
    return state, [Send(event_of(one.row, moment)) for one in due]


def _scheduled(one: Waiting, moment: Moment) -> Waiting:
    wait_s = RESEND_AFTER_S[min(one.sends, len(RESEND_AFTER_S) - 1)]
    wait_ms = round(wait_s * 1000 * (1 + RESEND_SPREAD * moment.jitter))
    return Waiting(one.row, one.sends + 1, moment.now_ms + wait_ms)


def event_of(row: OutboxRow, moment: Moment) -> Event:
    """A row as it is said now, with its age at this moment."""
    return Event(
        id=row.id,
        type=row.type,
        at=row.at,
        age_ms=age_ms(row, moment),
        clock=row.clock,
        alarm=row.alarm,
        detail=dict(row.detail) if row.detail is not None else None,
        seq=row.seq,
    )
