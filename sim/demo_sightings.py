"""What was seen in the demo's neighbourhood, in order, with times: at the devices, in the journal, at the office.

Several threads add; the story and the screen read. Times are this machine's monotonic seconds at the moment of seeing.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from relay.texts import Text

T = TypeVar("T")

MAX_SIGHTINGS = 5_000
"""An evening of playing; the story needs a hundred. The oldest go first."""


@dataclass(frozen=True, slots=True)
class DeviceView:
    """What a device's control line says that it shows. ``lit``: whether the lamp's pin is high at this moment."""

    device: str
    stage: str = ""
    light: str = ""
    lit: bool = False
    sounding: tuple[str, ...] = ()
    rev: int = 0
    outbox: int = 0
    link: bool = False


@dataclass(frozen=True, slots=True)
class JournalLine:
    """A line of the relay's journal. ``at``: the relay's wall clock, aware UTC."""

    at: datetime
    type: str
    alarm: str | None = None
    household: str | None = None
    device: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OfficeMessage:
    """What the office's webhook was told."""

    occasion: str
    alarm: str
    text: str


@dataclass(frozen=True, slots=True)
class DesiredView:
    """What the relay wants a panel to show, as it went over the wire: the elder's voice will say this name."""

    device: str
    rev: int
    who: str | None


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that the demo itself did or met: a relay killed, a device that cannot be reached."""

    text: Text


Seen = DeviceView | JournalLine | OfficeMessage | DesiredView | Remark


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something seen, and when (for a device: by its own clock, which is this machine's)."""

    at_s: float
    what: Seen


class Chronicle:
    """The sightings so far, and the newest view of every device."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._news = threading.Condition()
        self._sightings: list[Sighting] = []
        self._forgotten = 0
        self._devices: dict[str, tuple[float, DeviceView]] = {}

    def add(self, what: Seen, at_s: float | None = None) -> None:
        """Take a sighting, of now or of ``at_s``. Of a device only what differs from before and is not older is one;
        a blinking lamp alone is not."""
        with self._news:
            seen_s = self._clock() if at_s is None else at_s
            if isinstance(what, DeviceView):
                before_s, before = self._devices.get(what.device, (seen_s, None))
                if seen_s < before_s:
                    return
                self._devices[what.device] = (seen_s, what)
                if before is not None and replace(before, lit=what.lit) == what:
                    return
            self._sightings.append(Sighting(seen_s, what))
            if len(self._sightings) > MAX_SIGHTINGS:
                del self._sightings[0]
                self._forgotten += 1
            self._news.notify_all()

    def devices(self) -> dict[str, DeviceView]:
        """The newest view of each device that was ever seen."""
        with self._news:
            return {device: view for device, (_, view) in self._devices.items()}

    def mark(self) -> int:
        """A place in the chronicle: ``since`` it gives what came after."""
        with self._news:
            return self._forgotten + len(self._sightings)

    def since(self, mark: int = 0) -> tuple[Sighting, ...]:
        """What was seen after ``mark``, oldest first."""
        with self._news:
            return tuple(self._sightings[max(0, mark - self._forgotten) :])

    def wait_for(self, find: Callable[[], T | None], timeout_s: float, give_up: Callable[[], bool]) -> T | None:
        """Ask ``find`` after every news until it finds something; None after ``timeout_s``, or once ``give_up()``."""
        end_s = time.monotonic() + timeout_s
        with self._news:
            while True:
                found = find()
                left_s = end_s - time.monotonic()
                if found is not None or left_s <= 0 or give_up():
                    return found
                self._news.wait(min(left_s, 0.25))  # give_up may turn true without any news


def read_view(state: Mapping[str, Any]) -> DeviceView:
    """A device's state as its control line gives it. Raises ``KeyError`` if it does not say which device it is."""
    return DeviceView(
        device=str(state["device"]),
        stage=str(state.get("stage") or ""),
        light=str(state.get("light") or ""),
        lit=bool(state.get("light_lit")),
        sounding=tuple(state.get("sounding") or ()),
        rev=int(state.get("rev") or 0),
        outbox=int(state.get("outbox") or 0),
        link=bool(state.get("link")),
    )


def read_export(text: str) -> list[JournalLine]:
    """The lines of ``doorbell-relay journal --format jsonl``. Raises ``ValueError`` or ``KeyError`` otherwise."""
    entries = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [
        JournalLine(
            at=datetime.fromisoformat(entry["at"]),
            type=entry["type"],
            alarm=entry["alarm"],
            household=entry["household"],
            device=entry["device"],
            data=entry["data"],
        )
        for entry in entries
    ]
