"""What in the database is sealed, and with which key: notes, the rows of people, and what migration 0006 seals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from relay.adapters import store_schema as schema
from relay.adapters.sealing import Seal, UnsealError
from relay.adapters.store_register import SEALED, sealed_place
from relay.core.life import APPLIED
from relay.verdict import Fault, Finding

KEY_IN_USE = "privacy_key"
"""The key in ``meta`` with the id of the privacy key with which everything is sealed."""
SEALED_SINCE = "0007"
"""The last migration that seals what earlier releases have written openly."""
SHOWN = 100


def tables_of_people() -> tuple[Table, ...]:
    """The tables in which something is sealed, or was open before everything was."""
    return (
        *SEALED,
        schema.account,
        schema.twin,
        schema.notice,
        schema.command,
        schema.rejected,
        schema.alarm,
        schema.journal,
    )


def sealed_with(connection: Connection, seal: Seal) -> None:
    """Write down which key everything is sealed with."""
    connection.execute(delete(schema.meta).where(schema.meta.c.key == KEY_IN_USE))
    connection.execute(insert(schema.meta).values(key=KEY_IN_USE, value=seal.current))


def note_place(alarm: str) -> str:
    """What the note at the closing of an alarm is bound to."""
    return f"command.note {alarm}"


def note_of(connection: Connection, seal: Seal, alarm: str) -> str:
    """What was noted when the alarm was closed."""
    table = schema.command
    query = select(table.c.note).where(table.c.alarm == alarm, table.c.result == APPLIED).order_by(table.c.id)
    return seal.open_text_or("", note_place(alarm), connection.execute(query).scalars().first() or "")


def unopened(connection: Connection, seal: Seal) -> Iterator[Finding]:
    """What is sealed and cannot be opened, and what stands there openly: of each column the first hundred."""
    for table, column in _columns():
        found = 0
        for row, where, value in _values(connection, table, column):
            try:
                _open(seal, where, value)
            except UnsealError:
                yield Finding(Fault.UNSEALABLE, f"{table.name}.{column}", str(row))
                found += 1
                if found == SHOWN:
                    break


def seal_anew(connection: Connection, seal: Seal) -> tuple[int, int]:
    """Seal everything with the key in use; returns how many values, and how many stay because they cannot be opened."""
    done = left = 0
    for table, column in _columns():
        key = next(iter(table.primary_key.columns))
        change = update(table).where(key == bindparam("row")).values({column: bindparam("sealed")})
        changes = []
        for row, where, value in list(_values(connection, table, column)):
            try:
                plain = _open(seal, where, value)
            except UnsealError:
                left += 1
                continue
            closed = seal.close_text(where, plain) if isinstance(plain, str) else seal.close(where, plain)
            changes.append({"row": row, "sealed": closed})
        if changes:
            connection.execute(change, changes)
        done += len(changes)
    sealed_with(connection, seal)
    return done, left


def _values(connection: Connection, table: Table, column: str) -> Iterator[tuple[Any, str, Any]]:
    """Of every row its key, what its value is bound to, and the value."""
    key = next(iter(table.primary_key.columns))
    bound = table.c.alarm if table is schema.command else key
    query = select(key, bound, table.c[column]).execution_options(yield_per=1_000)
    for row, binding, value in connection.execute(query):
        yield row, f"rejected.{column}" if table is schema.rejected else sealed_place(table, column, binding), value


def _open(seal: Seal, where: str, value: Any) -> str | bytes:
    return seal.open_text(where, value) if isinstance(value, str) else seal.open(where, bytes(value))


def _columns() -> Iterator[tuple[Table, str]]:
    for table, columns in SEALED.items():
        for column in columns:
            yield table, column
    yield schema.account, "name"
    yield schema.twin, "content"
    yield schema.notice, "body"
    yield schema.command, "note"
    for column in ("topic", "payload", "detail"):
        yield schema.rejected, column
