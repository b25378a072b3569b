"""A ``relay.ports.Store`` in memory: the village's disk. It outlives the relay that uses it, as a disk would.

Held to the same contract tests as the SQL store. A relay that "dies" drops its runtime and starts another on the same
store; ``fail_commits`` and ``fail_reads`` make the next so many calls fail as a full or locked disk does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count, islice

from doorbell.wire import AlarmKind
from relay.adapters.store_rows import MAX_REJECTED, MAX_REJECTED_BYTES, JournalLine
from relay.core.alarm import Alarm, NoteType, Outcome
from relay.core.policy import Policy
from relay.core.register import Register
from relay.core.renewal import Renewal, RenewalRow
from relay.ports import (
    Batch,
    ClockAnchor,
    Command,
    EventRow,
    JournalRow,
    LeaseLostError,
    NoticeRow,
    RejectedRow,
    Snapshot,
    StoreError,
    TwinRow,
)
from sim.leases import MemoryLeases


class MemoryStore:
    """Everything that was committed, in dictionaries and lists. Not for several threads."""

    def __init__(self, register: Register | None = None) -> None:
        self.fail_commits = 0
        """So many of the next commits fail, retryably, and write nothing."""
        self.fail_reads = 0
        """So many of the next reads by the relay fail, retryably."""
        self.events: dict[str, EventRow] = {}
        self.twins: dict[str, TwinRow] = {}
        self.commits = 0
        self.leases = MemoryLeases()
        self._register = _by_id(register) if register is not None else Register()
        self._register_version = 0 if register is None else 1
        self._lines: list[JournalRow] = []
        self._alarms: dict[str, Alarm] = {}
        self._open: dict[tuple[str, AlarmKind], Alarm] = {}
        self._early: dict[str, EventRow] = {}
        self._notices: dict[str, NoticeRow] = {}
        self._pending: dict[str, NoticeRow] = {}
        self._rejected: list[RejectedRow] = []
        self._renewals: dict[str, RenewalRow] = {}
        self._commands: dict[int, Command] = {}
        self._results: dict[int, str] = {}
        self._noted: dict[int, tuple[str, str]] = {}
        self._numbers = count(1)
        self._anchor: ClockAnchor | None = None

    # -----------------------------------------------------------------------------------------------------------------
    # relay.ports.Store

    def load(self, communities: Collection[str] | None = None) -> Snapshot:
        """See ``relay.ports.Store``."""
        self._read()
        devices = self._register.devices
        alarms = sorted(self._open.values(), key=lambda a: (a.deadline is None, a.id))
        return Snapshot(
            register=Register() if communities else self._register,
            register_version=self._register_version,
            alarms={alarm.id: alarm for alarm in alarms if communities is None or alarm.community in communities},
            twins={
                key: twin
                for key, twin in self.twins.items()
                if communities is None or (key in devices and devices[key].community in communities)
            },
            early=[row for row in self.early() if communities is None or row.community in communities],
            notices={
                row.id: row
                for row in self.notices(pending_only=True)
                if communities is None or row.community in communities
            },
            renewals=[
                row for row in self.renewals(state=Renewal.TOLD) if communities is None or row.community in communities
            ],
            anchor=self._anchor,
        )

    def known_events(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are committed."""
        self._read()
        return {id_ for id_ in ids if id_ in self.events}

    def find_alarm(self, alarm_id: str) -> Alarm | None:
        """An alarm by id, open or closed; also by the id of any event that concerned it."""
        self._read()
        found = self._alarms.get(alarm_id)
        if found is None and (row := self.events.get(alarm_id)) is not None and row.alarm is not None:
            found = self._alarms.get(row.alarm)
        return found

    def commit(self, batch: Batch) -> None:
        """Write a batch whole, or not at all."""
        if self.fail_commits > 0:
            self.fail_commits -= 1
            raise StoreError("the simulated disk did not take it", retryable=True)
        if lost := [community for community, fence in batch.fences.items() if self.leases.fence(community) != fence]:
            raise LeaseLostError(lost)
        self._check(batch)
        self.commits += 1
        for row in batch.events:
            self._put_event(row)
        for id_, (verdict, alarm) in batch.verdicts.items():
            if id_ in self.events:
                self._put_event(replace(self.events[id_], verdict=verdict, alarm=alarm))
        for id_, at in batch.moved.items():
            self._put_event(replace(self.events[id_], at=at))
        self._lines += batch.journal
        self._put_alarms(batch.alarms.values())
        self.twins.update(batch.twins)
        for id_, notice in batch.notices.items():
            self._notices[id_] = notice
            self._pending.pop(id_, None)
            if notice.state == "pending":
                self._pending[id_] = notice
        self._renewals.update(batch.renewals)
        self._rejected += [replace(row, payload=row.payload[:MAX_REJECTED_BYTES]) for row in batch.rejected]
        del self._rejected[:-MAX_REJECTED]
        for number, result in batch.commands_done.items():
            if self._commands.pop(number, None) is not None:
                self._results[number] = result
        self._anchor = batch.anchor or self._anchor

    def load_register(self) -> tuple[int, Register]:
        """The register and its version."""
        self._read()
        return self._register_version, self._register

    def poll(self) -> tuple[int, Sequence[Command]]:
        """The register's version and the commands not yet done, oldest first."""
        self._read()
        return self._register_version, list(self._commands.values())

    def renewals(self, *, devices: Sequence[str] | None = None, state: Renewal | None = None) -> list[RenewalRow]:
        """Requests for certificates, oldest first: of these devices, in this state."""
        self._read()
        chosen = (
            row
            for row in self._renewals.values()
            if (devices is None or row.device in devices) and state in (None, row.state)
        )
        return sorted(chosen, key=lambda row: (row.asked_at, row.device))

    # -----------------------------------------------------------------------------------------------------------------
    # What the office's commands and the village's checkers read

    def replace_register(self, register: Register) -> int:
        """Put a register in the place of the one before; returns its version."""
        self._register = _by_id(register)
        self._register_version += 1
        return self._register_version

    def add_command(self, alarm: str, outcome: Outcome, note: str, by: str) -> int:
        """Ask the relay to close an alarm; returns the command's number."""
        number = next(self._numbers)
        self._commands[number] = Command(number, alarm, outcome, by)
        self._noted[number] = alarm, note
        return number

    def answer_renewal(self, row: RenewalRow, state: Renewal, answer: str, at: datetime) -> bool:
        """Answer a request that waits; False if it waits no more, or the device has asked for something else since."""
        known = self._renewals.get(row.device)
        if known is None or known.request != row.request or known.state is not Renewal.WAITING:
            return False
        self._renewals[row.device] = replace(known, state=state, answer=answer, answered_at=at)
        return True

    def note_of(self, alarm: str) -> str:
        """What was noted when an alarm was closed."""
        applied = (n for n, (of, _) in self._noted.items() if of == alarm and self._results.get(n) == "applied")
        return next((self._noted[number][1] for number in applied), "")

    def command_result(self, command: int) -> str | None:
        """What became of a command; None while the relay has not done it."""
        return self._results.get(command)

    def alarms(self, open_only: bool = True, limit: int = 100) -> list[Alarm]:
        """The newest alarms, newest first."""
        chosen = self._open.values() if open_only else self._alarms.values()
        newest = sorted(chosen, key=lambda a: a.id)
        return sorted(newest, key=lambda a: a.raised_at, reverse=True)[:limit]

    def journal(
        self,
        *,
        alarm: str | None = None,
        community: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after_seq: int = 0,
        limit: int | None = None,
        types: Collection[str] = (),
    ) -> Iterator[JournalLine]:
        """Lines of the journal, oldest first. ``since`` is included, ``until`` is not; ``limit`` is of the oldest.
        ``types``: of these only.
        """
        wanted = (
            _line(seq, row)
            for seq, row in enumerate(islice(self._lines, after_seq, None), start=after_seq + 1)
            if (alarm is None or row.alarm == alarm)
            and (community is None or row.community == community)
            and (since is None or row.at >= since)
            and (until is None or row.at < until)
            and (not types or row.type in types)
        )
        return islice(wanted, limit)

    def rejected(self, limit: int = 100) -> list[RejectedRow]:
        """The newest messages that could not be used, newest first."""
        return self._rejected[: -limit - 1 : -1]

    def early(self) -> list[EventRow]:
        """Answers to alarms that nobody has raised yet, oldest first."""
        return sorted(self._early.values(), key=lambda row: (row.received_at, row.at, row.id))

    def notices(self, *, alarm: str | None = None, pending_only: bool = False) -> list[NoticeRow]:
        """Hooks that were or are to be told, oldest first."""
        chosen = self._pending.values() if pending_only else self._notices.values()
        return sorted((n for n in chosen if alarm in (None, n.alarm)), key=lambda n: (n.created_at, n.id))

    def rebuild_alarms(self) -> dict[str, Alarm]:
        """Every alarm as the journal alone tells it."""
        policies: dict[str, Policy] = {}
        states: dict[str, Alarm] = {}
        for row in self._lines:
            if row.alarm is not None and row.after is not None:
                if row.type == NoteType.RAISED:
                    policies[row.alarm] = row.after.policy
                states[row.alarm] = row.after
        return {id_: replace(state, policy=policies[id_]) for id_, state in states.items()}

    # -----------------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        if self.fail_reads > 0:
            self.fail_reads -= 1
            raise StoreError("the simulated disk did not answer", retryable=True)

    def _check(self, batch: Batch) -> None:
        """Refuse what a database's constraints refuse, before anything is written."""
        ids = {row.id for row in batch.events}
        if len(ids) != len(batch.events) or not self.events.keys().isdisjoint(ids):
            raise StoreError("an event is committed already", retryable=False)
        fresh: dict[tuple[str, AlarmKind], str] = {}
        for alarm in batch.alarms.values():
            if not alarm.is_open:
                continue
            key = (alarm.household, alarm.kind)
            before = self._open.get(key)
            stays = before is not None and batch.alarms.get(before.id, before).is_open
            holder = before.id if before is not None and stays else fresh.setdefault(key, alarm.id)
            if holder != alarm.id:
                raise StoreError("the household has an open alarm of this kind already", retryable=False)

    def _put_alarms(self, alarms: Iterable[Alarm]) -> None:
        for alarm in sorted(alarms, key=lambda alarm: alarm.is_open):
            self._alarms[alarm.id] = alarm
            key = (alarm.household, alarm.kind)
            if alarm.is_open:
                self._open[key] = alarm
            elif key in self._open and self._open[key].id == alarm.id:
                del self._open[key]

    def _put_event(self, row: EventRow) -> None:
        self.events[row.id] = row
        self._early.pop(row.id, None)
        if row.verdict == "early":
            self._early[row.id] = row


def _line(seq: int, row: JournalRow) -> JournalLine:
    return JournalLine(
        seq, row.at, row.community, row.type, row.household, row.alarm, row.device, row.event, dict(row.data)
    )


def _by_id(register: Register) -> Register:
    """The register in the order in which a database gives it back, so that both stores call bells in the same order."""
    return Register(
        communities=dict(sorted(register.communities.items())),
        households=dict(sorted(register.households.items())),
        people=dict(sorted(register.people.items())),
        devices=dict(sorted(register.devices.items())),
        groups=dict(sorted(register.groups.items())),
        hooks=dict(sorted(register.hooks.items())),
        policies=dict(sorted(register.policies.items())),
    )
