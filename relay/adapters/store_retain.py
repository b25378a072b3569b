"""Forgetting what is old: whole alarms with their lines, lines of no alarm, events, rejected messages.

What a running relay may still need stays: open alarms and their events, answers that wait for their alarm, notices that
are not delivered. Everything goes in small transactions, so no press waits for more than one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, delete, exists, func, insert, or_, select, text

from relay.adapters import store_schema as schema
from relay.retention import Kept, Retained

FOUND_AT_ONCE = 5_000
ROWS_AT_ONCE = 500
"""Rows deleted in one transaction: some 10 ms in which nobody else can write to an SQLite file."""
GUARD = "retaining"
"""The key in ``meta`` without which the journal's trigger refuses. It is there in our transaction alone."""

_alarm, _event, _journal = schema.alarm, schema.event, schema.journal
_notice, _rejected, _command = schema.notice, schema.rejected, schema.command


def count_old(reader: Engine, before: Mapping[Kept, datetime]) -> dict[Kept, Retained]:
    """How much is older than it need be kept, of one moment; nothing is changed."""
    with reader.begin() as connection:
        return {kind: _count(connection, kind, at) for kind, at in before.items()}


def forget_old(
    engine: Engine, reader: Engine, before: Mapping[Kept, datetime], progress: Callable[[int], None] = lambda _: None
) -> dict[Kept, int]:
    """Delete it; returns how many rows of each kind went. Safe while a relay runs, and to be stopped at any moment."""
    gone = dict.fromkeys(before, 0)
    for kind in Kept:  # alarms first: their lines then are no lines of an alarm, if something has gone wrong before
        if kind not in before:
            continue
        key = _KEYS[kind]
        while ids := _find(reader, kind, before[kind]):
            for start in range(0, len(ids), ROWS_AT_ONCE):
                some = ids[start : start + ROWS_AT_ONCE]
                with _guarded(engine) as connection:
                    old = and_(key.in_(some), _old(kind, before[kind]))
                    gone[kind] += _delete(connection, kind, old)
                progress(sum(gone.values()))
            if len(ids) < FOUND_AT_ONCE:
                break
    return gone


def _find(reader: Engine, kind: Kept, before: datetime) -> Sequence[Any]:
    with reader.begin() as connection:
        return connection.execute(select(_KEYS[kind]).where(_old(kind, before)).limit(FOUND_AT_ONCE)).scalars().all()


def _count(connection: Connection, kind: Kept, before: datetime) -> Retained:
    table = _TABLES[kind]
    whole = select(func.count()).select_from(table)
    if kind is Kept.LINES:
        whole = whole.where(_of_no_alarm())
    going = connection.execute(select(func.count()).select_from(table).where(_old(kind, before))).scalar_one()
    return Retained(before, going, connection.execute(whole).scalar_one() - going)


def _old(kind: Kept, before: datetime) -> ColumnElement[bool]:
    match kind:
        case Kept.ALARMS:
            recent = exists().where(_journal.c.alarm == _alarm.c.id, _journal.c.at >= before)
            untold = exists().where(_notice.c.alarm == _alarm.c.id, _notice.c.state == "pending")
            return and_(_alarm.c.stage == "closed", _alarm.c.raised_at < before, ~recent, ~untold)
        case Kept.LINES:
            return and_(_journal.c.at < before, _of_no_alarm())
        case Kept.EVENTS:
            needed = exists().where(_alarm.c.id == _event.c.alarm, text(schema.OPEN))
            return and_(_event.c.received_at < before, _event.c.verdict != "early", ~needed)
        case Kept.REJECTED:
            return _rejected.c.at < before


def _of_no_alarm() -> ColumnElement[bool]:
    known = exists().where(_alarm.c.id == _journal.c.alarm)
    return and_(_journal.c.after.is_(None), or_(_journal.c.alarm.is_(None), ~known))


def _delete(connection: Connection, kind: Kept, old: ColumnElement[bool]) -> int:
    if kind is not Kept.ALARMS:
        return connection.execute(delete(_TABLES[kind]).where(old)).rowcount
    ids = connection.execute(select(_alarm.c.id).where(old)).scalars().all()
    # Together, or ``verify`` would rightly complain of the half that is left.
    for table, done in ((_journal, None), (_notice, None), (_command, _command.c.result.is_not(None))):
        going = delete(table).where(table.c.alarm.in_(ids))
        connection.execute(going if done is None else going.where(done))
    return connection.execute(delete(_alarm).where(_alarm.c.id.in_(ids))).rowcount


@contextmanager
def _guarded(engine: Engine) -> Iterator[Connection]:
    """A transaction in which the journal lets itself be deleted from. Nobody else ever sees the row that says so."""
    with engine.begin() as connection:
        connection.execute(insert(schema.meta).values(key=GUARD, value=""))
        yield connection
        connection.execute(delete(schema.meta).where(schema.meta.c.key == GUARD))


_TABLES: Mapping[Kept, Table] = {
    Kept.ALARMS: _alarm,
    Kept.LINES: _journal,
    Kept.EVENTS: _event,
    Kept.REJECTED: _rejected,
}
_KEYS = {kind: next(iter(table.primary_key.columns)) for kind, table in _TABLES.items()}
