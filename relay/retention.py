"""How long what has happened is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kept(StrEnum):
    """What is kept for a time."""

    ALARMS = "alarms"
    LINES = "lines"
    EVENTS = "events"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Retained:
    """What becomes of one kind: what was ``before`` is old, so many rows go, so many stay."""

    before: datetime
    going: int
    staying: int
