"""The engine: events of devices and the passing of time, applied to the open alarms through the core."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from doorbell.errors import DoorbellBug, PeerError
from doorbell.ids import derived_id
from doorbell.values import value
from doorbell.wire import AlarmKind, Event, EventType, decode
from relay.book import AlarmBook
from relay.core.alarm import (
    Advance,
    Alarm,
    AlarmEvent,
    BellsChanged,
    ClockStepped,
    DeadlineLost,
    DeadlinePassed,
    HookFailed,
    NoteType,
    OkPressed,
    Outcome,
    Pressed,
)
from relay.core.desired import rings_alike
from relay.core.desk import Early, RaiseAlarm, Record, Reject, Route, ToAlarm, route_event
from relay.core.journal import LineType
from relay.core.life import APPLIED, HAS_DEADLINE, advance_alarm, raise_alarm
from relay.core.policy import OnMistake
from relay.core.register import Device, Register
from relay.core.steps import Surroundings, as_ms, due_wait_s, journal_note
from relay.core.timing import happened_at
from relay.hooks import HookDesk
from relay.ports import EventRow, JournalRow, NoticeRow
from relay.renewals import RenewalDesk
from relay.turn import Turn
from relay.watch import Watch

LOOK_SIZE = 500
"""Alarms looked at anew in one turn after a start, and deadlines: about 10 ms, which a press can wait; all 100,000 take
seconds."""
EARLY = "early"
MAX_EARLY_OF_DEVICE = 64
EARLY_KEPT = timedelta(hours=24)
"""A press that its panel has not got through in a day is known otherwise by then, and so is who went."""
MAX_EARLY = 10_000
"""Answers to alarms that nobody has raised, held in memory; the rest is recorded only."""
_LINES = {
    EventType.OK: LineType.SIGN_OF_LIFE,
    EventType.TEST: LineType.TEST,
    EventType.FAULT: LineType.FAULT,
    EventType.RENEW: LineType.RENEWAL,
}
"""How an event that concerns no alarm is written down; answers to alarms are ``ignored``."""


@value(frozen=True, slots=True)
class Said:
    """An event with the device that sent it and the time when it happened."""

    device: Device
    event: Event
    at: datetime


class Engine:
    """Applies what happens to the alarms of the book, and writes into the turn what follows from it."""

    def __init__(
        self,
        book: AlarmBook,
        watch: Watch,
        hooks: HookDesk,
        renewals: RenewalDesk,
        *,
        register: Register,
        early: Iterable[EventRow],
        counts: Counter[str],
    ) -> None:
        self.register = register
        self.counts = counts
        self._book = book
        self._watch = watch
        self._hooks = hooks
        self.renewals = renewals
        self._to_look_at: deque[str] = deque()
        self._early: dict[str, list[EventRow]] = {}
        self._early_of: Counter[str] = Counter()
        self.adopt(early)

    def adopt(self, early: Iterable[EventRow]) -> None:
        """Early answers of communities that this relay holds."""
        for row in early:
            self._keep_early(row)

    def forget(self, communities: Container[str]) -> None:
        """Hold the early answers of these communities no more."""
        for press, rows in list(self._early.items()):
            kept = [row for row in rows if row.community not in communities]
            self._early_of.subtract(row.device for row in rows if row.community in communities)
            self._early[press] = kept
            if not kept:
                del self._early[press]

    # -----------------------------------------------------------------------------------------------------------------
    # Events of devices

    def take_event(self, turn: Turn, device: Device, event: Event, payload: bytes, found: Mapping[str, Alarm]) -> None:
        """An event that was not heard before, of a checked device. ``found``: alarms that the database knew by id."""
        self.counts[f"event.{event.type}"] += 1
        said = Said(device, event, happened_at(event, turn.now, turn.waited))
        verdict, alarm_id = self._route(turn, said, found)
        row = EventRow(
            id=event.id,
            community=device.community,
            device=device.id,
            type=str(event.type),
            at=said.at,
            received_at=turn.now,
            alarm=alarm_id,
            verdict=verdict,
            body=payload,
        )
        turn.batch.events.append(row)
        if verdict == EARLY:
            self._keep_early(row)

    def _route(self, turn: Turn, said: Said, found: Mapping[str, Alarm]) -> tuple[str, str | None]:
        """Follow the desk's advice; returns the verdict and the alarm that the event concerns."""

        def find(alarm_id: str) -> Alarm | None:
            alarm = turn.batch.alarms.get(alarm_id) or self._book.find(alarm_id) or found.get(alarm_id)
            return turn.batch.alarms.get(alarm.id, alarm) if alarm is not None else None

        event = said.event
        route: Route = route_event(
            self.register, said.device, event, said.at, open_alarms=self._book.by_household, find=find
        )
        match route:
            case RaiseAlarm():
                self._raise(turn, said, route)
                return APPLIED, event.id
            case ToAlarm():
                return self._answer(turn, route.alarm, route.event, said), route.alarm
            case Early():
                verdict = EARLY if self._has_room(turn, said.device.id) else "too_many_early"
                line = LineType.EARLY if verdict == EARLY else LineType.IGNORED
                self._journal(turn, said, line, verdict, route.alarm)
                return verdict, route.alarm
            case Record():
                line, verdict = _LINES.get(event.type, LineType.IGNORED), route.verdict
                if event.type is EventType.RENEW:
                    verdict = self.renewals.hear(turn, said.device, event)
                self._journal(turn, said, line, verdict, route.alarm)
                return verdict, route.alarm
            case Reject():
                raise DoorbellBug("the desk rejected a checked sender")

    def _answer(self, turn: Turn, alarm_id: str, event: AlarmEvent, said: Said) -> str:
        alarm = self._book.by_id[alarm_id]
        verdict = self.advance(turn, alarm, event, said)
        if isinstance(event, Pressed):
            self._book.add_press(said.event.id, alarm_id)
            self._watch.rename(turn, said.event.id, alarm_id)
            self._hear_early(turn, said.event.id)
        if verdict != APPLIED:
            self._journal(turn, said, LineType.IGNORED, verdict, alarm_id)
        return verdict

    def _raise(self, turn: Turn, said: Said, route: RaiseAlarm) -> None:
        alarm_id = said.event.id
        advance = raise_alarm(
            alarm_id=alarm_id,
            kind=route.kind,
            household=route.household,
            source=said.device.id,
            policy=self.register.policy_for(route.household, route.kind),
            at=said.at,
            seq=said.event.seq,
            around=self._around(),
            now=turn.now,
        )
        self._take(turn, None, advance, said)
        if self._watch.sounding(advance.alarm):
            turn.wake.add(alarm_id)
        self._hear_early(turn, alarm_id)

    def _hear_early(self, turn: Turn, press: str) -> None:
        """The press that answers were waiting for has come: it raised an alarm, or was counted to one."""
        for held in self._early.pop(press, ()):
            self._early_of[held.device] -= 1
            device = self.register.devices.get(held.device)
            turn.touched.add(held.community)
            if device is None or device.community != held.community:  # of where it is now we may not write
                turn.batch.verdicts[held.id] = "unknown_device", held.alarm
                continue
            try:
                event = decode(Event, held.body)
            except PeerError:  # of a failing disk, or of a release that took what this one does not
                turn.batch.verdicts[held.id] = "unreadable", held.alarm
                continue
            # A relay with another wall clock may have heard it: nobody has answered later than now.
            turn.batch.verdicts[held.id] = self._route(turn, Said(device, event, min(held.at, turn.now)), {})

    def _keep_early(self, row: EventRow) -> None:
        self._early.setdefault(row.alarm or "", []).append(row)
        self._early_of[row.device] += 1

    def _has_room(self, turn: Turn, device: str) -> bool:
        """Whether one more early answer of a device can be held; old ones make room."""
        if self._early_of[device] < MAX_EARLY_OF_DEVICE and self._early_of.total() < MAX_EARLY:
            return True
        for alarm_id, rows in list(self._early.items()):
            kept = [row for row in rows if turn.now - row.received_at < EARLY_KEPT]
            for row in rows:
                if row not in kept:
                    self._early_of[row.device] -= 1
                    turn.batch.verdicts[row.id] = "never_raised", row.alarm
                    turn.touched.add(row.community)
            self._early[alarm_id] = kept
            if not kept:
                del self._early[alarm_id]
        return self._early_of[device] < MAX_EARLY_OF_DEVICE and self._early_of.total() < MAX_EARLY

    # -----------------------------------------------------------------------------------------------------------------
    # Alarms

    def advance(self, turn: Turn, alarm: Alarm, event: AlarmEvent, said: Said | None = None) -> str:
        """Apply an event to an open alarm; returns the core's reason."""
        result = advance_alarm(alarm, event, self._around(), turn.now)
        if result.alarm is not alarm:
            self._take(turn, alarm, result, said)
        mistaken = isinstance(event, OkPressed) and result.alarm.outcome is Outcome.FALSE_ALARM
        if mistaken and alarm.kind is AlarmKind.HELP and alarm.policy.on_mistake is OnMistake.LOOK_IN:
            self._look_in(turn, alarm)
        return result.reason

    def _take(self, turn: Turn, before: Alarm | None, result: Advance, said: Said | None) -> None:
        after = result.alarm
        self._book.put(after)
        turn.batch.alarms[after.id] = after
        notes = [(note.type, dict(note.data)) for note in result.notes] or [(NoteType.WAITING, {})]
        for number, (kind, data) in enumerate(notes, start=1):
            last = number == len(notes)
            turn.batch.journal.append(
                JournalRow(
                    at=turn.now,
                    community=after.community,
                    type=str(kind),
                    household=after.household,
                    alarm=after.id,
                    device=said.device.id if said is not None else None,
                    event=said.event.id if said is not None else None,
                    data=data,
                    after=after if last or kind is NoteType.RAISED else None,
                )
            )
            self.counts[f"alarm.{kind}"] += 1
        self._hooks.add(turn, after, result.notices)
        if before is None or not rings_alike(before, after):
            turn.bells.update(dict.fromkeys(after.called))
            turn.bells.update(dict.fromkeys(before.called if before is not None else ()))
        turn.panels.update(dict.fromkeys(self.register.panels_of.get(after.household, ())))

    def _look_in(self, turn: Turn, alarm: Alarm) -> None:
        if (alarm.household, AlarmKind.CHECKIN) in self._book.by_household:
            return
        if alarm.household not in self.register.households:
            return
        advance = raise_alarm(
            alarm_id=derived_id(alarm.id, "look-in"),
            kind=AlarmKind.CHECKIN,
            household=alarm.household,
            source=alarm.source,
            policy=self.register.policy_for(alarm.household, AlarmKind.CHECKIN),
            at=turn.now,
            seq=dict(alarm.press_seqs).get(alarm.source),
            ok_closes=False,
            around=self._around(),
            now=turn.now,
        )
        self._take(turn, None, advance, None)

    def hook_failed(self, turn: Turn, notice: NoticeRow) -> None:
        """A hook could not be told: it counts as deaf for the alarm's present step."""
        alarm = self._book.by_id.get(notice.alarm)
        if alarm is not None:
            self.advance(turn, alarm, HookFailed(notice.hook))

    def recover(self, turn: Turn, alarm: Alarm) -> None:
        """The auditor found this open alarm without a deadline that will come: in the database, in memory or in both.

        One that was lost from memory is taken into it, and one whose time has passed is looked at. If only the row of
        the database is wrong it is written again.
        """
        if self.advance(turn, alarm, DeadlineLost()) == HAS_DEADLINE:
            self._take(turn, alarm, Advance(alarm, APPLIED, (journal_note(NoteType.RECOVERED),)), None)
        turn.wake.add(alarm.id)
        turn.bells.update(dict.fromkeys(alarm.called))  # they were told without it, if it was lost from memory

    def step_clock(self, turn: Turn, delta_ms: int) -> None:
        """The wall clock was moved: every deadline moves with it, and every answer that waits for its press."""
        for alarm in list(self._book.by_id.values()):
            self.advance(turn, alarm, ClockStepped(delta_ms))
        delta = timedelta(milliseconds=delta_ms)
        for press, rows in self._early.items():
            self._early[press] = moved = [replace(row, at=row.at + delta) for row in rows]
            turn.batch.moved.update((row.id, row.at) for row in moved)
            turn.touched.update(row.community for row in moved)

    def cap_deadlines(self, turn: Turn, communities: Container[str] | None = None) -> None:
        """After a boot or a relay with another wall clock: no deadline may be farther away than the wait that it is
        for. ``communities``: of these alone.
        """
        for alarm in list(self._book.by_id.values()):
            if communities is not None and alarm.community not in communities:
                continue
            latest = turn.now + timedelta(seconds=due_wait_s(alarm))
            if alarm.deadline is not None and alarm.deadline > latest:
                self.advance(turn, alarm, ClockStepped(as_ms(latest - alarm.deadline)))

    def look_at(self, alarms: Iterable[str]) -> None:
        """In this turn and the next, see which bells of these really sound, and who can be heard."""
        self._to_look_at.extend(alarms)

    def has_more(self) -> bool:
        """Whether alarms wait to be looked at."""
        return bool(self._to_look_at)

    def pass_time(self, turn: Turn) -> None:
        """Bells that changed, then deadlines that have come."""
        for _ in range(min(LOOK_SIZE, len(self._to_look_at))):
            turn.wake.add(self._to_look_at.popleft())
        for alarm_id in sorted(turn.wake):
            alarm = self._book.by_id.get(alarm_id)
            if alarm is not None:
                self.advance(turn, alarm, BellsChanged(self._watch.sounding(alarm)))
        for alarm_id in self._book.pop_due(turn.now, LOOK_SIZE):
            alarm = self._book.by_id[alarm_id]
            if alarm.deadline is not None:
                turn.lags_s.append((turn.now - alarm.deadline).total_seconds())
            self.advance(turn, alarm, DeadlinePassed())
            after = self._book.by_id.get(alarm_id)
            if after is not None and after.deadline == alarm.deadline:
                self._book.put_back(after)

    def _around(self) -> Surroundings:
        return Surroundings(self.register, self._watch.reachable, self._watch.settled)

    def _journal(self, turn: Turn, said: Said, line: LineType, reason: str, alarm_id: str | None) -> None:
        facts: dict[str, object] = {"event_type": str(said.event.type), "reason": reason}
        if said.event.detail is not None and line not in (LineType.IGNORED, LineType.RENEWAL):
            facts["detail"] = said.event.detail
        alarm = self._book.by_id.get(alarm_id or "")
        self.counts[f"journal.{line}"] += 1
        turn.batch.journal.append(
            JournalRow(
                at=turn.now,
                community=said.device.community,
                type=str(line),
                household=alarm.household if alarm is not None else said.device.household,
                alarm=alarm_id,
                device=said.device.id,
                event=said.event.id,
                data=facts,
            )
        )
