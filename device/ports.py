"""What a ``DeviceRuntime`` is given by the outside: Protocols, and the inputs that come back through its queue.

Real ones are in ``device.adapters`` and ``doorbell.mqtt``; the village brings its own. Every method returns at once
(the store within one disk write) and is called on the runtime's thread only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Protocol

from device.core.effects import OutboxRow, Play
from device.core.machine import Proof, Trouble
from device.core.renewal import KeyMade, Papers
from device.core.role import ButtonName, ChimeStarted, ChimeStopped
from device.core.signals import Call, Light
from doorbell.errors import DoorbellError
from doorbell.link import Link, LinkEvent
from doorbell.wire import Health


@dataclass(frozen=True, slots=True)
class PinEdge:
    """A button's line changed at ``at_ms`` (the runtime clock's monotonic ms), bouncing included."""

    button: ButtonName
    active: bool
    at_ms: int


RuntimeInput = LinkEvent | PinEdge | ChimeStarted | ChimeStopped | Trouble | Proof | KeyMade
"""What may be put into the queue: the link's events, edges, what the sound adapter tells, and proofs."""


class StoreError(DoorbellError, OSError):
    """The outbox's disk refuses: full, read-only or broken. The runtime goes on from memory and tells."""


class UnavailableError(DoorbellError, OSError):
    """Something that this device needs is not there now, though its settings are right: the pins are not up yet, or
    another process holds them. The service manager tries again; commands exit with 69."""


@dataclass(frozen=True, slots=True)
class StoredOutbox:
    """What lay on disk. ``next_seq`` is above every number committed; ``trouble`` says if something was set aside."""

    rows: tuple[OutboxRow, ...]
    next_seq: int
    trouble: str | None = None


class OutboxStore(Protocol):
    """The outbox's disk."""

    def load(self) -> StoredOutbox:
        """Read it all, once at start. Raises ``StoreError``."""
        ...

    def commit(self, keep: Sequence[OutboxRow], forget: Sequence[str]) -> None:
        """One transaction, on the disk when it returns. Rows or ids that are there (or gone) already are no error.
        Raises ``StoreError`` with nothing done, or, if the disk was too slow, with all of it done later."""
        ...

    def reserve(self, seq: int) -> None:
        """``load`` never again gives a ``next_seq`` below this. On the disk when it returns. Raises ``StoreError``."""
        ...


class Clock(Protocol):
    """Time, read once per turn."""

    def monotonic_ms(self) -> int:
        """Milliseconds since the device booted; the same clock that edges are stamped with."""
        ...

    def wall(self) -> datetime:
        """Aware UTC, possibly wrong."""
        ...

    def synced(self) -> bool:
        """Whether NTP has set the wall clock since boot."""
        ...

    def boot_id(self) -> str:
        """Names this boot of the device, not this run of the process."""
        ...


class Pins(Protocol):
    """Buttons and the light. Edges come by the queue."""

    def level(self, button: ButtonName) -> bool | None:
        """Whether the button is down now, None if it cannot be read. Called for every fitted button."""
        ...

    def fitted(self) -> Sequence[ButtonName]:
        """The buttons that this device has."""
        ...

    def show(self, light: Light) -> None:
        """Let the light say this until told otherwise."""
        ...


class Sound(Protocol):
    """Speaker and buzzer. ``ChimeStarted`` and ``ChimeStopped`` come back by the queue, once each per alarm."""

    def play(self, notice: Play) -> None:
        """Play a tone and speak its words once, instead of what still plays; while the chime sounds, in between."""
        ...

    def chime(self, calls: Sequence[Call]) -> None:
        """Sound for exactly these alarms from now on; an empty sequence is silence at once."""
        ...

    def tune(self, percent: int | None, language: str | None) -> None:
        """Volume and language from now on; None: the device's own setting. An alarm is never played below 40 per
        cent."""
        ...


class HealthSource(Protocol):
    """Temperature, disk and such; asked for every report, so it must be cheap."""

    def read(self) -> Health:
        """What can be known now."""
        ...


class IdentityPapers(Protocol):
    """Our own certificate and key, and the next ones. Nothing is left half-done by a power cut."""

    def papers(self) -> Papers | None:
        """What lies on the disk now, remembered between two changes; None without a certificate of our authority."""
        ...

    def is_next(self, certificate: Path | None) -> bool:
        """Whether a connection that has shown this file has shown the next certificate."""
        ...

    def make_key(self) -> None:
        """Begin to make a key and a request; a ``KeyMade`` comes by the queue."""
        ...

    def take(self, certificate: str) -> bool:
        """Put this beside the new key; False if it is for another key, or cannot be kept."""
        ...

    def try_next(self) -> None:
        """Have the link leave the broker, and come back once with the next certificate."""
        ...

    def adopt(self) -> bool:
        """The next certificate is the one in use; False if the disk refuses, and then it is tried again."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside a device. ``chance``: ``random.SystemRandom`` really, a seeded one in the village.
    ``identity``: None where nothing is renewed."""

    clock: Clock
    link: Link
    store: OutboxStore
    pins: Pins
    sound: Sound
    health: HealthSource
    chance: Random
    identity: IdentityPapers | None = None
