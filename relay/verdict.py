"""What ``doorbell-relay store verify`` can find, and what it has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What can be wrong with a database."""

    DAMAGED = "damaged"
    """The file itself is broken."""
    NOT_DURABLE = "not_durable"
    """The server may lose what it has said to be committed."""
    NOT_APPEND_ONLY = "not_append_only"
    """Nothing refuses to change the journal."""
    SCHEMA = "schema"
    """A table, column or index is not there."""
    NO_ALARM = "no_alarm"
    """The journal tells of an alarm that is not there."""
    NO_JOURNAL = "no_journal"
    """The journal does not tell of an alarm that is there."""
    UNREADABLE = "unreadable"
    """What is written is no alarm."""
    DIFFERENT = "different"
    """An alarm is not as the journal left it."""
    COLUMNS = "columns"
    """What the database searches an alarm by is not what the alarm says."""
    UNSEALABLE = "unsealable"
    """A name, an address or a message that cannot be opened with the privacy key, or that stands there openly."""
    NO_DEADLINE = "no_deadline"
    """An open alarm that nothing will ever wake."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault. ``subject``: an alarm's id, or the name of a table, column, trigger or setting."""

    fault: Fault
    subject: str
    detail: str = ""


@dataclass(slots=True)
class Verdict:
    """What was found, and how much was looked at."""

    alarms: int = 0
    open_alarms: int = 0
    lines: int = 0
    findings: list[Finding] = field(default_factory=list)
