"""The steps of an alarm's policy: whom a step calls, when it is deaf, and what follows it."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from doorbell.values import value
from relay.core.alarm import Alarm, AlarmStage, Due, Note, NoteType, Notice
from relay.core.policy import DEAF_S
from relay.core.register import Register
from relay.core.roster import Call, resolve_targets


@value(frozen=True, slots=True)
class Surroundings:
    """What an alarm must know of the world: who is registered, and which bells are online.

    ``settled`` is False while a relay that has just started does not know yet which bells sound.
    """

    register: Register
    online: Container[str]
    settled: bool = True


_Started = tuple[Alarm, tuple[Note, ...], tuple[Notice, ...]]


def start_step(alarm: Alarm, index: int, around: Surroundings, now: datetime) -> _Started:
    """Start a step; one that nobody can hear is passed over at once. After the last step the last one repeats."""
    last = len(alarm.policy.steps) - 1
    repeats = index > last
    notes: list[Note] = []
    notices: list[Notice] = []
    for number in range(min(index, last), last + 1):
        call = resolve_targets(around.register, alarm.household, alarm.policy.steps[number].targets)
        alarm = _begin(alarm, number, call, around, now, repeats=repeats)
        kind = NoteType.STEP_REPEATED if repeats else NoteType.STEP_STARTED
        notes.append(
            journal_note(kind, step=number + 1, bells=list(call.bells), hooks=list(call.hooks), wait_s=_wait_s(alarm))
        )
        notices += _notices(alarm, call.hooks, kind, now)
        if number == last or not _is_deaf(alarm, around):
            break
        notes.append(journal_note(NoteType.STEP_DEAF, step=number + 1, bells=list(call.bells)))
    return alarm, tuple(notes), tuple(notices)


def _begin(alarm: Alarm, number: int, call: Call, around: Surroundings, now: datetime, *, repeats: bool) -> Alarm:
    ends = now + timedelta(seconds=alarm.policy.steps[number].wait_s)
    check_at = now + timedelta(seconds=DEAF_S)
    heard = bool(call.hooks) or any(bell in call.bells for bell in alarm.sounding)
    may_be_deaf = number < len(alarm.policy.steps) - 1 and bool(call.bells) and not heard and check_at < ends
    begun = replace(
        alarm,
        step=number,
        round=alarm.round + 1 if repeats else alarm.round,
        called=tuple(dict.fromkeys((*alarm.called, *call.bells))),
        step_bells=call.bells,
        step_hooks=call.hooks,
        step_ends=ends,
        deadline=check_at if may_be_deaf else ends,
        due=Due.DEAF if may_be_deaf else Due.STEP,
    )
    if repeats and not any(_can_answer(begun, bell, around) for bell in begun.called):
        begun = replace(begun, declined=())
    return begun


def watch_deafness(alarm: Alarm, now: datetime) -> Alarm:
    """A step before the last whose bells nobody has heard: look again after ``DEAF_S``, if it still waits then."""
    check_at = now + timedelta(seconds=DEAF_S)
    if alarm.step_ends is None or check_at >= alarm.step_ends:
        return alarm
    return replace(alarm, deadline=check_at, due=Due.DEAF)


def due_wait_s(alarm: Alarm) -> int:
    """The seconds from when the present deadline was set until it: what its ``due`` waits for at the longest."""
    match alarm.due:
        case Due.DEAF:
            return DEAF_S
        case Due.ARRIVE:
            return alarm.policy.arrive_wait_s
        case Due.DONE:
            return alarm.policy.done_wait_s
        case _:
            return _wait_s(alarm)


def is_heard(alarm: Alarm) -> bool:
    """Whether a person may have heard of this step: a bell of it sounds, or a hook of it was not refused."""
    return bool(alarm.step_hooks) or any(bell in alarm.step_bells for bell in alarm.sounding)


def _is_deaf(alarm: Alarm, around: Surroundings) -> bool:
    """Whether nobody whom the step calls can hear it: no hook, and every bell is offline or has declined."""
    return not alarm.step_hooks and not any(_can_answer(alarm, bell, around) for bell in alarm.step_bells)


def _can_answer(alarm: Alarm, bell: str, around: Surroundings) -> bool:
    device = around.register.devices.get(bell)
    return device is not None and bell in around.online and device.person not in alarm.declined


def skip_if_deaf(alarm: Alarm, around: Surroundings, now: datetime) -> _Started:
    """While ringing: start the next step if this one has become deaf; else keep the deadline true."""
    if alarm.stage is not AlarmStage.RINGING or alarm.at_last_step:
        return alarm, (), ()
    if _is_deaf(alarm, around):
        noted = journal_note(NoteType.STEP_DEAF, step=alarm.step + 1, bells=list(alarm.step_bells))
        after, notes, notices = start_step(alarm, alarm.step + 1, around, now)
        return after, (noted, *notes), notices
    if is_heard(alarm):
        if alarm.due is Due.DEAF:
            alarm = replace(alarm, deadline=alarm.step_ends, due=Due.STEP)
        return alarm, (), ()
    if alarm.due is Due.STEP:
        alarm = watch_deafness(alarm, now)
    return alarm, (), ()


def call_everybody(alarm: Alarm, around: Surroundings, now: datetime) -> _Started:
    """Three presses: every step of the policy at once, the first helper still listed."""
    last = len(alarm.policy.steps) - 1
    skipped = alarm.policy.steps[alarm.step : last] if alarm.stage is AlarmStage.RINGING else alarm.policy.steps[:last]
    call = resolve_targets(around.register, alarm.household, (t for step in skipped for t in step.targets))
    ringing = replace(ringing_again(alarm, now), called=tuple(dict.fromkeys((*alarm.called, *call.bells))))
    after, notes, notices = start_step(ringing, last, around, now)
    told = {notice.hook for notice in notices} | set(alarm.step_hooks)
    more = _notices(after, (hook for hook in call.hooks if hook not in told), NoteType.ALL_CALLED, now)
    return after, (journal_note(NoteType.ALL_CALLED, presses=alarm.presses), *notes), (*notices, *more)


def ringing_again(alarm: Alarm, now: datetime) -> Alarm:
    """Back in the stage ``ringing``; a step must be started next, and brings the deadline."""
    return replace(alarm, stage=AlarmStage.RINGING, since=now)


def _notices(alarm: Alarm, hooks: Iterable[str], occasion: NoteType, now: datetime) -> tuple[Notice, ...]:
    return tuple(
        Notice(hook, f"{alarm.id}/{occasion.value}/{alarm.step}/{now.isoformat()}/{hook}", occasion) for hook in hooks
    )


def _wait_s(alarm: Alarm) -> int:
    return alarm.policy.steps[alarm.step].wait_s


def journal_note(kind: NoteType, /, **data: Any) -> Note:
    """A line for the journal."""
    return Note(kind, tuple(data.items()))


def as_ms(span: timedelta) -> int:
    """A span in whole milliseconds."""
    return int(span / timedelta(milliseconds=1))
