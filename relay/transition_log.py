"""The log's line for each transition of an alarm: what led to it, where it led, and until when it waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from doorbell.wire import format_time
from relay.core.alarm import NoteType
from relay.core.journal import LineType
from relay.ports import JournalRow

_LONE_LINES = frozenset(str(line) for line in LineType)


def log_transitions(log: Any, journal: Sequence[JournalRow]) -> None:
    """One line for each transition: the journal's lines up to the one with the state that they led to."""
    facts: dict[str, object] = {}
    for line in journal:
        if not facts:
            facts["event"] = f"alarm.{line.type}" if line.alarm is not None else f"device.{line.type}"
        facts.update(line.data)
        whole = line.type != NoteType.RAISED
        if line.after is not None and whole:
            deadline = line.after.deadline
            facts.update(kind=str(line.after.kind), stage=str(line.after.stage))
            facts["deadline"] = deadline and format_time(deadline)
        if line.alarm is None or (line.after is not None and whole) or line.type in _LONE_LINES:
            facts.update(alarm=line.alarm, community=line.community, household=line.household, device=line.device)
            log.info(**facts)
            facts = {}
