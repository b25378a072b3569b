"""One turn of the relay: what came in, what was decided, and what is to be done about it, in this order:
commit, acknowledge, publish, tell hooks, log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from doorbell.link import Delivery
from relay.core.register import Device, DeviceRole, Hook
from relay.core.timing import QUEUED
from relay.ports import Batch, NoticeRow


@dataclass(slots=True)
class Turn:
    """The decisions of one turn. ``now`` is aware UTC, ``mono_ms`` the monotonic clock: each read once."""

    now: datetime
    mono_ms: int
    waited: timedelta = QUEUED
    """How long a message of this turn may have been on its way."""
    batch: Batch = field(default_factory=Batch)
    acks: list[Delivery] = field(default_factory=list)
    receipts: dict[str, list[str]] = field(default_factory=dict)
    """Event ids to acknowledge end to end, by device."""
    bells: dict[str, None] = field(default_factory=dict)
    """Bells whose desired state may have changed; told before the panels, because a ring is what cannot wait."""
    panels: dict[str, None] = field(default_factory=dict)
    publish: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Desired payloads with their topics, by device."""
    tell: list[tuple[NoticeRow, Hook]] = field(default_factory=list)
    wake: set[str] = field(default_factory=set)
    """Alarms to look at again in this turn."""
    raised: dict[str, float] = field(default_factory=dict)
    """By the alarm, of each press that raised one in this turn: when the link took it in (``Delivery.arrived_s``)."""
    lags_s: list[float] = field(default_factory=list)
    """Of each deadline that this turn looked at: how many seconds late."""
    begun_s: float = 0.0
    committed_s: float | None = None
    published_s: float = 0.0
    """By the stopwatch, where there is one: when the commit began and ended (None: nothing to commit) and when
    everything was published."""
    touched: set[str] = field(default_factory=set)
    """Communities about which something is written whose row does not name them."""

    def touch(self, device: Device) -> None:
        """The device's desired state may have changed."""
        (self.panels if device.role is DeviceRole.PANEL else self.bells)[device.id] = None
