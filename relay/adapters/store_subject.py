"""Everything that the database holds of one person or household: found for an export, or erased.

What is erased is erased in one transaction with the register's new version. Lines of the journal, events and alarms
stay: they hold ids and no words, and without the register an id tells of nobody.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, or_, select, text, update

from relay.adapters import store_schema as schema
from relay.adapters.sealing import Seal, UnsealError
from relay.adapters.store_audit import append_line
from relay.adapters.store_register import change_register
from relay.adapters.store_rows import from_ms, read_journal, read_notice, read_rejected
from relay.adapters.store_sealed import note_place
from relay.adapters.store_spoilt import AlarmReading
from relay.audit import AuditEntry
from relay.core.alarm import Alarm
from relay.core.register import Register
from relay.privacy import Subject, SubjectKind, concerns, register_without

WORDED = frozenset({"label", "place", "text"})
"""What of a notice's body tells of a home in words."""


@dataclass(slots=True)
class Traces:
    """How many rows tell of somebody, by what they are."""

    notes: int = 0
    notices: int = 0
    rejected: int = 0
    twins: int = 0
    events: int = 0
    lines: int = 0
    """Of the journal, with a word of theirs: there should be none, for only ids are written there."""

    def total(self) -> int:
        """All of them."""
        return self.notes + self.notices + self.rejected + self.twins + self.events + self.lines


class SqlSubjects:
    """For ``doorbell-relay privacy``. Raises ``StoreError`` as the store does."""

    def __init__(
        self, engine: Engine, reader: Engine, seal: Seal, errors: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._engine, self._reader, self._seal, self._errors = engine, reader, seal, errors

    def open_matters(self, subject: Subject) -> list[str]:
        """Open alarms that concern them, and alarms of theirs of which somebody is still to be told."""
        with self._errors(), self._reader.begin() as connection:
            return _open_matters(connection, subject)

    def traces(self, subject: Subject) -> Traces:
        """How many rows beside the register tell of them now."""
        with self._errors(), self._reader.begin() as connection:
            return Traces(
                notes=sum(1 for _ in _notes(connection, self._seal, subject)),
                notices=sum(1 for _ in _notices(connection, self._seal, subject)),
                rejected=sum(1 for _ in _rejected(connection, self._seal, subject)),
                twins=sum(1 for _ in _twins(connection, self._seal, subject)),
                events=len(_events(connection, subject)),
                lines=_lines(connection, subject),
            )

    def erase(
        self, subject: Subject, known: tuple[int, Register], told: tuple[AuditEntry, datetime]
    ) -> Traces | list[str] | None:
        """Erase all of it and write the audit log's line; the matters that are open instead, if there are any.

        ``known``: the register's version and the register in which they are; None if there is a newer one by now.
        """
        version, present = known
        meta = schema.meta
        of_version = meta.c.key == "register_version"
        with self._errors(), self._engine.begin() as connection:
            if connection.execute(select(meta.c.value).where(of_version).with_for_update()).scalar() != str(version):
                return None
            if matters := _open_matters(connection, subject):
                return matters
            change_register(connection, present, register_without(present, subject), self._seal)
            connection.execute(update(meta).where(of_version).values(value=str(version + 1)))
            append_line(connection, *told)
            return self._erase(connection, subject)

    def _erase(self, connection: Connection, subject: Subject) -> Traces:
        seal, gone = self._seal, Traces()
        for row, note in list(_notes(connection, seal, subject)):
            left = "" if row.household == subject.id else subject.without(note)
            sealed = seal.close_text(note_place(row.alarm), left)
            connection.execute(update(schema.command).where(schema.command.c.id == row.id).values(note=sealed))
            gone.notes += 1
        for row, body in list(_notices(connection, seal, subject)):
            ids = {key: value for key, value in body.items() if key not in WORDED}
            sealed = seal.close_text(f"notice.body {row.id}", json.dumps(ids, ensure_ascii=False))
            connection.execute(update(schema.notice).where(schema.notice.c.id == row.id).values(body=sealed))
            gone.notices += 1
        for number in list(_rejected(connection, seal, subject)):
            connection.execute(delete(schema.rejected).where(schema.rejected.c.id == number))
            gone.rejected += 1
        for event in _events(connection, subject):
            connection.execute(update(schema.event).where(schema.event.c.id == event).values(body=b"{}"))
            gone.events += 1
        gone.lines = _lines(connection, subject)
        return gone

    def blank(self, subject: Subject) -> int:
        """Empty the states of devices that tell of them, where no relay has told the devices anew; returns how many.

        A relay that starts finds that they are not what they should be, and tells the devices.
        """
        with self._errors(), self._engine.begin() as connection:
            devices = list(_twins(connection, self._seal, subject))
            for device in devices:
                content = self._seal.close(f"twin.content {device}", b"")
                connection.execute(update(schema.twin).where(schema.twin.c.device == device).values(content=content))
            return len(devices)

    def export(self, subject: Subject) -> dict[str, Any]:
        """What is kept of them beside the register, by what it is; other people are told of by id alone."""
        with self._errors(), self._reader.begin() as connection:
            alarms = _alarms(connection, subject)
            lines = connection.execute(select(schema.journal).where(_of_lines(subject)).order_by(schema.journal.c.seq))
            events = connection.execute(
                select(schema.event).where(schema.event.c.device.in_(subject.devices)).order_by(schema.event.c.at)
            )
            return {
                "alarms": alarms,
                "journal": [read_journal(row) for row in lines],
                "events": [(row.id, row.device, row.at, bytes(row.body)) for row in events],
                "notes": [(row.alarm, note) for row, note in _notes(connection, self._seal, subject)],
                "notices": [(row.id, row.alarm, body) for row, body in _notices(connection, self._seal, subject)],
                "rejected": [
                    read_rejected(row, self._seal)
                    for number in _rejected(connection, self._seal, subject)
                    for row in connection.execute(select(schema.rejected).where(schema.rejected.c.id == number))
                ],
                "shown_at": sorted(_twins(connection, self._seal, subject)),
                "accesses": [(from_ms(row.at), row.who, row.what) for row in connection.execute(_accesses(subject))],
            }


def _accesses(subject: Subject) -> Any:
    table = schema.audit
    about = table.c.household if subject.kind is SubjectKind.HOUSEHOLD else table.c.person
    return select(table).where(about == subject.id).order_by(table.c.seq)


def _open_matters(connection: Connection, subject: Subject) -> list[str]:
    alarm, notice = schema.alarm, schema.notice
    rows = connection.execute(select(alarm.c.id, alarm.c.policy, alarm.c.state).where(text(schema.OPEN)))
    found = [one.id for one in AlarmReading(connection).read(rows) if concerns(one, subject)]
    if subject.kind is SubjectKind.HOUSEHOLD:
        untold = select(notice.c.alarm).join(alarm, alarm.c.id == notice.c.alarm)
        untold = untold.where(notice.c.state == "pending", alarm.c.household == subject.id)
        found += connection.execute(untold).scalars()
    return sorted(set(found))


def _alarms(connection: Connection, subject: Subject) -> list[Alarm]:
    alarm = schema.alarm
    query = select(alarm.c.id, alarm.c.policy, alarm.c.state).order_by(alarm.c.raised_at)
    if subject.kind is SubjectKind.HOUSEHOLD:
        query = query.where(alarm.c.household == subject.id)
    else:
        query = query.where(_named(alarm.c.state, (subject.id, *subject.devices)))
    return [one for one in AlarmReading(connection).read(connection.execute(query)) if concerns(one, subject)]


def _of_lines(subject: Subject) -> ColumnElement[bool]:
    journal = schema.journal
    named = _named(journal.c.data, (subject.id, *subject.devices))
    return or_(journal.c.device.in_(subject.devices), journal.c.household == subject.id, named)


def _named(column: Any, ids: tuple[str, ...]) -> ColumnElement[bool]:
    """Whether a JSON text names one of these ids: they are made of letters, digits and ``-``."""
    return or_(*(column.like(f'%"{id_}"%') for id_ in ids))


def _notes(connection: Connection, seal: Seal, subject: Subject) -> Iterator[tuple[Any, str]]:
    """Notes at the closing of their home's alarms, and others that tell of them."""
    command, alarm = schema.command, schema.alarm
    query = select(command.c.id, command.c.alarm, command.c.note, alarm.c.household)
    query = query.outerjoin(alarm, alarm.c.id == command.c.alarm).where(command.c.note != "")
    for row in connection.execute(query).all():
        note = seal.open_text_or("", note_place(row.alarm), row.note)
        if row.household == subject.id or subject.tells(note):
            yield row, note


def _notices(connection: Connection, seal: Seal, subject: Subject) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Notices of their home's alarms, also with names that it had before, and others that tell of them."""
    notice, alarm = schema.notice, schema.alarm
    query = select(notice, alarm.c.household).outerjoin(alarm, alarm.c.id == notice.c.alarm)
    for row in connection.execute(query).all():
        body = dict(read_notice(row, seal).body)
        own = row.household == subject.id and not WORDED.isdisjoint(body)
        if own or subject.in_bytes(json.dumps(body, ensure_ascii=False).encode()):
            yield row, body


def _rejected(connection: Connection, seal: Seal, subject: Subject) -> Iterator[int]:
    """Messages that their devices sent, or that tell of them."""
    for row in connection.execute(select(schema.rejected)).all():
        message = read_rejected(row, seal)
        said = message.payload + message.topic.encode() + message.detail.encode()
        if subject.in_bytes(said) or any(f"/{device}/" in message.topic for device in subject.devices):
            yield row.id


def _twins(connection: Connection, seal: Seal, subject: Subject) -> Iterator[str]:
    """Devices that were last told something of them."""
    query = select(schema.twin.c.device, schema.twin.c.content).execution_options(yield_per=1_000)
    found = []
    for row in connection.execute(query):
        try:
            content = seal.open(f"twin.content {row.device}", bytes(row.content))
        except UnsealError:
            continue
        if subject.in_bytes(content):
            found.append(row.device)
    yield from found


def _events(connection: Connection, subject: Subject) -> list[str]:
    """Events as devices sent them that tell of them: free text of a device could."""
    position = "instr(body, :form)" if connection.dialect.name == "sqlite" else "position(:form in body)"
    asked = text(f"SELECT id FROM event WHERE {position} > 0")  # noqa: S608 - one of two words
    return sorted({row.id for form in set(subject.forms()) for row in connection.execute(asked, {"form": form})})


def _lines(connection: Connection, subject: Subject) -> int:
    forms = {form for word in subject.telling for form in (word, json.dumps(word)[1:-1])}
    data = schema.journal.c.data
    if not forms:
        return 0
    told = or_(*(data.contains(form, autoescape=True) for form in forms))
    return len(connection.execute(select(schema.journal.c.seq).where(told)).all())
