"""What the cores ask of the shell, which does it in this order: keep, forget, send, tell, report, light, sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from device.core.signals import ROUTINE_PHRASES, Call, Light, Tone, Words
from doorbell.wire import ClockState, Event, EventType


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An event as it lies on disk: the wire's fields, and what its age is computed from."""

    seq: int
    """The outbox's own number, rising, never used twice."""
    id: str
    type: EventType
    at: datetime
    """Wall clock when it happened, aware UTC; worth something only if ``clock`` says ``synced``."""
    clock: ClockState
    boot: str
    born_ms: int
    """Monotonic milliseconds of the boot named ``boot`` when it happened."""
    alarm: str | None = None
    detail: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Keep:
    """Commit this row before anything of it leaves the device."""

    row: OutboxRow


@dataclass(frozen=True, slots=True)
class Forget:
    """These events are committed by the relay (or overtaken): delete them."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """Publish an event, with its age at this moment."""

    event: Event


@dataclass(frozen=True, slots=True)
class Tell:
    """Say an event to a paired device on the direct way."""

    to: str
    event: Event


@dataclass(frozen=True, slots=True)
class Report:
    """Publish ``reported``. ``next_in_s``: the heartbeat that it promises."""

    rev: int
    ringing: tuple[str, ...]
    outbox: int
    next_in_s: int


@dataclass(frozen=True, slots=True)
class Show:
    """Let the light say this from now on."""

    light: Light


@dataclass(frozen=True, slots=True)
class Play:
    """Play a tone once, and speak after it."""

    tone: Tone
    words: Words | None = None

    @property
    def routine(self) -> bool:
        """Whether quiet hours may make it softer."""
        return self.words is not None and self.words.phrase in ROUTINE_PHRASES


@dataclass(frozen=True, slots=True)
class Chime:
    """Let the chime sound for these alarms from now on, most urgent first; none: silence."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Tune:
    """Sound like this from now on. ``percent``: volume; ``language``: of what is spoken; None: the device's own
    setting."""

    percent: int | None
    language: str | None


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing was done, for a named reason; the shell counts and logs it."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something was decided that a technician may want to read. ``event`` is a log's stable name."""

    event: str
    detail: str = ""


Effect = Keep | Forget | Send | Tell | Report | Show | Play | Chime | Tune | Ignored | Noted
