"""The elder's panel: a press becomes help, and the answer is true and comes in steps. Pure.

The stage shown is computed anew from three things only, so it cannot say more than they do:

* presses without a receipt: the youngest truth there is. ``heard`` for 10 s, then ``unreachable`` until the receipt
  comes. They outweigh whatever desired said before: a ``coming`` from this morning, left over on a line that broke,
  must not answer tonight's press.
* else the alarm in the last desired: ``received``, ``ringing``, ``coming``, ``arrived``. It stays while the link is
  down (a helper who said "coming" is coming), because nothing that happened here contradicts it. But ``coming`` is a
  promise with an end: the relay, which would ring again when nobody arrives, cannot say so over a dead line. 15 min
  after the last desired, with the link down, the panel shows ``unreachable``; with the link up desired rules again.
* what a bell has said directly (``device.core.promise``) about a press of which the relay knows nothing yet: ``coming``
  and ``arrived``, by a person's own word, with an end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from device.core.effects import Ignored, Play, Tell
from device.core.outbox import Happened
from device.core.peer import PeerLimits, Telling
from device.core.promise import (
    NOTHING_SAID,
    DirectWord,
    Promise,
    hear_bell,
    hear_ok,
    hear_press,
    hear_relay,
    word_deadline,
    word_now,
)
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
from device.core.signals import Light, Phrase, Tone, Words
from doorbell.wire import Coverage, Desired, EventType, PanelAlarm, Stage

MAX_TOLD_PRESSES = 16
"""A wet contact makes 90 presses an hour (``device.core.contact``). To a bell all of them are one call; each told again
every 10 s they would take a panel's whole time after a day without a relay."""


class PanelStage(StrEnum):
    """How far help has come, as the elder is told."""

    IDLE = "idle"
    HEARD = "heard"
    RECEIVED = "received"
    RINGING = "ringing"
    COMING = "coming"
    ARRIVED = "arrived"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PanelLimits:
    """``unreachable_ms``: how long to wait for a receipt (product: 10 s). ``closed_ms``: how long the end is shown.
    ``coming_ms``: how long ``coming`` is believed without hearing from the relay (policy: 10 min to arrive).
    ``again_ms``: how often an elder whom nobody has heard yet is told that the panel goes on trying."""

    unreachable_ms: int = 10_000
    closed_ms: int = 5_000
    coming_ms: int = 15 * 60_000
    again_ms: int = 60_000
    peer: PeerLimits = PeerLimits()


@dataclass(frozen=True, slots=True)
class PanelState:
    """What the panel knows. ``unreceipted``: presses with the monotonic ms of each, oldest first. ``desired_ms``: when
    the last desired came, monotonic. ``oks``: green presses without a receipt that bells must know. ``say_again_ms``:
    when the sentence of an unreachable panel is spoken once more."""

    unreceipted: tuple[tuple[str, int], ...] = ()
    alarm: PanelAlarm | None = None
    coverage: Coverage | None = None
    link_up: bool = False
    closed_until_ms: int | None = None
    desired_ms: int = 0
    stage: PanelStage = PanelStage.IDLE
    who: str = ""
    """Who is coming, as the elder was told."""
    rev: int = 0
    names: tuple[tuple[str, str], ...] = ()
    """The volunteers' names, by bell."""
    word: DirectWord = NOTHING_SAID
    oks: tuple[tuple[str, int], ...] = ()
    say_again_ms: int | None = None


_STAGE_OF = {
    Stage.RECEIVED: PanelStage.RECEIVED,
    Stage.RINGING: PanelStage.RINGING,
    Stage.ACCEPTED: PanelStage.COMING,
    Stage.ARRIVED: PanelStage.ARRIVED,
}
_LIGHT_OF = {
    PanelStage.HEARD: Light.HEARD,
    PanelStage.RECEIVED: Light.RECEIVED,
    PanelStage.RINGING: Light.RINGING,
    PanelStage.COMING: Light.COMING,
    PanelStage.ARRIVED: Light.ARRIVED,
    PanelStage.UNREACHABLE: Light.UNREACHABLE,
    PanelStage.CLOSED: Light.CLOSED,
}
_TONE_OF = {
    PanelStage.RECEIVED: Tone.RECEIVED,
    PanelStage.RINGING: Tone.RINGING,
    PanelStage.COMING: Tone.COMING,
    PanelStage.ARRIVED: Tone.ARRIVED,
    PanelStage.UNREACHABLE: Tone.UNREACHABLE,
    PanelStage.CLOSED: Tone.CLOSED,
}
_PHRASE_OF = {
    PanelStage.RECEIVED: Phrase.RECEIVED,
    PanelStage.RINGING: Phrase.RINGING,
    PanelStage.COMING: Phrase.COMING,
    PanelStage.ARRIVED: Phrase.ARRIVED,
    PanelStage.UNREACHABLE: Phrase.UNREACHABLE,
    PanelStage.CLOSED: Phrase.CLOSED,
}
_IDLE_LIGHT_OF = {
    Coverage.COVERED: Light.COVERED,
    Coverage.THIN: Light.THIN,
    Coverage.UNCOVERED: Light.UNCOVERED,
}


def with_presses(state: PanelState, unreceipted_helps: Iterable[str], now_ms: int) -> PanelState:
    """Presses of before a restart, read from the outbox: they have a fresh 10 s to connect and be receipted in."""
    return replace(state, unreceipted=(*state.unreceipted, *((event_id, now_ms) for event_id in unreceipted_helps)))


def advance_panel(
    state: PanelState, event: RoleInput, now_ms: int, limits: PanelLimits
) -> tuple[PanelState, tuple[RoleEffect, ...]]:
    """Take in one event; a changed stage is told by a tone and a sentence, and by ``panel_light``."""
    effects: list[RoleEffect] = []
    match event:
        case ButtonDown(ButtonName.HELP, at_ms, event_id):
            phrase = Phrase.HEARD if state.link_up else Phrase.HEARD_OFFLINE
            effects = [Happened(event_id, EventType.HELP, at_ms), Play(Tone.HEARD, Words(phrase))]
            word = hear_press(state.word, state.unreceipted)
            state = replace(state, unreceipted=(*state.unreceipted, (event_id, at_ms)), word=word)
        case ButtonDown(ButtonName.OK, at_ms, event_id):
            effects = [Happened(event_id, EventType.OK, at_ms), Play(Tone.HEARD, Words(Phrase.OK_HEARD))]
            word = hear_ok(state.word, state.unreceipted, now_ms, limits.peer)
            oks = (*state.oks, (event_id, at_ms)) if word != state.word else state.oks
            state = replace(state, word=word, oks=oks)
        case ButtonDown(button):
            effects = [Ignored("no_such_button", button)]
        case ButtonHeld():
            effects = [Ignored("hold_means_nothing")]  # no gesture on a panel takes help back
        case DesiredApplied(desired):
            state = _apply(state, desired, now_ms, limits)
        case LinkChanged(up):
            state = replace(state, link_up=up)
        case PeerSaid():
            state, effects = _hear(state, event, now_ms, limits)
        case ChimeStarted() | ChimeStopped():
            effects = [Ignored("panel_has_no_chime")]
        case TimePassed():
            pass
    state, told = _restaged(state, now_ms, limits)
    return state, (*effects, *told)


def panel_light(state: PanelState) -> Light:
    """What the light says: the stage, or at rest whether a press made now would be heard."""
    if state.stage is not PanelStage.IDLE:
        return _LIGHT_OF[state.stage]
    if not state.link_up:
        return Light.OFFLINE
    return _IDLE_LIGHT_OF[state.coverage] if state.coverage is not None else Light.UNCOVERED


def panel_deadline(state: PanelState, limits: PanelLimits) -> int | None:
    """The monotonic ms at which the stage changes by time alone, or None."""
    deadlines = [word_deadline(state.word, limits.peer)]
    match state.stage:
        case PanelStage.HEARD:
            deadlines.append(_open_presses(state)[0][1] + limits.unreachable_ms)
        case PanelStage.COMING if not state.link_up and state.word.promise is None:
            deadlines.append(state.desired_ms + limits.coming_ms)
        case PanelStage.CLOSED:
            deadlines.append(state.closed_until_ms)
        case PanelStage.UNREACHABLE:
            deadlines.append(state.say_again_ms)
        case _:
            pass
    return min((at for at in deadlines if at is not None), default=None)


def panel_tellings(state: PanelState, peers: tuple[str, ...]) -> tuple[Telling, ...]:
    """What the paired bells must be told: presses that nobody has answered, and the OK that takes them back. Of very
    many presses the first, which names the call, and the newest."""
    word = state.word
    calls = () if word.promise is not None else tuple(one for one in _open_presses(state) if one[0] not in word.calm)
    if len(calls) > MAX_TOLD_PRESSES:
        calls = (calls[0], *calls[1 - MAX_TOLD_PRESSES :])
    return (
        *(Telling(event_id, peers, at_ms) for event_id, at_ms in calls),
        *(Telling(event_id, peers, at_ms, at_once=True) for event_id, at_ms in state.oks),
    )


def _open_presses(state: PanelState) -> tuple[tuple[str, int], ...]:
    """Presses without a receipt that no helper has finished."""
    return tuple(one for one in state.unreceipted if one[0] not in state.word.over)


def _hear(state: PanelState, heard: PeerSaid, now_ms: int, limits: PanelLimits) -> tuple[PanelState, list[RoleEffect]]:
    """A paired bell has said something; the other bells are told who comes."""
    other, said = heard.other, heard.event
    word, reason = hear_bell(state.word, heard, state.unreceipted, state.alarm, now_ms, limits.peer)
    if reason is not None and reason != "peer_repeated":
        return state, [Ignored(reason, said.type)]
    told: list[RoleEffect] = [] if reason is None else [Ignored(reason, said.type)]
    if said.type in (EventType.ACCEPT, EventType.DECLINE):
        detail = {"by": other, "who": dict(state.names).get(other, "")}
        passed_on = said.model_copy(update={"detail": detail, "seq": None})
        told += [Tell(bell, passed_on) for bell, _ in state.names if bell != other]
    closed_until_ms = now_ms + limits.closed_ms if word.over != state.word.over else state.closed_until_ms
    return replace(state, word=word, closed_until_ms=closed_until_ms), told


def _apply(state: PanelState, desired: Desired, now_ms: int, limits: PanelLimits) -> PanelState:
    panel = desired.panel
    left = tuple(one for one in state.unreceipted if one[0] not in desired.stored)
    alarm = panel.alarm if panel is not None else None
    word = state.word
    if desired.rev > state.rev:  # a broker says the last one again at every connect: that is no news
        word = hear_relay(word, alarm, left, now_ms, limits.peer)
    # What a helper has finished directly was said to be over then; the relay only agrees.
    ended = {event_id for event_id, _ in state.unreceipted if event_id in desired.stored}
    ended |= {state.alarm.id} if state.alarm is not None else set()
    was_open = bool(ended - state.word.over)
    return replace(
        state,
        unreceipted=left,
        alarm=alarm,
        coverage=panel.coverage if panel is not None else None,
        closed_until_ms=now_ms + limits.closed_ms if was_open and alarm is None else state.closed_until_ms,
        desired_ms=now_ms,
        rev=desired.rev,
        names=tuple((peer, _name_of(desired, peer)) for peer in desired.peers),
        word=word,
        oks=tuple(one for one in state.oks if one[0] not in desired.stored),
    )


def _name_of(desired: Desired, peer: str) -> str:
    return next((one.label for one in desired.neighbours if one.device == peer), "")


def _restaged(state: PanelState, now_ms: int, limits: PanelLimits) -> tuple[PanelState, list[RoleEffect]]:
    if (word := word_now(state.word, now_ms, limits.peer)) is not state.word:
        state = replace(state, word=word)
    pressed = _open_presses(state)
    shown = state.alarm if state.alarm is not None and state.alarm.id not in state.word.over else None
    if state.closed_until_ms is not None and (now_ms >= state.closed_until_ms or shown or pressed):
        state = replace(state, closed_until_ms=None)
    stage = _stage(state, pressed, shown, now_ms, limits)
    who = _who(state, pressed, shown) if stage is PanelStage.COMING else ""
    due = stage is PanelStage.UNREACHABLE and state.say_again_ms is not None and now_ms >= state.say_again_ms
    calm = bool(pressed) and all(event_id in state.word.calm for event_id, _ in pressed)  # an OK wants no more of it
    effects: list[RoleEffect] = []
    if stage in _TONE_OF and (stage is not state.stage or (who and who != state.who) or (due and not calm)):
        effects.append(Play(_TONE_OF[stage], Words(_PHRASE_OF[stage], who=who)))
    say_again_ms = state.say_again_ms
    if stage is not PanelStage.UNREACHABLE:
        say_again_ms = None
    elif effects or due:
        say_again_ms = now_ms + limits.again_ms
    if (stage, who, say_again_ms) != (state.stage, state.who, state.say_again_ms):
        state = replace(state, stage=stage, who=who, say_again_ms=say_again_ms)
    return state, effects


def _who(state: PanelState, pressed: tuple[tuple[str, int], ...], alarm: PanelAlarm | None) -> str:
    """Who comes, by the relay's word or by the bell's own."""
    if alarm is not None and alarm.stage is Stage.ACCEPTED and not pressed:
        return alarm.who or ""
    promise = state.word.promise
    return dict(state.names).get(promise.bell, "") if promise is not None else ""


def _promised(promise: Promise | None) -> PanelStage | None:
    if promise is None:
        return None
    return PanelStage.ARRIVED if promise.arrived else PanelStage.COMING


def _stage(
    state: PanelState, pressed: tuple[tuple[str, int], ...], alarm: PanelAlarm | None, now_ms: int, limits: PanelLimits
) -> PanelStage:
    promised = _promised(state.word.promise)
    if pressed:
        waited_ms = now_ms - pressed[0][1]
        return promised or (PanelStage.UNREACHABLE if waited_ms >= limits.unreachable_ms else PanelStage.HEARD)
    if alarm is not None:
        stage = _STAGE_OF[alarm.stage]
        if promised is not None and alarm.stage in (Stage.RECEIVED, Stage.RINGING):
            return promised
        stale = not state.link_up and now_ms - state.desired_ms >= limits.coming_ms
        return PanelStage.UNREACHABLE if stale and stage is PanelStage.COMING else stage
    return PanelStage.IDLE if state.closed_until_ms is None else PanelStage.CLOSED
