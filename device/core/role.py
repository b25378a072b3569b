"""What panel and bell hear alike: the inputs and the effects of a role's core."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from device.core.effects import Ignored, Play, Tell
from device.core.outbox import Happened
from doorbell.wire import Desired, Event


class Role(StrEnum):
    """What a device is."""

    PANEL = "panel"
    BELL = "bell"


class ButtonName(StrEnum):
    """The buttons: ``help`` and ``ok`` on a panel, ``answer`` and ``decline`` on a bell."""

    HELP = "help"
    OK = "ok"
    ANSWER = "answer"
    DECLINE = "decline"


BUTTONS_OF: dict[Role, tuple[ButtonName, ...]] = {
    Role.PANEL: (ButtonName.HELP, ButtonName.OK),
    Role.BELL: (ButtonName.ANSWER, ButtonName.DECLINE),
}


@dataclass(frozen=True, slots=True)
class ButtonDown:
    """A press, recognised at the way down. ``event_id``: the id of the event that it may become."""

    button: ButtonName
    at_ms: int
    event_id: str


@dataclass(frozen=True, slots=True)
class ButtonHeld:
    """The same press has lasted for ``hold_ms`` now."""

    button: ButtonName
    at_ms: int
    event_id: str


@dataclass(frozen=True, slots=True)
class DesiredApplied:
    """A desired state that is not older than the last one."""

    desired: Desired


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The link came up or went down."""

    up: bool


@dataclass(frozen=True, slots=True)
class ChimeStarted:
    """The chime really sounds for this alarm now: the player runs, or the buzzer's line toggles."""

    alarm: str


@dataclass(frozen=True, slots=True)
class ChimeStopped:
    """The chime does not sound for this alarm any more."""

    alarm: str


@dataclass(frozen=True, slots=True)
class PeerSaid:
    """A paired device said this on the direct way: it happened there, whether or not a relay knows.

    ``under_way_ms``: how long it has been on its way (a broker keeps it for who is away), by two wall clocks; None
    where they cannot tell.
    """

    other: str
    event: Event
    under_way_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Look at the deadlines."""


RoleInput = ButtonDown | ButtonHeld | DesiredApplied | LinkChanged | ChimeStarted | ChimeStopped | PeerSaid | TimePassed
RoleEffect = Happened | Play | Tell | Ignored
