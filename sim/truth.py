"""What really happened in the village, written down by the checks: neither program can read or change it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from device.core.effects import OutboxRow

Shown = tuple[str, str, str | None] | None
"""What a panel may show: alarm, stage, who."""


@dataclass(slots=True)
class Truth:
    """The book that the checks of devices and relay share. Times are village ms."""

    born: dict[str, tuple[str, OutboxRow]] = field(default_factory=dict)
    """Every event that a device has committed to its outbox, with the device."""
    born_ms: dict[str, int] = field(default_factory=dict)
    unsaved: dict[str, str] = field(default_factory=dict)
    """Events that went out from memory while a disk failed, with the device."""
    refused: dict[str, tuple[str, OutboxRow]] = field(default_factory=dict)
    """Events that a failing disk did not take, with the device: real all the same."""
    shown: dict[tuple[str, int], Shown] = field(default_factory=dict)
    """What the relay has committed for each rev of each device."""
    told: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Alarms that a panel was told of by the relay."""
    closed_ms: dict[str, int] = field(default_factory=dict)
    """When an alarm was closed."""
    healed_ms: int | None = None
    """Since when nothing goes wrong any more."""

    def happened(self, event: str) -> tuple[str, OutboxRow] | None:
        """An event that really happened, with its device, whether its disk took it or not."""
        return self.born.get(event) or self.refused.get(event)

    def maker_of(self, event: str) -> str | None:
        """The device at which an event happened."""
        return self.born[event][0] if event in self.born else self.unsaved.get(event)
