"""What tells of people is sealed with the privacy key; notes leave the alarms and the journal, which nobody can change.

The one time that lines of the journal are changed: of those of closed alarms with a note, the note is taken out.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "0006"
down_revision = "0005"

AT_ONCE = 1_000
_UNPROTECT = {
    "sqlite": ("DROP TRIGGER journal_no_update",),
    "postgresql": ("ALTER TABLE journal DISABLE TRIGGER USER",),
}
_PROTECT = {
    "sqlite": (
        (
            "CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal "
            "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        ),
    ),
    "postgresql": ("ALTER TABLE journal ENABLE TRIGGER USER",),
}
_REGISTER = {"person": ("name", "phone"), "household": ("label", "place"), "group": ("name",), "hook": ("url",)}


def upgrade() -> None:
    connection = op.get_bind()
    kind = connection.dialect.name
    for statement in _UNPROTECT[kind]:
        op.execute(statement)
    _take_out_notes(connection)
    for statement in _PROTECT[kind]:
        op.execute(statement)
    seal: Any = context.config.attributes.get("seal")
    for table, columns in _REGISTER.items():
        for column in columns:
            _close_each(connection, seal, table, "id", column, f"{table}.{column} {{0}}")
    _close_each(connection, seal, "twin", "device", "content", "twin.content {0}")
    _close_each(connection, seal, "notice", "id", "body", "notice.body {0}")
    _close_each(connection, seal, "command", "id", "note", "command.note {2}", "alarm")
    for column in ("topic", "detail", "payload"):
        _close_each(connection, seal, "rejected", "id", column, f"rejected.{column}")


def _closed(seal: Any, where: str, plain: Any) -> Any:
    if not isinstance(plain, str):
        return seal.close(where, bytes(plain))
    return base64.b64encode(seal.close(where, plain.encode())).decode() if plain else ""


def _close_each(
    connection: sa.Connection, seal: Any, table: str, key: str, column: str, where: str, also: str = ""
) -> None:
    """Change one column of every row, a thousand at a time in the order of their keys."""
    names = [key, column, *([also] if also else ())]
    found = sa.table(table, *(sa.column(name) for name in names))
    columns = [found.c[name] for name in names]
    change = sa.update(found).where(found.c[key] == sa.bindparam("row")).values({column: sa.bindparam("sealed")})
    query = sa.select(*columns).order_by(found.c[key]).limit(AT_ONCE)
    rows = connection.execute(query).all()
    while rows:
        sealed = [{"row": row[0], "sealed": _closed(seal, where.format(*row), row[1])} for row in rows]
        connection.execute(change, sealed)
        rows = connection.execute(query.where(found.c[key] > rows[-1][0])).all()


def _take_out_notes(connection: sa.Connection) -> None:
    """Every note that was written at a closing stands with its command already; one that does not is put there."""
    alarm = sa.table("alarm", sa.column("id"), sa.column("state"))
    journal = sa.table("journal", sa.column("seq"), sa.column("after"))
    command = sa.table("command", *map(sa.column, ("alarm", "outcome", "note", "by", "result")))
    for table, key, column in ((alarm, "id", "state"), (journal, "seq", "after")):
        noted = sa.select(table.c[key], table.c[column]).where(
            table.c[column].like('%"note":"%'), ~table.c[column].like('%"note":""%')
        )
        for row, body in connection.execute(noted).all():
            state = json.loads(body)
            note = state.pop("note", "")
            if table is alarm and note:
                known = sa.select(command.c.note).where(command.c.alarm == row, command.c.result == "applied")
                if note not in connection.execute(known).scalars().all():
                    connection.execute(
                        sa.insert(command).values(
                            alarm=row, outcome=state.get("outcome") or "", note=note, by="", result="applied"
                        )
                    )
            changed = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
            connection.execute(sa.update(table).where(table.c[key] == row).values({column: changed}))
