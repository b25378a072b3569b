"""Where a story is told, its moments, and what a fault is: something that goes wrong once while it is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Protocol

from relay.adapters.store_rows import JournalLine
from tests.system.processes import Device


class Moment(Enum):
    """The moments at which something dies, in the order of the story."""

    IDLE = "idle"
    BUTTON_DOWN = "button down"
    HEARD = "panel heard"
    RECEIVED = "panel received"
    SOUNDING = "first bell sounds"
    RINGING = "panel ringing"
    BEFORE_DEADLINE = "before the deadline"
    SECOND_STEP = "second step started"
    ANSWERED = "second bell answered"
    COMING = "panel coming"
    OK_PRESSED = "OK pressed"
    ARRIVED = "panel arrived"


class Scene(Protocol):
    """Where a story is told: somebody's panel and two neighbours' bells, with all that stands behind them."""

    @property
    def panel(self) -> Device: ...

    @property
    def first(self) -> Device: ...

    @property
    def second(self) -> Device: ...

    @property
    def devices(self) -> Sequence[Device]: ...

    def journal(self) -> list[JournalLine]:
        """All lines of this household's community, oldest first."""

    def open_alarms(self) -> int:
        """How many alarms are open."""

    def await_rest(self) -> None:
        """Wait until everything is as it is when nothing happens."""


class Bound(Enum):
    """By how much a deadline may move that comes while the fault lasts; any other may by ``TOLERANCE_S``."""

    AS_EVER = "as ever"
    WHEN_OVER = "after the fault"
    """What keeps the time cannot work until then."""
    FAILOVER = "failover"
    """Until another has taken over."""


class Fault:
    """Something that goes wrong once. Each kind is a class of its own, bound to the place where it happens."""

    bound = Bound.AS_EVER
    lasts_s: float | None = 0.0
    """After so long it is over; None: it lasts until the alarm is closed."""
    dies: Device | None = None
    """The device whose process ends, and forgets the finger on its button."""
    frozen: Device | None = None
    """The device that nobody can touch while it lasts."""
    moves_clocks = False
    """The programs' own times cannot be compared: what an observer saw is."""

    def strike(self) -> None:
        """It begins."""
        raise NotImplementedError

    def end(self) -> None:
        """It ends."""

    def ready_at(self) -> datetime | None:
        """When what it hit was of use again, if that is later than its end."""
        return None
