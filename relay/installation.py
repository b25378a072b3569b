"""How far a new device has come: made, registered, tested, installed. Derived from the journal, and from nothing else.

* ``made``: there is a card for it.
* ``registered``: it has come in by its own certificate.
* ``tested``: its newest self-test found nothing that must be repaired, and the relay's receipt came back.
* ``installed``: of a panel, that a finger on its help button was heard by a real bell; of a bell, that it sounded
  for such a press. Heard means that the bell reported its chime running, not that it was asked for.

A device that was replaced begins anew: what its predecessor did counts no more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from relay.core.alarm import NoteType
from relay.core.journal import LineType
from relay.core.register import Device, DeviceRole, Register

PROVEN = "relay.receipted"
"""Of a self-test: the way to the relay and back."""
TOLERATED = frozenset(
    {"sound.no_player", "sound.overtaken", "clock.unsynced", "pair.unknown", "pair.none", "button.down"}
)
"""Findings of a self-test that a device may have while it is being installed: notes and warnings, no failure."""
PRESSES = (NoteType.RAISED.value, NoteType.PRESSED_AGAIN.value)
LINE_TYPES = (
    *(note.value for note in (NoteType.RAISED, NoteType.PRESSED_AGAIN, NoteType.SOUNDING, NoteType.CLOSED)),
    *(line.value for line in (LineType.DEVICE_ONLINE, LineType.TEST)),
)
"""The journal's lines that this needs; all others may be left out."""


class InstallStage(StrEnum):
    """How far it is."""

    MADE = "made"
    REGISTERED = "registered"
    TESTED = "tested"
    INSTALLED = "installed"


class Line(Protocol):
    """A line of the journal."""

    @property
    def at(self) -> datetime: ...
    @property
    def type(self) -> str: ...
    @property
    def alarm(self) -> str | None: ...
    @property
    def device(self) -> str | None: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


class NumberedLine(Line, Protocol):
    """The same with its number, which rises."""

    @property
    def seq(self) -> int: ...


class Journal(Protocol):
    """What keeps the lines."""

    def journal(self, *, after_seq: int = 0, types: Collection[str] = ()) -> Iterator[NumberedLine]:
        """Those after a number, of these types only, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Installation:
    """One device. Times are when the relay wrote it down; None: not yet."""

    device: str
    made_at: datetime | None = None
    registered_at: datetime | None = None
    tested_at: datetime | None = None
    """Of the newest self-test, if it passed."""
    not_proven: tuple[str, ...] = ()
    """What the newest self-test found that must be repaired."""
    heard_at: datetime | None = None
    """When a real press was heard by a real bell."""
    heard_with: str = ""
    """The device at the other end of that."""

    @property
    def stage(self) -> InstallStage:
        """The last step that is done, with all before it."""
        if self.registered_at is None:
            return InstallStage.MADE
        if self.tested_at is None:
            return InstallStage.REGISTERED
        return InstallStage.TESTED if self.heard_at is None else InstallStage.INSTALLED

    @property
    def steps(self) -> tuple[tuple[InstallStage, datetime | None], ...]:
        """Those that are done, and when each was."""
        times = (self.made_at, self.registered_at, self.tested_at, self.heard_at)
        stages = tuple(InstallStage)
        return tuple(zip(stages, times, strict=True))[: stages.index(self.stage) + 1]

    @property
    def since(self) -> datetime | None:
        """When the last step was done."""
        return self.steps[-1][1]


@dataclass
class Installations:
    """All devices of a register; ``take`` the journal's lines in their order, again and again.

    ``made_at``: since when each has its present identity; without it every line counts.
    """

    register: Register
    made_at: Mapping[str, datetime] = field(default_factory=dict)
    _known: dict[str, dict[str, Any]] = field(default_factory=dict)
    _panels: dict[str, dict[str, datetime]] = field(default_factory=dict)
    """By alarm: the panels on which it was pressed, and when."""
    _bells: dict[str, dict[str, datetime]] = field(default_factory=dict)
    """By alarm: the bells that sounded."""
    _seq: int = 0
    """Of the last line that was read."""

    def read(self, journal: Journal) -> None:
        """All that is new since the last time."""
        for line in journal.journal(after_seq=self._seq, types=LINE_TYPES):
            self.take([line])
            self._seq = line.seq

    def take(self, lines: Iterable[Line]) -> None:
        """More of the journal."""
        for line in lines:
            if line.device is not None and self._counts(line.device, line.at):
                self._note(line.device, "registered_at", line.at)
            if line.type == LineType.TEST.value and line.device is not None:
                self._take_test(line.device, line.at, line.data)
            elif line.type in PRESSES and line.device is not None and line.alarm is not None:
                if self._is(line.device, DeviceRole.PANEL):
                    self._panels.setdefault(line.alarm, {})[line.device] = line.at
                    self._meet(line.alarm, line.at)
            elif line.type == NoteType.SOUNDING.value and line.alarm is not None:
                bells = [bell for bell in line.data.get("bells", ()) if self._is(bell, DeviceRole.BELL)]
                self._bells.setdefault(line.alarm, {}).update(dict.fromkeys(bells, line.at))
                self._meet(line.alarm, line.at)
            elif line.type == NoteType.CLOSED.value and line.alarm is not None:
                # Nothing happens to it any more: whoever reads on for months need not remember it.
                self._panels.pop(line.alarm, None)
                self._bells.pop(line.alarm, None)

    def of(self, device: str) -> Installation:
        """How far this one is."""
        return Installation(device, made_at=self.made_at.get(device), **self._known.get(device, {}))

    def all(self) -> list[Installation]:
        """Every device of the register, by household, bells after panels."""
        return [self.of(device.id) for device in sorted(self.register.devices.values(), key=_place_of)]

    # -----------------------------------------------------------------------------------------------------------------

    def _take_test(self, device: str, at: datetime, data: Mapping[str, Any]) -> None:
        detail = data.get("detail")
        if not isinstance(detail, Mapping) or detail.get("of") != "selftest" or not self._counts(device, at):
            return
        failed = tuple(found for found in detail.get("not_proven", ()) if str(found).split(" ")[0] not in TOLERATED)
        passed = not failed and PROVEN in detail.get("proven", ())
        known = self._known.setdefault(device, {})
        known["tested_at"] = at if passed else None
        known["not_proven"] = failed

    def _meet(self, alarm: str, at: datetime) -> None:
        """A press and a bell that belong to one alarm."""
        panels, bells = self._panels.get(alarm, {}), self._bells.get(alarm, {})
        for panel in (one for one, pressed_at in panels.items() if self._counts(one, pressed_at)):
            home = self.register.devices[panel].household or ""
            own = set(self.register.volunteer_bells(home)) if home in self.register.households else set()
            # Its own pair, if it has one: that some other bell was called in the end proves no pair.
            for bell in sorted(own & bells.keys() if own else bells):
                self._heard(panel, at, bell)
        for bell in (one for one, sounded_at in bells.items() if self._counts(one, sounded_at)):
            for panel in sorted(panels):
                self._heard(bell, at, panel)

    def _heard(self, device: str, at: datetime, other: str) -> None:
        if "heard_at" not in self._known.setdefault(device, {}):
            self._known[device].update(heard_at=at, heard_with=other)

    def _note(self, device: str, key: str, at: datetime) -> None:
        self._known.setdefault(device, {}).setdefault(key, at)

    def _is(self, device: str, role: DeviceRole) -> bool:
        known = self.register.devices.get(device)
        return known is not None and known.role is role

    def _counts(self, device: str, at: datetime) -> bool:
        made = self.made_at.get(device)
        return device in self.register.devices and (made is None or at >= made)


def _place_of(device: Device) -> tuple[str, str, str, str]:
    return device.community, device.household or "\uffff", device.role.value, device.id


def installation_of(
    device: str, register: Register, lines: Iterable[Line], made_at: Mapping[str, datetime] | None = None
) -> Installation:
    """How far one device is, by the journal's lines (``LINE_TYPES`` are enough), oldest first."""
    found = Installations(register, made_at or {})
    found.take(lines)
    return found.of(device)
