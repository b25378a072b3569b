"""The relay's memory in an SQL database: one schema on SQLite and on PostgreSQL, one behaviour.

One thread of one relay writes batches; commands of the office read beside it, ask for something (``add_command``) or
replace the register. Every batch is one transaction and one fsync. Every failure is a ``StoreError``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, insert, select, text

from relay.adapters import store_schema as schema
from relay.adapters.sealing import Seal
from relay.adapters.store_audit import SqlAudit, append_line
from relay.adapters.store_database import BUSY_S, RUNNING, open_database
from relay.adapters.store_hot import HotStatements
from relay.adapters.store_leases import SqlLeases
from relay.adapters.store_people import SqlPeople
from relay.adapters.store_queries import early_events, of_communities, read_alarms, read_notices, revision_of, twins_of
from relay.adapters.store_register import change_register, read_register
from relay.adapters.store_renewals import answer_renewal, read_renewals
from relay.adapters.store_retain import count_old, forget_old
from relay.adapters.store_rows import (
    JournalLine,
    read_journal,
    read_rejected,
    read_twin,
    rebuild,
)
from relay.adapters.store_sealed import KEY_IN_USE, SEALED_SINCE, note_of, sealed_with
from relay.adapters.store_spoilt import AlarmReading, find_forgotten
from relay.adapters.store_subject import SqlSubjects
from relay.adapters.store_verify import verify
from relay.audit import AuditEntry
from relay.core.alarm import Alarm, Outcome
from relay.core.register import Register
from relay.core.renewal import Renewal, RenewalRow
from relay.database import Place
from relay.ports import Batch, ClockAnchor, Command, EventRow, Forgotten, NoticeRow, RejectedRow, Snapshot, StoreError
from relay.retention import Kept, Retained
from relay.verdict import Verdict

IDS_AT_ONCE = 500
"""Ids asked for in one statement: SQLite before 3.32 takes 999 parameters."""
LINES_AT_ONCE = 1_000
"""Journal lines read in one transaction: a long one would keep the write-ahead log from shrinking."""

_ALARM = select(schema.alarm.c.id, schema.alarm.c.policy, schema.alarm.c.state)
_WAITING = (
    select(schema.command).where(text("result IS NULL")).order_by(schema.command.c.id)
)  # in these words, so that the partial index serves it
_KEY = select(schema.meta.c.value).where(schema.meta.c.key == KEY_IN_USE)
_VERSION = select(schema.meta.c.value).where(schema.meta.c.key == "register_version")


class SqlStore:
    """A ``relay.ports.Store`` in a database, and what the commands of the office read from it.

    ``target``: the path of an SQLite file, or a PostgreSQL database (``relay.database``); ``busy_s``: how long to wait
    for another process's transaction; ``seal``: the privacy key, if not where ``Seal.beside`` looks. Use
    ``open``; the bare constructor touches nothing.
    """

    def __init__(
        self, target: Place | str, *, busy_s: float = BUSY_S, name: str | None = None, seal: Seal | None = None
    ) -> None:
        self.seal, self._target = seal or Seal.beside(target), target
        self._database = open_database(target, busy_s, self.seal, name)
        self._engine, self._reader = self._database.engine, self._database.reader
        self._errors = self._database.errors
        self._hot = HotStatements(self._engine.dialect, self.seal)

    @classmethod
    def open(
        cls,
        target: Place | str,
        *,
        exclusive: bool = False,
        busy_s: float = BUSY_S,
        name: str | None = None,
        seal: Seal | None = None,
    ) -> Self:
        """Open a database, making or upgrading it where needed.

        ``exclusive``: as the relay that owns it, until ``close`` or the end of the process; with a ``name`` (and on
        PostgreSQL) as one of several relays, each with another name and with leases. Raises ``SetupError`` when
        another relay owns it, when a newer release has made it, or when it cannot be made; ``StoreError`` for the rest.
        """
        store = cls(target, busy_s=busy_s, name=name, seal=seal)
        try:
            store._database.prepare()
            if exclusive:
                store._database.own()
            store.upgrade()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def is_made(cls, target: Place | str) -> bool:
        """Whether there is a database of ours, of whatever release. Raises as ``open`` does."""
        database = open_database(target, BUSY_S, Seal(Path()))
        try:
            with database.errors():
                return database.is_made()
        finally:
            database.close()

    def close(self) -> None:
        """Close every connection and let go of the lock."""
        self._database.close()

    def upgrade(self) -> None:
        """Bring the schema to this release's. Raises ``SetupError`` if a newer release made it or a relay uses it."""
        with self._errors(), self._reader.begin() as connection:
            current = revision_of(connection)
            key = None if current is None else connection.execute(_KEY).scalar()
        self.seal.prepare(key, self._target)
        if current == schema.SCHEMA_HEAD:
            return
        from relay.adapters.store_migrate import check_known, migrate  # noqa: PLC0415 - Alembic: 0.2 s of importing

        check_known(current)
        with self._errors(), self._database.migrating() as connection:
            migrate(connection, self.seal)
            sealed_with(connection, self.seal)
        if current is not None and current < SEALED_SINCE:
            self._database.forget_traces()

    # -----------------------------------------------------------------------------------------------------------------
    # What the relay needs: relay.ports.Store

    def load(self, communities: Collection[str] | None = None) -> Snapshot:
        """See ``relay.ports.Store``; all of one moment."""
        with self._errors(), self._reader.begin() as connection:
            open_alarms = of_communities(communities, _ALARM.where(text(schema.OPEN)), schema.alarm)
            meta = {row.key: row.value for row in connection.execute(select(schema.meta))}
            register = cache(partial(read_register, connection, self.seal))
            reading = AlarmReading(connection, lambda *of: register().known_policy(*of))
            alarms = reading.read(connection.execute(open_alarms.order_by(schema.alarm.c.deadline)))
            pending = read_notices(connection, self.seal, communities, pending_only=True)
            return Snapshot(
                register=Register() if communities else register(),
                register_version=int(meta.get("register_version", "0")),
                alarms={alarm.id: alarm for alarm in alarms},
                rebuilt=reading.rebuilt,
                unreadable=reading.unreadable,
                twins={row.device: read_twin(row, self.seal) for row in connection.execute(twins_of(communities))},
                early=early_events(connection, communities),
                notices={row.id: row for row in pending},
                renewals=read_renewals(connection, communities=communities, state=Renewal.TOLD),
                anchor=ClockAnchor(meta["boot_id"], int(meta["offset_ms"])) if "boot_id" in meta else None,
            )

    def known_events(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are committed."""
        if not ids:
            return set()
        with self._errors():
            chunks = (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))
            return set().union(*map(self._database.known, chunks))

    def find_alarm(self, alarm_id: str) -> Alarm | None:
        """An alarm by id, open or closed; also by the id of any event that concerned it."""
        event = select(schema.event.c.alarm).where(schema.event.c.id == alarm_id).scalar_subquery()
        with self._errors(), self._reader.begin() as connection:
            for key in (alarm_id, event):
                found = read_alarms(connection, _ALARM.where(schema.alarm.c.id == key))
                if found:
                    return found[0]
            return None

    def commit(self, batch: Batch) -> None:
        """Write a batch durably, whole or not at all. After a failure nothing of it is there: try the same again."""
        with self._errors():
            self._database.write(batch)

    def load_register(self) -> tuple[int, Register]:
        """The register and its version; version 0 is the empty register of a new database."""
        with self._errors(), self._reader.begin() as connection:
            return _version(connection), read_register(connection, self.seal)

    def poll(self) -> tuple[int, Sequence[Command]]:
        """The register's version and the commands not yet done, oldest first."""
        with self._errors(), self._reader.begin() as connection:
            commands = [
                Command(row.id, row.alarm, Outcome(row.outcome), row.by) for row in connection.execute(_WAITING)
            ]
            return _version(connection), commands

    def renewals(self, *, devices: Sequence[str] | None = None, state: Renewal | None = None) -> list[RenewalRow]:
        """Requests for certificates, oldest first: of these devices, in this state."""
        with self._errors(), self._reader.begin() as connection:
            return read_renewals(connection, devices=devices, state=state)

    # -----------------------------------------------------------------------------------------------------------------
    # Several relays on one database

    def leases(self) -> SqlLeases:
        """Which relay serves which community."""
        return SqlLeases(self._engine, self._errors)

    # -----------------------------------------------------------------------------------------------------------------
    # What the commands of the office ask for

    @property
    def subjects(self) -> SqlSubjects:
        """What is kept of one person or household: to be exported, or erased."""
        return SqlSubjects(self._engine, self._reader, self.seal, self._errors)

    @property
    def audit(self) -> SqlAudit:
        """Who looked at whom, and who changed what."""
        return SqlAudit(self._engine, self._reader, self._errors)

    @property
    def people(self) -> SqlPeople:
        """Accounts, their sessions and links."""
        return SqlPeople(self._engine, self._reader, self.seal, self._errors)

    def replace_register(
        self,
        register: Register,
        known: tuple[int, Register] | None = None,
        told: Callable[[int, Register], tuple[AuditEntry, datetime]] | None = None,
    ) -> int:
        """Put a register in the place of the one before, whole; returns its version. A running relay takes it over.

        ``known``: what ``load_register`` has just given, to spare it a second reading; ``told``: makes the audit
        log's line from the new version and the register of before.
        """
        with self._errors():
            while True:
                version, present = known or self.load_register()
                known = None
                with self._engine.begin() as connection:
                    # Locked where several can write at once, so that two importers do not mix their registers.
                    if int(connection.execute(_VERSION.with_for_update()).scalar() or 0) == version:
                        change_register(connection, present, register, self.seal)
                        self._hot.write_meta(connection, {"register_version": str(version + 1)})
                        if told is not None:
                            append_line(connection, *told(version + 1, present))
                        return version + 1

    def add_command(
        self, alarm: str, outcome: Outcome, note: str, by: str, told: tuple[AuditEntry, datetime] | None = None
    ) -> int:
        """Ask the relay to close an alarm; returns the command's number."""
        with self._errors(), self._engine.begin() as connection:
            sealed = self.seal.close_text(f"command.note {alarm}", note)
            values = {"alarm": alarm, "outcome": outcome.value, "note": sealed, "by": by}
            added = connection.execute(insert(schema.command).values(values)).inserted_primary_key
            if added is None:
                raise StoreError("the database gave the command no number", retryable=False)
            if told is not None:
                append_line(connection, *told)
            return int(added[0])

    def answer_renewal(self, row: RenewalRow, state: Renewal, answer: str, at: datetime) -> bool:
        """Answer a request that waits; False if it waits no more, or the device has asked for something else since."""
        with self._errors(), self._engine.begin() as connection:
            return answer_renewal(connection, row, state, answer, at)

    def note_of(self, alarm: str) -> str:
        """What was noted when an alarm was closed; it stands here alone, not in the journal, and can be erased."""
        with self._errors(), self._reader.begin() as connection:
            return note_of(connection, self.seal, alarm)

    def command_result(self, command: int) -> str | None:
        """What became of a command; None while the relay has not done it."""
        with self._errors(), self._reader.begin() as connection:
            return connection.execute(select(schema.command.c.result).where(schema.command.c.id == command)).scalar()

    def alarms(self, open_only: bool = True, limit: int = 100) -> list[Alarm]:
        """The newest alarms, newest first."""
        query = _ALARM.order_by(schema.alarm.c.raised_at.desc(), schema.alarm.c.id).limit(limit)
        if open_only:
            query = query.where(text(schema.OPEN))
        with self._errors(), self._reader.begin() as connection:
            return read_alarms(connection, query)

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

        Lines that are written while the caller reads are seen, so a follower asks again ``after_seq`` its last.
        """
        table = schema.journal
        query = select(table).order_by(table.c.seq)
        if alarm is not None:
            query = query.where(table.c.alarm == alarm)
        if community is not None:
            query = query.where(table.c.community == community)
        if types:
            query = query.where(table.c.type.in_(types))
        if since is not None:
            query = query.where(table.c.at >= since)
        if until is not None:
            query = query.where(table.c.at < until)
        left = limit
        while left is None or left > 0:
            size = LINES_AT_ONCE if left is None else min(left, LINES_AT_ONCE)
            with self._errors(), self._reader.begin() as connection:
                rows = connection.execute(query.where(table.c.seq > after_seq).limit(size)).all()
            yield from map(read_journal, rows)
            if len(rows) < size:
                return
            after_seq = rows[-1].seq
            left = None if left is None else left - size

    def rejected(self, limit: int = 100) -> list[RejectedRow]:
        """The newest messages that could not be used, newest first."""
        query = select(schema.rejected).order_by(schema.rejected.c.id.desc()).limit(limit)
        with self._errors(), self._reader.begin() as connection:
            return [read_rejected(row, self.seal) for row in connection.execute(query)]

    def early(self) -> list[EventRow]:
        """Answers to alarms that nobody has raised yet, oldest first."""
        with self._errors(), self._reader.begin() as connection:
            return early_events(connection)

    def notices(self, *, alarm: str | None = None, pending_only: bool = False) -> list[NoticeRow]:
        """Hooks that were or are to be told, oldest first."""
        with self._errors(), self._reader.begin() as connection:
            return read_notices(connection, self.seal, alarm=alarm, pending_only=pending_only)

    def forgotten(self, before: datetime, limit: int) -> list[Forgotten]:
        """For the auditor: open alarms without a deadline, or with one before this time, oldest first."""
        with self._errors(), self._reader.begin() as connection:
            return find_forgotten(connection, before, limit)

    def rebuild_alarms(self) -> dict[str, Alarm]:
        """Every alarm as the journal alone tells it: what ``alarms`` must be equal to."""
        table = schema.journal
        query = select(table.c.alarm, table.c.policy, table.c.after).where(table.c.after.is_not(None))
        with self._errors(), self._reader.begin() as connection:
            return rebuild(connection.execute(query.order_by(table.c.seq)))

    # -----------------------------------------------------------------------------------------------------------------
    # Care of the database: ``doorbell-relay store``

    def verify(self, progress: Callable[[int], None] = lambda _: None) -> Verdict:
        """Compare everything with what the journal tells; ``progress`` hears how many alarms were compared."""
        with self._errors():
            return verify(self._reader, self.seal, progress)

    def count_old(self, before: Mapping[Kept, datetime]) -> dict[Kept, Retained]:
        """How much of each kind is older than that."""
        with self._errors():
            return count_old(self._reader, before)

    def forget_old(
        self, before: Mapping[Kept, datetime], progress: Callable[[int], None] = lambda _: None
    ) -> dict[Kept, int]:
        """Delete what is older than that; returns how many rows of each kind are gone."""
        with self._errors():
            return forget_old(self._engine, self._reader, before, progress)

    def copy_into(self, part: Path) -> None:
        """Write everything of one moment into an empty SQLite file."""
        with self._errors():
            self._database.copy_into(part)

    def forget_traces(self, *, beside_a_relay: bool = False) -> None:
        """See ``relay.adapters.store_database.Database``."""
        with self._errors():
            self._database.forget_traces(beside_a_relay=beside_a_relay)

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A transaction that no relay sees: ``SetupError`` while one runs."""
        with self._errors(), self._database.migrating(RUNNING) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads, of one moment."""
        with self._errors(), self._reader.begin() as connection:
            yield connection


def _version(connection: Connection) -> int:
    return int(connection.execute(_VERSION).scalar() or 0)
