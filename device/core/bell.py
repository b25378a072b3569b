"""The volunteer's bell: rings what desired says, and turns one button into accept and done. Pure.

What sounds is ``desired.rings`` with stage ``ringing``, minus what was answered here and has no receipt yet: the chime
stops as soon as the answer is on disk, and the light says ``answering``. The desired that brings the receipt decides
again: if the relay still wants the ring there, it rings. Rings of kind ``test`` never sound.

A press while something rings accepts the most urgent ring (the relay sorts them). A hold of 3 s means done, but only
if its press accepted nothing: a hand that rests on a ringing bell must not close the alarm that it has just taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from device.core.effects import Ignored, OutboxRow, Play
from device.core.outbox import Happened
from device.core.role import (
    ButtonDown,
    ButtonHeld,
    ButtonName,
    ChimeStarted,
    ChimeStopped,
    DesiredApplied,
    LinkChanged,
    RoleEffect,
    RoleInput,
    TimePassed,
)
from device.core.signals import Call, Light, Tone
from doorbell.wire import AlarmKind, Desired, EventType, Ring, Stage

_ANSWERS = (EventType.ACCEPT, EventType.DECLINE, EventType.DONE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered here and has no receipt yet."""

    event_id: str
    type: EventType
    alarm: str


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


def with_answers(state: BellState, rows: Iterable[OutboxRow]) -> BellState:
    """Answers of before a restart, read from the outbox: they stay given until their receipt."""
    found = [Answer(row.id, row.type, row.alarm) for row in rows if row.type in _ANSWERS and row.alarm]
    taken = (answer.alarm for answer in found if answer.type is EventType.ACCEPT)
    return replace(state, answers=(*state.answers, *found), accepted=(*state.accepted, *taken))


def advance_bell(state: BellState, event: RoleInput) -> tuple[BellState, tuple[RoleEffect, ...]]:
    """Take in one event. What should sound now is ``wanted_calls``, what the light says ``bell_light``."""
    match event:
        case ButtonDown(ButtonName.ANSWER, at_ms, event_id):
            return _answer(state, EventType.ACCEPT, event_id, at_ms)
        case ButtonDown(ButtonName.DECLINE, at_ms, event_id):
            return _answer(state, EventType.DECLINE, event_id, at_ms)
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
    """The alarms for which the chime should sound, most urgent first."""
    answered = {answer.alarm for answer in state.answers}
    return tuple(
        Call(ring.alarm, ring.label, ring.place, ring.kind)
        for ring in state.rings
        if ring.stage is Stage.RINGING and ring.kind is not AlarmKind.TEST and ring.alarm not in answered
    )


def bell_light(state: BellState) -> Light:
    """What the light says, the most pressing first."""
    if wanted_calls(state):
        return Light.RINGING
    if state.answers:
        return Light.ANSWERING
    underway = [ring for ring in state.rings if ring.stage in (Stage.ACCEPTED, Stage.ARRIVED)]
    if any(ring.mine for ring in underway):
        return Light.MINE
    if underway:
        return Light.TAKEN
    return Light.READY if state.link_up else Light.OFFLINE


def _answer(state: BellState, kind: EventType, event_id: str, at_ms: int) -> tuple[BellState, tuple[RoleEffect, ...]]:
    wanted = wanted_calls(state)
    alarm = wanted[0].alarm if wanted else _handed_back(state) if kind is EventType.DECLINE else None
    if alarm is None:
        reason = "already_answered" if state.answers else "nothing_rings"
        return replace(state, press_answered=False), (Ignored(reason),)
    kept = tuple(one for one in state.accepted if one != alarm)
    answered = replace(
        state,
        answers=(*state.answers, Answer(event_id, kind, alarm)),
        accepted=(*kept, alarm) if kind is EventType.ACCEPT else kept,
        press_answered=True,
    )
    return answered, (Happened(event_id, kind, at_ms, alarm), Play(Tone.HEARD))


def _done(state: BellState, event_id: str, at_ms: int) -> tuple[BellState, tuple[RoleEffect, ...]]:
    if state.press_answered:
        return state, (Ignored("hold_of_an_answer"),)
    alarm = _own_alarm(state)
    if alarm is None:
        return state, (Ignored("nothing_to_finish"),)
    answers = (*state.answers, Answer(event_id, EventType.DONE, alarm))
    return replace(state, answers=answers), (Happened(event_id, EventType.DONE, at_ms, alarm), Play(Tone.HEARD))


def _own_alarm(state: BellState) -> str | None:
    """The alarm that a hold finishes: the first that the relay calls mine, else the last that was accepted here."""
    settled = {answer.alarm for answer in state.answers if answer.type is not EventType.ACCEPT}
    mine = (ring.alarm for ring in state.rings if ring.mine and ring.stage is not Stage.RINGING)
    here = reversed(state.accepted)
    return next((alarm for alarm in (*mine, *here) if alarm not in settled), None)


def _handed_back(state: BellState) -> str | None:
    """The alarm that the decline button hands back while nothing rings: mine, if it is only accepted."""
    settled = {answer.alarm for answer in state.answers}
    mine = (ring.alarm for ring in state.rings if ring.mine and ring.stage is Stage.ACCEPTED)
    return next((alarm for alarm in mine if alarm not in settled), None)


def _apply(state: BellState, desired: Desired) -> BellState:
    answers = tuple(answer for answer in state.answers if answer.event_id not in desired.stored)
    pending = {answer.alarm for answer in answers}
    # A ring that sounds again or has gone is not ours any more, unless our word on it is still under way.
    shown = {ring.alarm for ring in desired.rings if ring.stage is not Stage.RINGING} | pending
    accepted = tuple(alarm for alarm in state.accepted if alarm in shown)
    return replace(state, rings=desired.rings, answers=answers, accepted=accepted)
