"""What an event does to an alarm: ``advance_alarm``, and how an alarm begins: ``raise_alarm``.

Read it beside ``relay.core.alarm``, which has the states, the events and the words. Rules that may not be broken:

- a press is never dropped: while open it is counted; on an alarm at which somebody had arrived it rings again;
- of one bell its last word holds, in whichever order its words are heard;
- no press of the help button stops anything, and an ``ok`` from before the newest press stops nothing either;
- ``accepted`` stands only while somebody is coming in time: no arrival, and it rings again at the next step;
- an open alarm always has a deadline.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

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
    DeadlineLost,
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
from relay.core.policy import THREE_PRESSES_S, Policy
from relay.core.roster import resolve_targets
from relay.core.steps import (
    Surroundings,
    as_ms,
    call_everybody,
    is_heard,
    journal_note,
    ringing_again,
    skip_if_deaf,
    start_step,
    watch_deafness,
)

APPLIED = "applied"
HAS_DEADLINE = "has_deadline"
OLDER_THAN_ANSWER = "older_than_answer"


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
    ok_closes: bool = True,
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
        press_seqs=((source, seq),),
        ok_closes=ok_closes,
    )
    raised = journal_note(NoteType.RAISED, kind=str(kind), source=source, late_ms=as_ms(now - at))
    alarm, notes, notices = start_step(fresh, 0, around, now)
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
        case DeadlineLost():
            return _deadline_lost(alarm, around, now)
        case ClosedBy():
            return _close(alarm, event.outcome, now, by=event.by)
        case ClockStepped():
            return _clock_stepped(alarm, event)
        case _:
            assert_never(event)


# ---------------------------------------------------------------------------------------------------------------------
# The elder's buttons


def _pressed(alarm: Alarm, event: Pressed, around: Surroundings, now: datetime) -> Advance:
    newest = sorted((*alarm.recent_presses, event.at))[-3:]
    seqs = dict(alarm.press_seqs)
    seqs[event.device] = _newer_seq(seqs.get(event.device, 0), event.seq)
    pressed = replace(
        alarm, presses=alarm.presses + 1, recent_presses=tuple(newest), press_seqs=tuple(sorted(seqs.items()))
    )
    late_ms = as_ms(now - event.at)
    noted = journal_note(NoteType.PRESSED_AGAIN, presses=pressed.presses, device=event.device, late_ms=late_ms)
    # Presses from before somebody said "coming" have been answered; three newer ones say that it is not enough.
    unanswered = [at for at in newest if alarm.stage is AlarmStage.RINGING or at >= alarm.since]
    urgent = len(unanswered) == 3 and newest[-1] - newest[0] <= timedelta(seconds=THREE_PRESSES_S)
    if urgent and not (alarm.stage is AlarmStage.RINGING and alarm.at_last_step):
        alarm, notes, notices = call_everybody(pressed, around, now)
        return Advance(alarm, APPLIED, (noted, *notes), notices)
    if alarm.stage is AlarmStage.ARRIVED:
        # Somebody was there and may have left without saying so: this press must be heard.
        alarm, notes, notices = start_step(ringing_again(pressed, now), 0, around, now)
        return Advance(alarm, APPLIED, (noted, *notes), notices)
    return Advance(pressed, APPLIED, (noted,))


def _newer_seq(known: int | None, seq: int | None) -> int | None:
    """The higher count; None, for good, once a press of the panel came without one."""
    return None if known is None or seq is None else max(known, seq)


def _ok_pressed(alarm: Alarm, event: OkPressed, now: datetime) -> Advance:
    if _before_last_press(alarm, event):
        return Advance(alarm, "older_than_press")
    match alarm.stage:
        case AlarmStage.RINGING if not alarm.ok_closes:
            return Advance(alarm, "somebody_looks_in")
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
    seqs = dict(alarm.press_seqs)
    pressed_seq = seqs.get(event.device)
    if event.seq is not None and pressed_seq is not None:
        if event.seq <= pressed_seq:  # never the same, and in doubt the alarm goes on
            return True
        if len(seqs) == 1:
            return False
    return event.at <= alarm.last_press_at


# ---------------------------------------------------------------------------------------------------------------------
# Helpers


def _accepted(alarm: Alarm, event: Accepted, now: datetime) -> Advance:
    if _is_overtaken(alarm, event):
        return Advance(alarm, OLDER_THAN_ANSWER)
    holder = alarm.holder
    if holder is not None:
        return Advance(alarm, "already_yours" if holder.person == event.person else "taken")
    due_at = event.at + timedelta(seconds=alarm.policy.arrive_wait_s)
    helper = Helper(event.person, event.device, event.at)
    others = tuple(h for h in alarm.helpers if h.person != event.person)[1 - MAX_HELPERS :]
    alarm = _answered(alarm, event)
    if event.device not in alarm.called:
        # The panel has rung it directly: from now on it shows this alarm as any bell that was called.
        alarm = replace(alarm, called=(*alarm.called, event.device))
    if due_at <= now:
        # Said long ago and heard only now: to show "coming" would be a guess.
        late = replace(alarm, helpers=(*others, replace(helper, state=HelperState.LATE)))
        return Advance(late, APPLIED, (journal_note(NoteType.ACCEPTED_LATE, person=event.person, device=event.device),))
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
    after_ms = as_ms(event.at - alarm.raised_at)
    return Advance(
        taken, APPLIED, (journal_note(NoteType.ACCEPTED, person=event.person, device=event.device, after_ms=after_ms),)
    )


def _is_overtaken(alarm: Alarm, event: Accepted | Declined) -> bool:
    """Whether the bell has said something else since, and that was heard first: what a broker has lost comes again."""
    return event.seq is not None and event.seq < dict(alarm.answer_seqs).get(event.device, 0)


def _answered(alarm: Alarm, event: Accepted | Declined) -> Alarm:
    if event.seq is None:
        return alarm
    seqs = {**dict(alarm.answer_seqs), event.device: event.seq}
    return replace(alarm, answer_seqs=tuple(sorted(seqs.items())))


def _declined(alarm: Alarm, event: Declined, around: Surroundings, now: datetime) -> Advance:
    if _is_overtaken(alarm, event):
        return Advance(alarm, OLDER_THAN_ANSWER)
    holder, answered = alarm.holder, _answered(alarm, event)
    declined = tuple(sorted({*alarm.declined, event.person}))
    if holder is not None and holder.person == event.person and alarm.stage is AlarmStage.ACCEPTED:
        back = replace(
            ringing_again(answered, now),
            declined=declined,
            helpers=(*alarm.helpers[:-1], _handed_back(holder)),
        )
        noted = journal_note(NoteType.HANDED_BACK, person=event.person, device=event.device)
        after, notes, notices = start_step(back, alarm.step + 1, around, now)
        return Advance(after, APPLIED, (noted, *notes), notices)
    if event.person in alarm.declined:
        return Advance(alarm, "already_declined")
    noted = journal_note(NoteType.DECLINED, person=event.person, device=event.device)
    # Somebody who was coming when three presses called everybody is coming no more.
    helpers = tuple(_handed_back(h) if h.person == event.person else h for h in alarm.helpers)
    after, notes, notices = skip_if_deaf(replace(answered, declined=declined, helpers=helpers), around, now)
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
    after_ms = as_ms(now - alarm.raised_at)
    return Advance(arrived, APPLIED, (journal_note(NoteType.ARRIVED, person=holder.person, by=by, after_ms=after_ms),))


def _close(alarm: Alarm, outcome: Outcome, now: datetime, *, by: str) -> Advance:
    closed = replace(
        alarm,
        stage=AlarmStage.CLOSED,
        since=now,
        deadline=None,
        due=None,
        step_ends=None,
        sounding=(),
        outcome=outcome,
    )
    return Advance(closed, APPLIED, (journal_note(NoteType.CLOSED, outcome=outcome.value, by=by),))


# ---------------------------------------------------------------------------------------------------------------------
# Bells, hooks and time


def _bells_changed(alarm: Alarm, event: BellsChanged, around: Surroundings, now: datetime) -> Advance:
    heard = replace(alarm, sounding=event.sounding)
    notes: list[Note] = []
    if begun := sorted(set(event.sounding) - set(alarm.sounding)):
        notes.append(journal_note(NoteType.SOUNDING, bells=begun, after_ms=as_ms(now - alarm.raised_at)))
    if ended := sorted(set(alarm.sounding) - set(event.sounding)):
        notes.append(journal_note(NoteType.SILENT, bells=ended))
    after, more, notices = skip_if_deaf(heard, around, now)
    if after == alarm and not notes:
        return Advance(alarm, "nothing_new")
    return Advance(after, APPLIED, (*notes, *more), notices)


def _hook_failed(alarm: Alarm, event: HookFailed, around: Surroundings, now: datetime) -> Advance:
    if event.hook not in alarm.step_hooks:
        return Advance(alarm, "not_of_this_step")
    left = tuple(hook for hook in alarm.step_hooks if hook != event.hook)
    after, notes, notices = skip_if_deaf(replace(alarm, step_hooks=left), around, now)
    return Advance(after, APPLIED, (journal_note(NoteType.HOOK_FAILED, hook=event.hook), *notes), notices)


def _deadline_passed(alarm: Alarm, around: Surroundings, now: datetime) -> Advance:
    if alarm.deadline is None or alarm.deadline > now:
        return Advance(alarm, "not_yet")
    match alarm.due:
        case Due.DEAF:
            waiting = replace(alarm, deadline=alarm.step_ends, due=Due.STEP)
            if not around.settled:  # silence proves nothing yet
                return Advance(watch_deafness(waiting, now), APPLIED)
            if not is_heard(alarm):
                noted = journal_note(NoteType.STEP_DEAF, step=alarm.step + 1, bells=list(alarm.step_bells))
                after, notes, notices = start_step(alarm, alarm.step + 1, around, now)
                return Advance(after, APPLIED, (noted, *notes), notices)
            return Advance(waiting, APPLIED)
        case Due.STEP:
            after, notes, notices = start_step(alarm, alarm.step + 1, around, now)
            return Advance(after, APPLIED, notes, notices)
        case Due.ARRIVE:
            late = alarm.helpers[-1]
            noted = journal_note(NoteType.NOT_ARRIVED, person=late.person, waited_s=alarm.policy.arrive_wait_s)
            again = replace(
                ringing_again(alarm, now),
                helpers=(*alarm.helpers[:-1], replace(late, state=HelperState.LATE)),
            )
            after, notes, notices = start_step(again, alarm.step + 1, around, now)
            return Advance(after, APPLIED, (noted, *notes), notices)
        case _:
            next_at = now + timedelta(seconds=alarm.policy.done_wait_s)
            noted = journal_note(NoteType.OVERDUE, since_s=as_ms(now - alarm.since) // 1000)
            hooks = resolve_targets(around.register, alarm.household, alarm.policy.steps[-1].targets).hooks
            notices = tuple(
                Notice(hook, f"{alarm.id}/{NoteType.OVERDUE.value}/{next_at.isoformat()}/{hook}", NoteType.OVERDUE)
                for hook in hooks
            )
            return Advance(replace(alarm, deadline=next_at), APPLIED, (noted,), notices)


def _deadline_lost(alarm: Alarm, around: Surroundings, now: datetime) -> Advance:
    """As if the deadline of its stage had just passed: rather one ring too many than somebody who waits for ever."""
    if alarm.deadline is not None and alarm.deadline > now:
        return Advance(alarm, HAS_DEADLINE)
    match alarm.stage:
        case AlarmStage.ARRIVED:
            due = Due.DONE
        case AlarmStage.ACCEPTED if alarm.helpers:
            due = Due.ARRIVE
            wait = timedelta(seconds=alarm.policy.arrive_wait_s)
            due_at = min(alarm.helpers[-1].accepted_at, now) + wait
            if due_at > now:  # there is still time to come, and nobody may be said to be late who is not
                waiting = replace(alarm, deadline=due_at, due=due)
                return Advance(waiting, APPLIED, (journal_note(NoteType.RECOVERED),))
        case _:
            due = Due.STEP
            alarm = replace(alarm, stage=AlarmStage.RINGING)
    passed = _deadline_passed(replace(alarm, deadline=now, due=due), around, now)
    return Advance(passed.alarm, APPLIED, (journal_note(NoteType.RECOVERED), *passed.notes), passed.notices)


def _clock_stepped(alarm: Alarm, event: ClockStepped) -> Advance:
    delta = timedelta(milliseconds=event.delta_ms)
    # Presses and stages are compared with what comes next, which the clock will stamp as it stands now.
    moved = replace(
        alarm,
        since=alarm.since + delta,
        recent_presses=tuple(at + delta for at in alarm.recent_presses),
        deadline=None if alarm.deadline is None else alarm.deadline + delta,
        step_ends=None if alarm.step_ends is None else alarm.step_ends + delta,
    )
    return Advance(moved, APPLIED, (journal_note(NoteType.CLOCK_STEPPED, delta_ms=event.delta_ms),))
