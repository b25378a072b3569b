"""How a command writes into the audit log: who runs it, and where the log's head is noted."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from relay.adapters.store import SqlStore
from relay.audit import SHOWN_IDS, AuditEntry, AuditLine, AuditWord, some_ids
from relay.audit_head import note_head
from relay.commands.setting import Setting
from relay.core.register import Register
from relay.register_changes import Change
from relay.texts import audit as say

Told = tuple[AuditEntry, datetime]
"""An audit line that is written together with what it tells of."""


def whoever_runs_this() -> str:
    """The account of this machine: by the process's number, for the environment can say anything."""
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = str(number)
    return f"os:{name}"[:80]


def head_path(setting: Setting) -> Path:
    """Where the head is noted: beside the database, or beside the settings for one on a server."""
    base = setting.beside_the_database
    return base.with_name(f"{base.name}-audit-head")


def entry(what: AuditWord, detail: Mapping[str, Any] | None = None, **about: str | None) -> AuditEntry:
    """An entry by whoever runs this command."""
    return AuditEntry(whoever_runs_this(), what, detail=detail or {}, **about)


def tell(what: AuditWord, detail: Mapping[str, Any] | None = None, **about: str | None) -> Told:
    """The same, now: for a method of the store that writes it together with a change."""
    return entry(what, detail, **about), datetime.now(UTC)


def write_line(
    setting: Setting, store: SqlStore, what: AuditWord, detail: Mapping[str, Any] | None = None, **about: str | None
) -> AuditLine:
    """Add a line, before what it tells of is shown: what cannot be recorded is not shown."""
    line = store.audit.append(*tell(what, detail, **about))
    note(setting, store)
    return line


def write_if_made(
    setting: Setting, what: AuditWord, detail: Mapping[str, Any] | None = None, **about: str | None
) -> None:
    """Add a line, if this machine has the database: certificates may be made elsewhere, and have a register there."""
    if SqlStore.is_made(setting.database):
        with setting.store() as store:
            write_line(setting, store, what, detail, **about)


def note(setting: Setting, store: SqlStore, *, whatever_was: bool = False) -> None:
    """Note the head, after lines were added."""
    path = head_path(setting)
    try:
        note_head(path, store.audit.head(), whatever_was=whatever_was)
    except OSError as error:
        setting.warn(say.HEAD_NOT_NOTED, path=path, reason=error.strerror)


def households_detail(households: Sequence[str]) -> dict[str, Any]:
    """Which households were shown."""
    return {"households": some_ids(sorted(set(households)))}


def import_detail(version: int, changes: Mapping[str, Change]) -> dict[str, Any]:
    """What an import changes, by ids: of many the first, their number and a digest."""
    told = {
        kind: {verb: some_ids(ids) for verb in ("added", "changed", "removed") if (ids := getattr(change, verb))}
        for kind, change in changes.items()
        if change
    }
    return {"version": version, "changes": told}


def counts(register: Register) -> dict[str, int]:
    """How much of a register was shown."""
    return {"households": len(register.households), "people": len(register.people), "devices": len(register.devices)}


__all__ = [
    "SHOWN_IDS",
    "Told",
    "counts",
    "entry",
    "head_path",
    "households_detail",
    "import_detail",
    "note",
    "tell",
    "whoever_runs_this",
    "write_if_made",
    "write_line",
]
