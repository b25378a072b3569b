"""The statements of a commit: compiled once, then given to the driver as tuples, one ``executemany`` for each table.

Through SQLAlchemy's own ``executemany`` a batch of 1,000 presses took 1.7 times as long (15,600 presses a second, not
26,500, on a memory disk). The statements are still written and compiled by SQLAlchemy, so another database gets its
own dialect of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql import ClauseElement

from relay.adapters import store_schema as schema
from relay.adapters.sealing import Seal
from relay.adapters.store_leases import check_fences
from relay.adapters.store_rows import (
    MAX_REJECTED,
    AlarmTexts,
    alarm_values,
    event_values,
    journal_values,
    notice_values,
    rejected_values,
    renewal_values,
    to_ms,
    twin_values,
)
from relay.ports import Batch


class _Statement:
    """One compiled statement with its parameters in a fixed order, as tuples."""

    def __init__(self, clause: ClauseElement, dialect: Dialect, columns: Sequence[str]) -> None:
        compiled: Any = clause.compile(dialect=dialect, column_keys=list(columns))
        self._sql = str(compiled)
        if list(compiled.positiontup or ()) != list(columns):
            raise TypeError(f"{compiled.positiontup} is not the order of {columns}")

    def run(self, cursor: DBAPICursor, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            cursor.executemany(self._sql, rows)


class HotStatements:
    """Writes batches. One for each engine."""

    def __init__(self, dialect: Dialect, seal: Seal) -> None:
        self._seal = seal
        self._event = _insert(schema.event, dialect)
        self._journal = _insert(schema.journal, dialect, leave_out="seq")
        self._alarm = _upsert(schema.alarm, dialect, changing=("policy", "stage", "deadline", "state"))
        self._twin = _upsert(schema.twin, dialect, changing=("rev", "stored", "content"))
        self._notice = _upsert(schema.notice, dialect, changing=("state", "attempts", "next_at", "detail"))
        self._rejected = _insert(schema.rejected, dialect, leave_out="id")
        self._renewal = _upsert(
            schema.renewal, dialect, changing=("community", "request", "asked_at", "state", "answer", "answered_at")
        )
        self._meta = _upsert(schema.meta, dialect, changing=("value",))
        self._verdict = _Statement(
            update(schema.event)
            .where(schema.event.c.id == bindparam("key"))
            .values(verdict=bindparam("new"), alarm=bindparam("of")),
            dialect,
            ("of", "new", "key"),
        )
        self._moved = _Statement(
            update(schema.event).where(schema.event.c.id == bindparam("key")).values(at=bindparam("new")),
            dialect,
            ("new", "key"),
        )
        self._command = _Statement(
            update(schema.command).where(schema.command.c.id == bindparam("key")).values(result=bindparam("new")),
            dialect,
            ("new", "key"),
        )
        kept = select(func.max(schema.rejected.c.id) - text(str(MAX_REJECTED))).scalar_subquery()
        self._forget_rejected = str(
            delete(schema.rejected).where(schema.rejected.c.id <= kept).compile(dialect=dialect)
        )

    def write(
        self,
        connection: Connection,
        batch: Batch,
        *,
        together: Callable[[], AbstractContextManager[object]] = nullcontext,
        mark: Mapping[str, str] | None = None,
    ) -> None:
        """Write a batch into the transaction that is open. Raises ``LeaseLostError`` before anything is written.

        ``together``: the statements run within it, for a driver that can send them all at once. ``mark``: goes into
        ``meta`` with them.
        """
        check_fences(connection, batch.fences)
        with together():
            self.write_rows(connection.connection.cursor(), batch)
            if mark:
                self.write_meta(connection, mark)

    def write_rows(self, cursor: DBAPICursor, batch: Batch) -> None:
        """Write a batch without fences by a driver's cursor, which is then closed."""
        texts, seal = AlarmTexts(), self._seal
        try:
            self._event.run(cursor, [event_values(row) for row in batch.events])
            self._verdict.run(cursor, [(of, verdict, key) for key, (verdict, of) in batch.verdicts.items()])
            self._moved.run(cursor, [(to_ms(at), key) for key, at in batch.moved.items()])
            self._journal.run(cursor, [journal_values(row, texts) for row in batch.journal])
            # Closed ones first: a household may have had one alarm closed and the next raised in the same turn.
            alarms = sorted(batch.alarms.values(), key=lambda alarm: alarm.is_open)
            self._alarm.run(cursor, [alarm_values(alarm, texts) for alarm in alarms])
            self._twin.run(cursor, [twin_values(row, seal) for row in batch.twins.values()])
            self._notice.run(cursor, [notice_values(row, seal) for row in batch.notices.values()])
            self._command.run(cursor, [(result, key) for key, result in batch.commands_done.items()])
            self._renewal.run(cursor, [renewal_values(row) for row in batch.renewals.values()])
            self._rejected.run(cursor, [rejected_values(row, seal) for row in batch.rejected])
            if batch.anchor is not None:
                anchor = {"boot_id": batch.anchor.boot_id, "offset_ms": str(batch.anchor.offset_ms)}
                self._meta.run(cursor, list(anchor.items()))
            if batch.rejected:
                cursor.execute(self._forget_rejected)
        finally:
            cursor.close()

    def write_meta(self, connection: Connection, values: Mapping[str, str]) -> None:
        """Set values of the table ``meta``."""
        cursor = connection.connection.cursor()
        try:
            self._meta.run(cursor, list(values.items()))
        finally:
            cursor.close()


def _insert(table: Table, dialect: Dialect, leave_out: str = "") -> _Statement:
    columns = [column.name for column in table.columns if column.name != leave_out]
    return _Statement(table.insert().inline(), dialect, columns)


def _upsert(table: Table, dialect: Dialect, changing: Sequence[str]) -> _Statement:
    """Insert, or change these columns of the row with the same key."""
    columns = [column.name for column in table.columns]
    key = [column.name for column in table.primary_key]
    if dialect.name == "postgresql":
        insert = postgresql.insert(table)
        clause: ClauseElement = insert.on_conflict_do_update(
            index_elements=key, set_={name: insert.excluded[name] for name in changing}
        )
    else:
        lite = sqlite.insert(table)
        clause = lite.on_conflict_do_update(index_elements=key, set_={name: lite.excluded[name] for name in changing})
    return _Statement(clause, dialect, columns)
