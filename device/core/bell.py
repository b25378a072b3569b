"""The volunteer's bell: rings what desired says, and turns one button into accept and done. Pure.

What sounds is ``desired.rings`` with stage ``ringing``, minus what was answered here and has no receipt yet: the chime
stops as soon as the answer is on disk, and the light says ``answering``. The desired that brings the receipt decides
again: if the relay still wants the ring there, it rings. Rings of kind ``test`` never sound.

While no relay answers, paired panels call directly (``device.core.direct_ring``): that sounds alike, and what is
answered goes to the relay and to the panel. As soon as the relay asks for the same alarm, its word counts.

A press while something rings accepts the most urgent ring (the relay sorts them). A hold of 3 s means done, but only
if its press accepted nothing: a hand that rests on a ringing bell must not close the alarm that it has just taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType

from device.core.direct_ring import (
    DirectRings,
    answer_ring,
    hear_panel,
    keep_wanted,
    merge_relay,
    ring_of,
    rings_deadline,
)
from device.core.effects import Ignored, OutboxRow, Play
from device.core.outbox import Happened
from device.core.peer import PeerLimits, Telling
from device.core.role import (
    ButtonDown,
    ButtonHeld,
    ButtonName,
    ChimeStarted,
    ChimeStopped,
    DesiredApplied,
    LinkChanged,
    PeerSaid,
    RoleEffect,
    RoleInput,
    TimePassed,
)
from device.core.signals import Call, Light, Phrase, Tone, Words
from doorbell.wire import AlarmKind, Desired, Event, EventType, Ring, Stage

_ANSWERS = (EventType.ACCEPT, EventType.DECLINE, EventType.DONE)


@dataclass(frozen=True, slots=True)
class BellLimits:
    """``remind_ms``: how often a volunteer who has accepted is reminded to say that it is done."""

    remind_ms: int = 15 * 60_000
    peer: PeerLimits = PeerLimits()


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered here and has no receipt yet. ``panel``: whose alarm it is, empty if unknown; ``direct``: it was
    the panel that asked, not the relay."""

    event_id: str
    type: EventType
    alarm: str
    at_ms: int = 0
    panel: str = ""
    direct: bool = False


@dataclass(frozen=True, slots=True)
class BellState:
    """What the bell knows. ``accepted``: alarms that were accepted with this button and still stand in ``rings``."""

    rings: tuple[Ring, ...] = ()
    answers: tuple[Answer, ...] = ()
    accepted: tuple[str, ...] = ()
    sounding: tuple[str, ...] = ()
    """Alarms whose chime really sounds, as the player says: what ``reported.ringing`` lists."""
    link_up: bool = False
    press_answered: bool = False
    """The press that is down, or was the last, has answered something."""
    direct: DirectRings = ()
    desired: Desired | None = None
    remind_ms: int | None = None
    """When the volunteer is reminded, monotonic; None while there is nothing to be done."""


def with_answers(state: BellState, rows: Iterable[OutboxRow], now_ms: int) -> BellState:
    """Answers of before a restart, read from the outbox: they stay given until their receipt."""
    found = [
        Answer(row.id, row.type, row.alarm, now_ms, panel := str((row.detail or {}).get("panel", "")), bool(panel))
        for row in rows
        if row.type in _ANSWERS and row.alarm
    ]
    taken = (answer.alarm for answer in found if answer.type is EventType.ACCEPT)
    return replace(state, answers=(*state.answers, *found), accepted=(*state.accepted, *taken))


def advance_bell(
    state: BellState, event: RoleInput, now_ms: int, limits: BellLimits
) -> tuple[BellState, tuple[RoleEffect, ...]]:
    """Take in one event. What should sound now is ``wanted_calls``, what the light says ``bell_light``."""
    before = state
    state, effects = _take(state, event, now_ms, limits)
    if (direct := keep_wanted(state.direct, now_ms, limits.peer)) is not state.direct:
        state = replace(state, direct=direct)
    state, reminders = _reminded(state, now_ms, limits)
    taken = () if state is before else _taken(state, wanted_calls(before))
    return state, (*effects, *taken, *reminders)


def _take(
    state: BellState, event: RoleInput, now_ms: int, limits: BellLimits
) -> tuple[BellState, tuple[RoleEffect, ...]]:
    match event:
        case ButtonDown(ButtonName.ANSWER, at_ms, event_id):
            return _answer(state, EventType.ACCEPT, event_id, at_ms)
        case ButtonDown(ButtonName.DECLINE, at_ms, event_id):
            return _answer(state, EventType.DECLINE, event_id, at_ms)
        case PeerSaid(other, said):
            return _hear(state, other, said, now_ms, limits)
        case ButtonHeld(ButtonName.ANSWER, at_ms, event_id):
            return _done(state, event_id, at_ms)
        case ButtonDown(button) | ButtonHeld(button):
            return state, (Ignored("gesture_means_nothing", button),)
        case DesiredApplied(desired):
            return _apply(state, desired), ()
        case LinkChanged(up):
            return replace(state, link_up=up), ()
        case ChimeStarted(alarm):
            if alarm in state.sounding:
                return state, (Ignored("already_sounding", alarm),)
            return replace(state, sounding=(*state.sounding, alarm)), ()
        case ChimeStopped(alarm):
            if alarm not in state.sounding:
                return state, (Ignored("not_sounding", alarm),)
            return replace(state, sounding=tuple(one for one in state.sounding if one != alarm)), ()
        case TimePassed():
            return state, ()


def wanted_calls(state: BellState) -> tuple[Call, ...]:
    """The alarms for which the chime should sound, most urgent first, the relay's before those of panels."""
    if not state.rings and not state.direct:
        return ()
    answered = {answer.alarm for answer in state.answers}
    told = {answer.panel for answer in state.answers if answer.direct}
    asked = [
        ring
        for ring in state.rings
        if ring.stage is Stage.RINGING
        and ring.kind is not AlarmKind.TEST
        and ring.alarm not in answered
        and ring.from_ not in told
    ]
    panels = {ring.from_ for ring in asked}
    return (
        *(Call(ring.alarm, ring.label, ring.place, ring.kind) for ring in asked),
        *(Call(one.alarm, one.label, one.place) for one in state.direct if one.calls and one.panel not in panels),
    )


def bell_light(state: BellState) -> Light:
    """What the light says, the most pressing first."""
    if wanted_calls(state):
        return Light.RINGING
    if any(one.accepted_ms is not None for one in state.direct):
        return Light.MINE
    taken = {one.panel for one in state.direct}  # neither ringing nor accepted here
    if any(answer.panel not in taken for answer in state.answers):
        return Light.ANSWERING
    underway = [ring for ring in state.rings if ring.stage in (Stage.ACCEPTED, Stage.ARRIVED)]
    if any(ring.mine for ring in underway):
        return Light.MINE
    if underway or state.direct:
        return Light.TAKEN
    return Light.READY if state.link_up else Light.OFFLINE


def bell_deadline(state: BellState, limits: BellLimits) -> int | None:
    """The monotonic ms at which something changes by time alone, or None."""
    deadlines = (rings_deadline(state.direct, limits.peer), state.remind_ms)
    return min((at for at in deadlines if at is not None), default=None)


def bell_tellings(state: BellState, peers: tuple[str, ...]) -> tuple[Telling, ...]:
    """Which panels must be told of an answer: at once if they have asked themselves, else if the relay is slow.

    Of several answers to one alarm only the newest: an acceptance that was taken back is no comfort.
    """
    newest = {answer.alarm: answer for answer in state.answers}
    return tuple(
        Telling(one.event_id, (one.panel,), one.at_ms, at_once=one.direct)
        for one in newest.values()
        if one.panel in peers
    )


def _answer(state: BellState, kind: EventType, event_id: str, at_ms: int) -> tuple[BellState, tuple[RoleEffect, ...]]:
    wanted = wanted_calls(state)
    alarm = wanted[0].alarm if wanted else _handed_back(state) if kind is EventType.DECLINE else None
    if alarm is None:
        reason = "already_answered" if state.answers else "nothing_rings"
        return replace(state, press_answered=False), (Ignored(reason),)
    kept = tuple(one for one in state.accepted if one != alarm)
    phrase = Phrase.GO if kind is EventType.ACCEPT else Phrase.DECLINED
    words = _words(state, phrase, alarm)
    answer = _answered(state, event_id, kind, alarm, at_ms)
    answered = replace(
        state,
        answers=(*state.answers, answer),
        accepted=(*kept, alarm) if kind is EventType.ACCEPT else kept,
        press_answered=True,
        direct=answer_ring(state.direct, alarm, kind, at_ms),
    )
    return answered, (_happened(answer), Play(Tone.HEARD, words))


def _answered(state: BellState, event_id: str, kind: EventType, alarm: str, at_ms: int) -> Answer:
    asked = next((ring.from_ for ring in state.rings if ring.alarm == alarm), "")
    direct = next((one.panel for one in state.direct if one.alarm == alarm), "")
    return Answer(event_id, kind, alarm, at_ms, direct or asked, bool(direct))


def _happened(answer: Answer) -> Happened:
    """What goes into the outbox. A panel that called directly is named in it: it must be told after a restart too."""
    detail = MappingProxyType({"panel": answer.panel}) if answer.direct else None
    return Happened(answer.event_id, answer.type, answer.at_ms, answer.alarm, detail)


def _words(state: BellState, phrase: Phrase, alarm: str) -> Words:
    """A sentence about an alarm, with what is known of it."""
    for ring in state.rings:
        if ring.alarm == alarm:
            return Words(phrase, ring.who or "", ring.label, ring.place, ring.kind)
    for one in state.direct:
        if one.alarm == alarm:
            return Words(phrase, one.taken_by or "", one.label, one.place)
    return Words(phrase)


def _hear(
    state: BellState, other: str, said: Event, now_ms: int, limits: BellLimits
) -> tuple[BellState, tuple[RoleEffect, ...]]:
    """A paired panel speaks itself."""
    given = next((one for one in reversed(state.answers) if one.alarm == said.id), None)
    recent = given is not None and now_ms - given.at_ms < limits.peer.arrive_ms - limits.peer.again_ms
    if given is not None and recent and given.type is not EventType.ACCEPT:
        return state, (Ignored("already_answered", said.id),)
    sounding = any(ring.from_ == other for ring in state.rings if ring.alarm in {c.alarm for c in wanted_calls(state)})
    direct, reason = hear_panel(state.direct, other, said, state.desired, now_ms, limits.peer, sounding=sounding)
    if reason is not None:
        return state, (Ignored(reason, said.type),)
    if given is not None and recent and ring_of(state.direct, other) is None:
        direct = answer_ring(direct, said.id, EventType.ACCEPT, given.at_ms)
        answers = tuple(replace(one, panel=other, direct=True) if one == given else one for one in state.answers)
        state = replace(state, answers=answers)
    return replace(state, direct=direct), ()


def _taken(state: BellState, before: tuple[Call, ...]) -> tuple[RoleEffect, ...]:
    """Whoever stops ringing because another goes is told so: nobody must wonder."""
    if not before:
        return ()
    now = {call.alarm for call in wanted_calls(state)}  # a panel may call anew for what the relay says is taken
    others = {ring.alarm for ring in state.rings if ring.stage is Stage.ACCEPTED and not ring.mine}
    others |= {one.alarm for one in state.direct if one.taken_by is not None}
    answered = {answer.alarm for answer in state.answers}
    gone = [call.alarm for call in before if call.alarm in others - answered - now]
    return tuple(Play(Tone.NOTICE, _words(state, Phrase.TAKEN, alarm)) for alarm in gone)


def _reminded(state: BellState, now_ms: int, limits: BellLimits) -> tuple[BellState, tuple[RoleEffect, ...]]:
    """Accepted here and not said to be done: ask from time to time, never while it rings."""
    alarm = _own_alarm(state)
    if alarm is None:
        return (state if state.remind_ms is None else replace(state, remind_ms=None)), ()
    if state.remind_ms is None:
        return replace(state, remind_ms=now_ms + limits.remind_ms), ()
    if now_ms < state.remind_ms:
        return state, ()
    state = replace(state, remind_ms=now_ms + limits.remind_ms)
    return state, () if wanted_calls(state) else (Play(Tone.NOTICE, _words(state, Phrase.REMINDER, alarm)),)


def _done(state: BellState, event_id: str, at_ms: int) -> tuple[BellState, tuple[RoleEffect, ...]]:
    if state.press_answered:
        return state, (Ignored("hold_of_an_answer"),)
    alarm = _own_alarm(state)
    if alarm is None:
        return state, (Ignored("nothing_to_finish"),)
    words = _words(state, Phrase.DONE, alarm)
    answer = _answered(state, event_id, EventType.DONE, alarm, at_ms)
    direct = answer_ring(state.direct, alarm, EventType.DONE, at_ms)
    state = replace(state, answers=(*state.answers, answer), direct=direct)
    return state, (_happened(answer), Play(Tone.HEARD, words))


def _own_alarm(state: BellState) -> str | None:
    """The alarm that a hold finishes: the first that the relay calls mine, else the last that was accepted here."""
    settled = {answer.alarm for answer in state.answers if answer.type is not EventType.ACCEPT}
    mine = (ring.alarm for ring in state.rings if ring.mine and ring.stage is not Stage.RINGING)
    here = reversed(state.accepted)
    return next((alarm for alarm in (*mine, *here) if alarm not in settled), None)


def _handed_back(state: BellState) -> str | None:
    """The alarm that the decline button hands back while nothing rings: mine, if it is only accepted."""
    settled = {answer.alarm for answer in state.answers if not answer.direct}
    mine = (ring.alarm for ring in state.rings if ring.mine and ring.stage is Stage.ACCEPTED)
    direct = (one.alarm for one in state.direct if one.accepted_ms is not None and not one.arrived)
    return next((alarm for alarm in (*mine, *direct) if alarm not in settled), None)


def _apply(state: BellState, desired: Desired) -> BellState:
    answers = tuple(answer for answer in state.answers if answer.event_id not in desired.stored)
    pending = {answer.alarm for answer in answers}
    # A ring that sounds again or has gone is not ours any more, unless our word on it is still under way.
    shown = {ring.alarm for ring in desired.rings if ring.stage is not Stage.RINGING} | pending
    news = state.desired is None or desired.rev > state.desired.rev
    direct = merge_relay(state.direct, desired, news=news)
    shown |= {one.alarm for one in direct if one.accepted_ms is not None}
    accepted = tuple(alarm for alarm in state.accepted if alarm in shown)
    return replace(state, rings=desired.rings, answers=answers, accepted=accepted, direct=direct, desired=desired)
