"""What an event does to an alarm: ``advance_alarm``, and how an alarm begins: ``raise_alarm``.

Read it beside ``relay.core.alarm``, which has the states, the events and the words. Rules that may not be broken:

- a press is never dropped: while open it is counted; on an alarm at which somebody had arrived it rings again;
- no press of the help button stops anything, and an ``ok`` from before the newest press stops nothing either;
- ``accepted`` stands only while somebody is coming in time: no arrival, and it rings again at the next step;
- an open alarm always has a deadline.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from doorbell.wire import AlarmKind
from relay.core.alarm import (
    MAX_HELPERS,
    Accepted,
    Advance,
    Alarm,
    AlarmEvent,
    AlarmStage,
    BellsChanged,
    ClockStepped,
    ClosedBy,
    DeadlinePassed,
    Declined,
    DoneBy,
    Due,
    Helper,
    HelperState,
    HookFailed,
    Note,
    NoteType,
    Notice,
    OkPressed,
    Outcome,
    Pressed,
)
from relay.core.policy import DEAF_S, THREE_PRESSES_S, Policy
from relay.core.register import Register
from relay.core.roster import Call, resolve_targets

APPLIED = "applied"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an alarm must know of the world: who is registered, and which bells are online.

    ``settled`` is False while a relay that has just started does not know yet which bells sound.
    """

    register: Register
    online: Container[str]
    settled: bool = True


def raise_alarm(
    *,
    alarm_id: str,
    kind: AlarmKind,
    household: str,
    source: str,
    policy: Policy,
    at: datetime,
    seq: int | None,
    around: Surroundings,
    now: datetime,
) -> Advance:
    """A new alarm, ringing at its first step that anybody can hear."""
    home = around.register.households[household]
    fresh = Alarm(
        id=alarm_id,
        community=home.community,
        household=household,
        kind=kind,
        source=source,
        raised_at=at,
        policy=policy,
        stage=AlarmStage.RINGING,
        since=now,
        deadline=now,
        due=Due.STEP,
        recent_presses=(at,),
        last_press_seq=seq,
    )
    raised = _note(NoteType.RAISED, kind=kind.value, source=source, late_ms=_ms(now - at))
    alarm, notes, notices = _start_step(fresh, 0, around, now)
    return Advance(alarm, APPLIED, (raised, *notes), notices)


def advance_alarm(alarm: Alarm, event: AlarmEvent, around: Surroundings, now: datetime) -> Advance:
    """The alarm after the event. Total: what cannot be used gives the same alarm and the reason."""
    if not alarm.is_open:
        return Advance(alarm, "closed")
    match event:
        case Pressed():
            return _pressed(alarm, event, around, now)
        case OkPressed():
            return _ok_pressed(alarm, event, now)
        case Accepted():
            return _accepted(alarm, event, now)
        case Declined():
            return _declined(alarm, event, around, now)
        case DoneBy():
            return _done(alarm, event, now)
        case BellsChanged():
            return _bells_changed(alarm, event, around, now)
        case HookFailed():
            return _hook_failed(alarm, event, around, now)
        case DeadlinePassed():
            return _deadline_passed(alarm, around, now)
        case ClosedBy():
            return _close(alarm, event.outcome, now, note=event.note, by=event.by)
        case ClockStepped():
            return _clock_stepped(alarm, event)
        case _:
            assert_never(event)


# ---------------------------------------------------------------------------------------------------------------------
# The elder's buttons


def _pressed(alarm: Alarm, event: Pressed, around: Surroundings, now: datetime) -> Advance:
    newest = sorted((*alarm.recent_presses, event.at))[-3:]
    pressed = replace(
        alarm, presses=alarm.presses + 1, recent_presses=tuple(newest), last_press_seq=_newest_seq(alarm, event)
    )
    noted = _note(NoteType.PRESSED_AGAIN, presses=pressed.presses, device=event.device, late_ms=_ms(now - event.at))
    # Presses from before somebody said "coming" have been answered; three newer ones say that it is not enough.
    unanswered = [at for at in newest if alarm.stage is AlarmStage.RINGING or at >= alarm.since]
    urgent = len(unanswered) == 3 and newest[-1] - newest[0] <= timedelta(seconds=THREE_PRESSES_S)
    if urgent and not (alarm.stage is AlarmStage.RINGING and alarm.at_last_step):
        alarm, notes, notices = _call_everybody(pressed, around, now)
        return Advance(alarm, APPLIED, (noted, *notes), notices)
    if alarm.stage is AlarmStage.ARRIVED:
        # Somebody was there and may have left without saying so: this press must be heard.
        alarm, notes, notices = _start_step(_ringing_again(pressed, now), 0, around, now)
        return Advance(alarm, APPLIED, (noted, *notes), notices)
    return Advance(pressed, APPLIED, (noted,))


def _newest_seq(alarm: Alarm, event: Pressed) -> int | None:
    """The count of the newest press; None, for good, once a press came that cannot be compared by it."""
    if alarm.last_press_seq is None or event.seq is None or event.device != alarm.source:
        return None
    return max(alarm.last_press_seq, event.seq)


def _ok_pressed(alarm: Alarm, event: OkPressed, now: datetime) -> Advance:
    if _before_last_press(alarm, event):
        return Advance(alarm, "older_than_press")
    match alarm.stage:
        case AlarmStage.RINGING:
            return _close(alarm, Outcome.FALSE_ALARM, now, by=event.device)
        case AlarmStage.ACCEPTED:
            return _arrive(alarm, now, by=event.device)
        case _:
            return Advance(alarm, "nothing_to_answer")


def _before_last_press(alarm: Alarm, event: OkPressed) -> bool:
    """Whether the button was pressed again after this ``ok``: by the panel's own count, else by the clocks.

    Two panels of one household each count for themselves: between them only the clocks can tell.
    """
    if event.seq is not None and alarm.last_press_seq is not None and event.device == alarm.source:
        return event.seq < alarm.last_press_seq
    return event.at <= alarm.last_press_at


# ---------------------------------------------------------------------------------------------------------------------
# Helpers


def _accepted(alarm: Alarm, event: Accepted, now: datetime) -> Advance:
    holder = alarm.holder
    if holder is not None:
        return Advance(alarm, "already_yours" if holder.person == event.person else "taken")
    due_at = event.at + timedelta(seconds=alarm.policy.arrive_wait_s)
    helper = Helper(event.person, event.device, event.at)
    others = tuple(h for h in alarm.helpers if h.person != event.person)[1 - MAX_HELPERS :]
    if due_at <= now:
        # Said long ago and heard only now: to show "coming" would be a guess.
        late = replace(alarm, helpers=(*others, replace(helper, state=HelperState.LATE)))
        return Advance(late, APPLIED, (_note(NoteType.ACCEPTED_LATE, person=event.person, device=event.device),))
    taken = replace(
        alarm,
        stage=AlarmStage.ACCEPTED,
        since=now,
        deadline=due_at,
        due=Due.ARRIVE,
        step_ends=None,
        helpers=(*others, helper),
        declined=tuple(p for p in alarm.declined if p != event.person),
    )
    after_ms = _ms(event.at - alarm.raised_at)
    return Advance(
        taken, APPLIED, (_note(NoteType.ACCEPTED, person=event.person, device=event.device, after_ms=after_ms),)
    )


def _declined(alarm: Alarm, event: Declined, around: Surroundings, now: datetime) -> Advance:
    holder = alarm.holder
    declined = tuple(sorted({*alarm.declined, event.person}))
    if holder is not None and holder.person == event.person and alarm.stage is AlarmStage.ACCEPTED:
        back = replace(
            _ringing_again(alarm, now),
            declined=declined,
            helpers=(*alarm.helpers[:-1], _handed_back(holder)),
        )
        noted = _note(NoteType.HANDED_BACK, person=event.person, device=event.device)
        after, notes, notices = _start_step(back, alarm.step + 1, around, now)
        return Advance(after, APPLIED, (noted, *notes), notices)
    if event.person in alarm.declined:
        return Advance(alarm, "already_declined")
    noted = _note(NoteType.DECLINED, person=event.person, device=event.device)
    # Somebody who was coming when three presses called everybody is coming no more.
    helpers = tuple(_handed_back(h) if h.person == event.person else h for h in alarm.helpers)
    after, notes, notices = _skip_if_deaf(replace(alarm, declined=declined, helpers=helpers), around, now)
    return Advance(after, APPLIED, (noted, *notes), notices)


def _handed_back(helper: Helper) -> Helper:
    return helper if helper.state is HelperState.ARRIVED else replace(helper, state=HelperState.HANDED_BACK)


def _done(alarm: Alarm, event: DoneBy, now: datetime) -> Advance:
    helper = next((helper for helper in alarm.helpers if helper.person == event.person), None)
    if helper is None:
        return Advance(alarm, "not_a_helper")
    if helper.state is HelperState.HANDED_BACK:
        return Advance(alarm, "handed_back")
    if event.at <= alarm.last_press_at:
        return Advance(alarm, "older_than_press")
    return _close(alarm, Outcome.HELPED, now, by=event.device)


def _arrive(alarm: Alarm, now: datetime, *, by: str) -> Advance:
    holder = alarm.helpers[-1]
    arrived = replace(
        alarm,
        stage=AlarmStage.ARRIVED,
        since=now,
        deadline=now + timedelta(seconds=alarm.policy.done_wait_s),
        due=Due.DONE,
        helpers=(*alarm.helpers[:-1], replace(holder, state=HelperState.ARRIVED)),
    )
    after_ms = _ms(now - alarm.raised_at)
    return Advance(arrived, APPLIED, (_note(NoteType.ARRIVED, person=holder.person, by=by, after_ms=after_ms),))


def _close(alarm: Alarm, outcome: Outcome, now: datetime, *, by: str, note: str = "") -> Advance:
    closed = replace(
        alarm,
        stage=AlarmStage.CLOSED,
        since=now,
        deadline=None,
        due=None,
        step_ends=None,
        sounding=(),
        outcome=outcome,
        note=note,
    )
    return Advance(closed, APPLIED, (_note(NoteType.CLOSED, outcome=outcome.value, by=by),))


# ---------------------------------------------------------------------------------------------------------------------
# Bells, hooks and time


def _bells_changed(alarm: Alarm, event: BellsChanged, around: Surroundings, now: datetime) -> Advance:
    heard = replace(alarm, sounding=event.sounding)
    notes: list[Note] = []
    if begun := sorted(set(event.sounding) - set(alarm.sounding)):
        notes.append(_note(NoteType.SOUNDING, bells=begun, after_ms=_ms(now - alarm.raised_at)))
    if ended := sorted(set(alarm.sounding) - set(event.sounding)):
        notes.append(_note(NoteType.SILENT, bells=ended))
    after, more, notices = _skip_if_deaf(heard, around, now)
    if after == alarm and not notes:
        return Advance(alarm, "nothing_new")
    return Advance(after, APPLIED, (*notes, *more), notices)


def _hook_failed(alarm: Alarm, event: HookFailed, around: Surroundings, now: datetime) -> Advance:
    if event.hook not in alarm.step_hooks:
        return Advance(alarm, "not_of_this_step")
    left = tuple(hook for hook in alarm.step_hooks if hook != event.hook)
    after, notes, notices = _skip_if_deaf(replace(alarm, step_hooks=left), around, now)
    return Advance(after, APPLIED, (_note(NoteType.HOOK_FAILED, hook=event.hook), *notes), notices)


def _deadline_passed(alarm: Alarm, around: Surroundings, now: datetime) -> Advance:
    if alarm.deadline is None or alarm.deadline > now:
        return Advance(alarm, "not_yet")
    match alarm.due:
        case Due.DEAF:
            waiting = replace(alarm, deadline=alarm.step_ends, due=Due.STEP)
            if not around.settled:  # silence proves nothing yet
                return Advance(_watch_deafness(waiting, now), APPLIED)
            if not _heard(alarm):
                noted = _note(NoteType.STEP_DEAF, step=alarm.step + 1, bells=list(alarm.step_bells))
                after, notes, notices = _start_step(alarm, alarm.step + 1, around, now)
                return Advance(after, APPLIED, (noted, *notes), notices)
            return Advance(waiting, APPLIED)
        case Due.STEP:
            after, notes, notices = _start_step(alarm, alarm.step + 1, around, now)
            return Advance(after, APPLIED, notes, notices)
        case Due.ARRIVE:
            late = alarm.helpers[-1]
            noted = _note(NoteType.NOT_ARRIVED, person=late.person, waited_s=alarm.policy.arrive_wait_s)
            again = replace(
                _ringing_again(alarm, now),
                helpers=(*alarm.helpers[:-1], replace(late, state=HelperState.LATE)),
            )
            after, notes, notices = _start_step(again, alarm.step + 1, around, now)
            return Advance(after, APPLIED, (noted, *notes), notices)
        case _:
            next_at = now + timedelta(seconds=alarm.policy.done_wait_s)
            noted = _note(NoteType.OVERDUE, since_s=_ms(now - alarm.since) // 1000)
            hooks = resolve_targets(around.register, alarm.household, alarm.policy.steps[-1].targets).hooks
            notices = tuple(
                Notice(hook, f"{alarm.id}/{NoteType.OVERDUE.value}/{next_at.isoformat()}/{hook}", NoteType.OVERDUE)
                for hook in hooks
            )
            return Advance(replace(alarm, deadline=next_at), APPLIED, (noted,), notices)


def _clock_stepped(alarm: Alarm, event: ClockStepped) -> Advance:
    delta = timedelta(milliseconds=event.delta_ms)
    moved = replace(
        alarm,
        deadline=None if alarm.deadline is None else alarm.deadline + delta,
        step_ends=None if alarm.step_ends is None else alarm.step_ends + delta,
    )
    return Advance(moved, APPLIED, (_note(NoteType.CLOCK_STEPPED, delta_ms=event.delta_ms),))


# ---------------------------------------------------------------------------------------------------------------------
# Steps

_Started = tuple[Alarm, tuple[Note, ...], tuple[Notice, ...]]


def _start_step(alarm: Alarm, index: int, around: Surroundings, now: datetime) -> _Started:
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
            _note(kind, step=number + 1, bells=list(call.bells), hooks=list(call.hooks), wait_s=_wait_s(alarm))
        )
        notices += _notices(alarm, call.hooks, kind, now)
        if number == last or not _is_deaf(alarm, around):
            break
        notes.append(_note(NoteType.STEP_DEAF, step=number + 1, bells=list(call.bells)))
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


def _watch_deafness(alarm: Alarm, now: datetime) -> Alarm:
    """Look again after ``DEAF_S`` when nobody sounds yet and the step could be cut short by that."""
    check_at = now + timedelta(seconds=DEAF_S)
    if alarm.at_last_step or _heard(alarm) or not alarm.step_bells or alarm.step_ends is None:
        return alarm
    if check_at >= alarm.step_ends:
        return alarm
    return replace(alarm, deadline=check_at, due=Due.DEAF)


def _heard(alarm: Alarm) -> bool:
    """Whether a person may have heard of this step: a bell of it sounds, or a hook of it was not refused."""
    return bool(alarm.step_hooks) or any(bell in alarm.step_bells for bell in alarm.sounding)


def _is_deaf(alarm: Alarm, around: Surroundings) -> bool:
    """Whether nobody whom the step calls can hear it: no hook, and every bell is offline or has declined."""
    return not alarm.step_hooks and not any(_can_answer(alarm, bell, around) for bell in alarm.step_bells)


def _can_answer(alarm: Alarm, bell: str, around: Surroundings) -> bool:
    device = around.register.devices.get(bell)
    return device is not None and bell in around.online and device.person not in alarm.declined


def _skip_if_deaf(alarm: Alarm, around: Surroundings, now: datetime) -> _Started:
    """While ringing: start the next step if this one has become deaf; else keep the deadline true."""
    if alarm.stage is not AlarmStage.RINGING or alarm.at_last_step:
        return alarm, (), ()
    if _is_deaf(alarm, around):
        noted = _note(NoteType.STEP_DEAF, step=alarm.step + 1, bells=list(alarm.step_bells))
        after, notes, notices = _start_step(alarm, alarm.step + 1, around, now)
        return after, (noted, *notes), notices
    if _heard(alarm):
        if alarm.due is Due.DEAF:
            alarm = replace(alarm, deadline=alarm.step_ends, due=Due.STEP)
        return alarm, (), ()
    if alarm.due is Due.STEP:
        alarm = _watch_deafness(alarm, now)
    return alarm, (), ()


def _call_everybody(alarm: Alarm, around: Surroundings, now: datetime) -> _Started:
    """Three presses: every step of the policy at once, the first helper still listed."""
    last = len(alarm.policy.steps) - 1
    skipped = alarm.policy.steps[alarm.step : last] if alarm.stage is AlarmStage.RINGING else alarm.policy.steps[:last]
    call = resolve_targets(around.register, alarm.household, (t for step in skipped for t in step.targets))
    ringing = replace(_ringing_again(alarm, now), called=tuple(dict.fromkeys((*alarm.called, *call.bells))))
    after, notes, notices = _start_step(ringing, last, around, now)
    told = {notice.hook for notice in notices} | set(alarm.step_hooks)
    more = _notices(after, (hook for hook in call.hooks if hook not in told), NoteType.ALL_CALLED, now)
    return after, (_note(NoteType.ALL_CALLED, presses=alarm.presses), *notes), (*notices, *more)


def _ringing_again(alarm: Alarm, now: datetime) -> Alarm:
    return replace(alarm, stage=AlarmStage.RINGING, since=now, deadline=now, due=Due.STEP)


def _notices(alarm: Alarm, hooks: Iterable[str], occasion: NoteType, now: datetime) -> tuple[Notice, ...]:
    return tuple(
        Notice(hook, f"{alarm.id}/{occasion.value}/{alarm.step}/{now.isoformat()}/{hook}", occasion) for hook in hooks
    )


def _wait_s(alarm: Alarm) -> int:
    return alarm.policy.steps[alarm.step].wait_s


def _note(kind: NoteType, /, **data: Any) -> Note:
    return Note(kind, tuple(data.items()))


def _ms(span: timedelta) -> int:
    return int(span / timedelta(milliseconds=1))
