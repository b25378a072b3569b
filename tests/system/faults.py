"""Faults of processes and of the lines between them; see ``tests.system.story.Fault`` for what a fault is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from tests.system.fault import Bound, Fault
from tests.system.liar import Lie
from tests.system.lines import Line
from tests.system.processes import GONE, Device
from tests.system.stranger import Stranger
from tests.system.town import Town

PAUSE_S = 2.0


class Running(Protocol):
    """A process of ours: a program, a broker, a server."""

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""

    def start(self) -> None:
        """Start it on what it has on disk."""


class Ended(Fault):
    """A process of a town ends, killed or asked to, and is started again at once."""

    def __init__(self, town: Town, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        self._town, self._name, self._how = town, name, how
        process = getattr(town, name)
        self.dies = process if isinstance(process, Device) else None
        self.bound = Bound.WHEN_OVER if name == "relay" else Bound.AS_EVER

    def strike(self) -> None:
        process = getattr(self._town, self._name)
        if self._how is signal.SIGKILL:
            process.kill()
        else:
            process.stop()
        process.start()

    def ready_at(self) -> datetime | None:
        relay = self._town.relay
        if self._name == "relay":
            return _time(relay.logged("relay.started"))
        if self._name == "broker":
            return _time(next((line for line in reversed(relay.lines()) if line.get("event") == "link.up"), None))
        return back_since(self.dies) if self.dies is not None else None


class Paused(Fault):
    """A process stands still, and goes on as if nothing had happened."""

    def __init__(self, process: Running, *, bound: Bound = Bound.AS_EVER, lasts_s: float = PAUSE_S) -> None:
        self._process = process
        self.frozen = process if isinstance(process, Device) else None
        self.bound, self.lasts_s = bound, lasts_s

    def strike(self) -> None:
        pid = self._process.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)

    def end(self) -> None:
        if (pid := self._process.pid) is not None:
            os.kill(pid, signal.SIGCONT)


class Dead(Fault):
    """Lines carry nothing, and tell nobody so."""

    def __init__(self, lines: Sequence[Line], *, bound: Bound = Bound.AS_EVER, lasts_s: float = PAUSE_S) -> None:
        self._lines = lines
        self.bound, self.lasts_s = bound, lasts_s

    def strike(self) -> None:
        for line in self._lines:
            line.go_dead()

    def end(self) -> None:
        for line in self._lines:
            line.mend()


class Severed(Fault):
    """Every connection over these lines ends; a new one is possible at once."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines

    def strike(self) -> None:
        for line in self._lines:
            line.cut()


class Slow(Fault):
    """All that goes over these lines waits, until the alarm is closed."""

    lasts_s = None

    def __init__(self, lines: Sequence[Line], delay_s: float) -> None:
        self._lines, self._delay_s = lines, delay_s

    def strike(self) -> None:
        for line in self._lines:
            line.delay_s = self._delay_s

    def end(self) -> None:
        for line in self._lines:
            line.delay_s = 0.0


class Lying(Fault):
    """The broker tells everything twice, or in another order, until the alarm is closed."""

    lasts_s = None

    def __init__(self, lines: Sequence[Line], lie: Lie) -> None:
        self._lies = [line.lies for line in lines if line.lies is not None]
        self._lie = lie

    def strike(self) -> None:
        self._before = self._told()
        for lies in self._lies:
            lies.lie = self._lie

    def end(self) -> None:
        for lies in self._lies:
            lies.lie = Lie.NONE
        assert self._told() > self._before, "no lie was told"

    def _told(self) -> int:
        return sum(lies.told for lies in self._lies)


class Replayed(Fault):
    """Everything that the relay has ever heard is said once more, in its order: events, reports, old orders."""

    def __init__(self, port: int, lines: Sequence[Line], *, retain: bool) -> None:
        self._port, self._retain = port, retain
        self._history = [said for line in lines if line.lies is not None for said in line.lies.history]

    def strike(self) -> None:
        assert self._history, "there is something to say again"
        with Stranger(self._port) as stranger:
            assert stranger.say_all(self._history, retain=self._retain) == len(self._history)


class Happens(Fault):
    """Something that is over as soon as it was done."""

    def __init__(self, act: Callable[[], object], bound: Bound = Bound.AS_EVER) -> None:
        self._act = act
        self.bound = bound

    def strike(self) -> None:
        self._act()


def back_since(device: Device) -> datetime:
    """When a device was connected again after its process ended."""
    back = max(number for number, one in enumerate(device.sightings) if one is GONE)
    at = next(one.at for one in device.sightings[back:] if one.link)
    assert at is not None
    return at


def _time(line: dict[str, object] | None) -> datetime | None:
    return datetime.fromisoformat(str(line["at"])) if line is not None else None
