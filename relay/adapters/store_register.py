"""The register in the database: read whole; of a new one what differs is written, or all of it.

Names, telephone numbers, addresses and the URLs of hooks (which may hold a password) are sealed. What cannot be opened
is read as the id of its row, so that a bell rings without a name rather than not at all; ``store verify`` tells of it.
A policy that cannot be read is that of the product for a press, until the register is imported again.

Whoever writes holds the database, and no press is committed meanwhile: 100,000 households need some seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy import Connection, Delete, Table, bindparam, select

from doorbell.wire import AlarmKind
from relay.adapters import store_schema as schema
from relay.adapters.sealing import Seal
from relay.adapters.store_rows import policy_json, read_policy
from relay.core.policy import DEFAULT_POLICIES, Policy
from relay.core.register import Community, Device, DeviceRole, Group, Hook, Household, Person, Register
from relay.register_changes import compare_registers

_log = structlog.get_logger("relay")

MAX_GONE = 20
"""For each household or person that is gone the database looks through all that could refer to it (0.1 s in a million):
if there are more of them, everything is written anew."""
_TABLES = {
    "communities": schema.community,
    "people": schema.person,
    "households": schema.household,
    "devices": schema.device,
    "hooks": schema.hook,
    "groups": schema.group,
    "policies": schema.policy,
}
"""By kind, in the order in which they are filled."""
_LISTS = {
    "households": (schema.pair, schema.household_policy),
    "groups": (schema.group_member, schema.group_hook),
}
"""What belongs to a kind, and is written with it."""
SEALED: Mapping[Table, tuple[str, ...]] = {
    schema.person: ("name", "phone"),
    schema.household: ("label", "place"),
    schema.group: ("name",),
    schema.hook: ("url",),
}
"""The columns of the register that are sealed."""


def read_register(connection: Connection, seal: Seal) -> Register:
    """The register, every kind in the order of its ids."""
    volunteers = _listed(connection, schema.pair, "household", "person")
    members = _listed(connection, schema.group_member, "group", "person")
    hooks = _listed(connection, schema.group_hook, "group", "hook")
    policies: dict[str, list[tuple[AlarmKind, str]]] = {}
    table = schema.household_policy

    def opened(table: Table, row: Any, column: str, fallback: str = "") -> str:
        return seal.open_text_or(fallback, sealed_place(table, column, row.id), getattr(row, column))

    for row in connection.execute(select(table).order_by(table.c.household, table.c.place)):
        policies.setdefault(row.household, []).append((AlarmKind(row.kind), row.policy))
    return Register(
        communities=_by_id(Community(r.id, r.name, r.language) for r in _rows(connection, schema.community)),
        households=_by_id(
            Household(
                id=r.id,
                community=r.community,
                label=opened(schema.household, r, "label", r.id),
                place=opened(schema.household, r, "place"),
                volunteers=tuple(volunteers.get(r.id, ())),
                policies=tuple(policies.get(r.id, ())),
            )
            for r in _rows(connection, schema.household)
        ),
        people=_by_id(
            Person(r.id, r.community, opened(schema.person, r, "name", r.id), opened(schema.person, r, "phone"))
            for r in _rows(connection, schema.person)
        ),
        devices=_by_id(
            Device(r.id, r.community, DeviceRole(r.role), r.household, r.person, r.volume, r.report_interval_s)
            for r in _rows(connection, schema.device)
        ),
        groups=_by_id(
            Group(
                id=r.id,
                community=r.community,
                kind=r.kind,
                name=opened(schema.group, r, "name", r.id),
                members=tuple(members.get(r.id, ())),
                hooks=tuple(hooks.get(r.id, ())),
            )
            for r in _rows(connection, schema.group)
        ),
        hooks=_by_id(
            Hook(r.id, r.community, opened(schema.hook, r, "url"), r.secret_file)
            for r in _rows(connection, schema.hook)
        ),
        policies=_by_id(_read_policy(r) for r in _rows(connection, schema.policy)),
    )


def _read_policy(row: Any) -> Policy:
    try:
        return read_policy(row.body)
    except ValueError:
        _log.error("policy.unreadable", policy=row.id)
        return replace(DEFAULT_POLICIES[AlarmKind.HELP], id=row.id)


def sealed_place(table: Table, column: str, row: str) -> str:
    """What a sealed value of the register is bound to."""
    return f"{table.name}.{column} {row}"


def write_register(connection: Connection, register: Register, seal: Seal) -> None:
    """Put this register in the place of the one before, in the transaction that is open."""
    for table in reversed(schema.REGISTER_TABLES):
        connection.execute(table.delete())
    _insert(connection, _rows_of(register, seal))


def change_register(connection: Connection, before: Register, after: Register, seal: Seal) -> None:
    """The same, by what differs from the register that is there."""
    changes = compare_registers(before, after)
    if sum(len(changes[kind].removed) for kind in changes if kind not in ("devices", "groups")) > MAX_GONE:
        write_register(connection, after, seal)
        return
    for kind, tables in _LISTS.items():
        for table in tables:
            owner = table.primary_key.columns.values()[0]
            _execute(connection, table.delete().where(owner == bindparam("key")), changes[kind].changed)
            _execute(connection, table.delete().where(owner == bindparam("key")), changes[kind].removed)
    told = {kind: {*change.added, *change.changed} for kind, change in changes.items()}
    part = Register(**{kind: {id_: getattr(after, kind)[id_] for id_ in ids} for kind, ids in told.items()})
    rows = _rows_of(part, seal)
    changed = {table: set(changes[kind].changed) for kind, table in _TABLES.items()}
    # What is new comes first: what has changed may refer to it.
    _insert(
        connection,
        {table: [row for row in rows[table] if row.get("id") not in changed.get(table, ())] for table in rows},
    )
    for table, ids in changed.items():
        names = [column.name for column in table.columns if column.name != "id"]
        new = [
            {"key": row["id"], **{f"new_{name}": row[name] for name in names}}
            for row in rows[table]
            if row["id"] in ids
        ]
        if new:
            values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
            connection.execute(table.update().where(table.c.id == bindparam("key")).values(values), new)
    for kind, table in reversed(_TABLES.items()):
        _execute(connection, table.delete().where(table.c.id == bindparam("key")), changes[kind].removed)


def _execute(connection: Connection, statement: Delete, keys: Iterable[str]) -> None:
    if rows := [{"key": key} for key in keys]:
        connection.execute(statement, rows)


def _insert(connection: Connection, rows: Mapping[Table, list[dict[str, Any]]]) -> None:
    for table in schema.REGISTER_TABLES:
        if rows[table]:
            connection.execute(table.insert(), rows[table])


def _rows_of(register: Register, seal: Seal) -> dict[Table, list[dict[str, Any]]]:
    rows = _plain_rows_of(register)
    for table, columns in SEALED.items():
        for row in rows[table]:
            for column in columns:
                row[column] = seal.close_text(sealed_place(table, column, row["id"]), row[column])
    return rows


def _plain_rows_of(register: Register) -> dict[Table, list[dict[str, Any]]]:
    homes, groups = register.households.values(), register.groups.values()
    return {
        schema.community: [{"id": c.id, "name": c.name, "language": c.language} for c in register.communities.values()],
        schema.person: [
            {"id": p.id, "community": p.community, "name": p.name, "phone": p.phone} for p in register.people.values()
        ],
        schema.household: [{"id": h.id, "community": h.community, "label": h.label, "place": h.place} for h in homes],
        schema.pair: _places("household", "person", ((h.id, h.volunteers) for h in homes)),
        schema.device: [
            {
                "id": d.id,
                "community": d.community,
                "role": d.role.value,
                "household": d.household,
                "person": d.person,
                "volume": d.volume,
                "report_interval_s": d.report_interval_s,
            }
            for d in register.devices.values()
        ],
        schema.hook: [
            {"id": h.id, "community": h.community, "url": h.url, "secret_file": h.secret_file}
            for h in register.hooks.values()
        ],
        schema.group: [{"id": g.id, "community": g.community, "kind": g.kind, "name": g.name} for g in groups],
        schema.group_member: _places("group", "person", ((g.id, g.members) for g in groups)),
        schema.group_hook: _places("group", "hook", ((g.id, g.hooks) for g in groups)),
        schema.policy: [{"id": id_, "body": policy_json(policy)} for id_, policy in register.policies.items()],
        schema.household_policy: [
            {"household": h.id, "place": place, "kind": kind.value, "policy": policy}
            for h in homes
            for place, (kind, policy) in enumerate(h.policies)
        ],
    }


def _places(owner: str, item: str, lists: Iterable[tuple[str, Iterable[str]]]) -> list[dict[str, Any]]:
    return [{owner: id_, "place": place, item: name} for id_, names in lists for place, name in enumerate(names)]


def _listed(connection: Connection, table: Table, owner: str, item: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    query = select(table.c[owner], table.c[item]).order_by(table.c[owner], table.c.place)
    for key, name in connection.execute(query):
        found.setdefault(key, []).append(name)
    return found


def _rows(connection: Connection, table: Table) -> Iterable[Any]:
    return connection.execute(select(table).order_by(table.c.id))


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


_Item = TypeVar("_Item", bound=_HasId)


def _by_id(items: Iterable[_Item]) -> Mapping[str, _Item]:
    return {item.id: item for item in items}
