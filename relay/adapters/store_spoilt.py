"""Alarms whose rows cannot be read, and those that nobody will look at again.

A state that cannot be read is taken from the journal, or else the alarm rings from the beginning.

Every line of the journal that tells of an alarm has its whole state, written with the row in one transaction: the
newest line is the row. Where that cannot be read either, an older one is taken, whose deadline has passed: rather one
ring too many. Where none can, the alarm rings as one that was found without a deadline, with the policy that its
household has now: nobody waits for ever because of a byte on a disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text

from doorbell.wire import AlarmKind
from relay.adapters import store_schema as schema
from relay.adapters.store_rows import read_alarm, read_policy
from relay.core.alarm import Alarm, AlarmStage
from relay.core.policy import Policy
from relay.ports import Forgotten

PolicyOf = Callable[[str, AlarmKind], Policy | None]
"""By household and kind, from the register."""


def no_policy(_household: str, _kind: AlarmKind) -> None:
    """Where no register is at hand."""


class AlarmReading:
    """Reads rows of ``alarm``, and remembers which of them could not be: ``rebuilt`` otherwise, or ``unreadable``."""

    def __init__(self, connection: Connection, policy_of: PolicyOf = no_policy) -> None:
        self.rebuilt: list[str] = []
        self.unreadable: list[str] = []
        self._connection = connection
        self._policy_of = policy_of

    def read(self, rows: Iterable[Any]) -> list[Alarm]:
        """The alarms of these rows, as far as anything tells of them."""
        return [alarm for row in rows if (alarm := self._read(row)) is not None]

    def _read(self, row: Any) -> Alarm | None:
        try:
            return read_alarm(row.policy, row.state)
        except ValueError:
            alarm = self._rebuild(row)
        (self.unreadable if alarm is None else self.rebuilt).append(row.id)
        return alarm

    def _rebuild(self, row: Any) -> Alarm | None:
        journal = schema.journal
        told = select(journal.c.policy, journal.c.after).where(journal.c.alarm == row.id, journal.c.after.is_not(None))
        lines = self._connection.execute(told.order_by(journal.c.seq.desc())).all()
        policies = [line.policy for line in reversed(lines) if line.policy is not None] + [row.policy]
        for policy in policies:
            for line in lines:
                try:
                    return read_alarm(policy, line.after)
                except ValueError:
                    continue
        return self._begin_anew(row, policies)

    def _begin_anew(self, row: Any, policies: Iterable[str]) -> Alarm | None:
        row = self._connection.execute(select(schema.alarm).where(schema.alarm.c.id == row.id)).one()
        if row.kind not in set(AlarmKind):
            return None
        kind = AlarmKind(row.kind)
        policy = next(filter(None, map(_policy, policies)), None) or self._policy_of(row.household, kind)
        if policy is None:
            return None
        event, device = schema.event, schema.device
        pressed = select(event.c.device).where(event.c.id == row.id)
        panels = select(device.c.id).where(device.c.household == row.household).order_by(device.c.id)
        source = self._connection.execute(pressed).scalar() or self._connection.execute(panels).scalars().first()
        return Alarm(
            id=row.id,
            community=row.community,
            household=row.household,
            kind=kind,
            source=source or row.household,  # a bell refuses a ring, and all beside it, that comes from nowhere
            raised_at=row.raised_at,
            policy=policy,
            stage=AlarmStage.RINGING,
            since=row.raised_at,
            deadline=None,
            due=None,
            recent_presses=(row.raised_at,),
        )


def _policy(body: str) -> Policy | None:
    try:
        return read_policy(body)
    except ValueError:
        return None


def find_forgotten(connection: Connection, before: datetime, limit: int) -> list[Forgotten]:
    """Open alarms without a deadline, or with one before this time, oldest first."""
    table = schema.alarm
    query = select(table.c.id, table.c.community, table.c.deadline).where(text(schema.OPEN)).limit(limit)
    without = connection.execute(query.where(table.c.deadline.is_(None)).order_by(table.c.id))
    found = [Forgotten(row.id, row.community, None) for row in without]
    late = connection.execute(query.where(table.c.deadline < before).order_by(table.c.deadline))
    return [*found, *(Forgotten(row.id, row.community, row.deadline) for row in late)][:limit]
