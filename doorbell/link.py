"""The link as the programs see it: what it tells them, and what they may ask of it. No MQTT library in here.

Two implementations: ``doorbell.mqtt`` (paho) and the simulated network of ``sim``. A link forgets everything when its
connection ends: nothing that was published and not delivered is sent later by the link itself. What must not be lost
is kept by the programs: events in the device's outbox until their receipt, desired states in the relay's database
until ``reported`` names their ``rev``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from doorbell.values import value


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Connected and subscribed. ``generation`` rises with every connection of this process; ``certificate``: the file
    of ours that the broker was shown, if any."""

    generation: int
    certificate: Path | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The connection ended or could not be made; the link goes on trying with a jittered back-off."""

    reason: str


@dataclass(frozen=True, slots=True)
class LinkDied:
    """The link's own thread ended by a bug of ours: fatal, the process must end and be started again."""

    reason: str


@value(frozen=True, slots=True)
class Delivery:
    """A message from the broker. With ``qos`` 1 it waits for ``Link.ack`` with this very delivery.

    A payload over the contract's limit may be cut to one byte more than the limit: it is refused as too large.
    """

    topic: str
    payload: bytes
    generation: int
    mid: int
    qos: int
    retained: bool = False
    arrived_s: float = field(default=0.0, compare=False)
    """When the link took it in, by the monotonic clock in seconds; 0 where the link does not tell."""


LinkEvent = LinkUp | LinkDown | LinkDied | Delivery


class Link(Protocol):
    """What a program may ask. Every call returns at once and may be made from the program's main thread only."""

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Hand a message to the connection; False if there is none (the caller sends again by its own rules)."""
        ...

    def ack(self, delivery: Delivery) -> None:
        """Tell the broker that a delivery is dealt with; ignored if its connection has ended since."""
        ...
