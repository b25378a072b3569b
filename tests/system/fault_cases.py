"""The cases of the fault table: what goes wrong, and when. ``tests/system/test_fault_table.py`` tells each of them.

A case is a word for its fault, a moment of the story, and how the fault is made in the scene that it is told in.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Generic, TypeVar

from tests.system.fault import Bound, Fault, Moment
from tests.system.fault_town import Broken, ClockSet, FaultTown, Forgetful, Full, Limited, Locked, Spoilt, Still
from tests.system.faults import Dead, Ended, Happens, Lying, Paused, Replayed, Severed, Slow
from tests.system.liar import Lie
from tests.system.quarter import OUT_S, DeviceEnds, Quarter, RelayEnds, ServerEnds, TableLocked
from tests.system.story import PROCESSES
from tests.system.town import PANEL, SECOND

S = TypeVar("S")
M = Moment
WHEN_OVER, FAILOVER = Bound.WHEN_OVER, Bound.FAILOVER
SHORT_S = 1.5
"""A relay that stands still so long keeps its lease."""


@dataclass(frozen=True, slots=True)
class Case(Generic[S]):
    """``scene``: where it is told, one of those below. ``daily``: also in the suite that every change must pass."""

    scene: str
    setup: str
    fault: str
    moment: Moment
    make: Callable[[S], Fault]
    daily: bool = False

    @property
    def name(self) -> str:
        """Unique; without spaces, for a command line."""
        words = f"{self.setup.split(' ', maxsplit=1)[0]} {self.fault} {self.moment.value}".lower()
        return re.sub(r"[^a-z0-9.]+", "-", words.replace("'s ", "s "))


@dataclass(frozen=True, slots=True)
class Kind(Generic[S]):
    """One fault at several moments, of which those in ``daily`` are told every time."""

    fault: str
    make: Callable[[S], Fault]
    moments: tuple[Moment, ...]
    daily: tuple[Moment, ...] = ()

    def cases(self, scene: str, setup: str) -> Iterator[Case[S]]:
        """One for each moment."""
        return (Case(scene, setup, self.fault, moment, self.make, moment in self.daily) for moment in self.moments)


ALL = tuple(Moment)
KEY = (M.BUTTON_DOWN, M.RECEIVED, M.BEFORE_DEADLINE, M.ANSWERED)
"""Where most hangs on what is on which disk."""
DISK = (M.IDLE, M.BUTTON_DOWN, M.RECEIVED, M.BEFORE_DEADLINE, M.ANSWERED, M.OK_PRESSED)
PATH = (M.IDLE, M.HEARD, M.SOUNDING, M.BEFORE_DEADLINE, M.ANSWERED)


def _paused(name: str) -> Callable[[FaultTown], Fault]:
    bound = WHEN_OVER if name == "relay" else Bound.AS_EVER
    return lambda town: Paused(getattr(town, name), bound=bound)


def _server_stopped(number: int) -> Callable[[Quarter], Fault]:
    return lambda quarter: Paused(quarter.city.cluster.nodes[number], bound=FAILOVER, lasts_s=4.0)


def _device_killed(name: str) -> Callable[[Quarter], Fault]:
    return lambda quarter: DeviceEnds(getattr(quarter, name))


def _device_stopped(name: str) -> Callable[[Quarter], Fault]:
    return lambda quarter: Paused(getattr(quarter, name))


def _processes() -> Iterator[Kind[FaultTown]]:
    for index, name in enumerate(PROCESSES):
        yield Kind(f"{name} killed", partial(Ended, name=name), ALL, (KEY[index % 4],))
        yield Kind(
            f"{name} asked to end",
            partial(Ended, name=name, how=signal.SIGTERM),
            KEY,
            (KEY[(index + 1) % 4],) if name in ("relay", "panel") else (),
        )
        yield Kind(
            f"{name} stopped for 2 s",
            _paused(name),
            KEY,
            (M.BEFORE_DEADLINE,) if name in ("relay", "broker") else (),
        )


_RESOURCES: tuple[Kind[FaultTown], ...] = (
    Kind("database locked for 3.5 s", Locked, DISK, (M.BUTTON_DOWN, M.BEFORE_DEADLINE)),
    Kind("disk full for 3.5 s", Full, DISK, (M.BUTTON_DOWN, M.BEFORE_DEADLINE)),
    Kind("files may not grow for 3.5 s", Limited, KEY, (M.ANSWERED,)),
    Kind("disk stands still for 2 s", Still, DISK, (M.BEFORE_DEADLINE,)),
    Kind("disk slow: 0.4 s for each 0.45 s", lambda town: Still(town, times=8, stands_s=0.4), KEY, (M.BUTTON_DOWN,)),
    Kind("disk fails read-only, replaced after 2 s", Broken, KEY, (M.RECEIVED,)),
    Kind("relay killed, the alarm's row spoilt", Spoilt, (M.SOUNDING, M.BEFORE_DEADLINE, M.COMING), (M.COMING,)),
    Kind("broker loses all it had on disk", Forgetful, PATH, (M.HEARD,)),
    Kind("relay's line dead for 2.5 s", lambda town: Dead([town.lines["relay"]], lasts_s=2.5), PATH, (M.HEARD,)),
    Kind(
        "panel's line dead for 2.5 s",
        lambda town: Dead([town.lines[PANEL]], lasts_s=2.5),
        (M.IDLE, M.HEARD, M.OK_PRESSED),
    ),
    Kind(
        "a bell's line dead for 2.5 s",
        lambda town: Dead([town.lines[SECOND]], lasts_s=2.5),
        (M.SECOND_STEP, M.ANSWERED, M.ARRIVED),
    ),
    Kind("every connection to the broker cut", lambda town: Severed([*town.lines.values()]), PATH, (M.SOUNDING,)),
    Kind("broker slow by 0.3 s", lambda town: Slow([*town.lines.values()], 0.3), PATH, (M.IDLE,)),
    Kind("broker says everything twice", lambda town: Lying([*town.lines.values()], Lie.TWICE), PATH, (M.IDLE,)),
    Kind("broker changes the order", lambda town: Lying([*town.lines.values()], Lie.SWAPPED), PATH, (M.IDLE,)),
    Kind(
        "all that was ever said is said again",
        lambda town: Replayed(town.broker.port, [town.lines["relay"]], retain=False),
        PATH,
        (M.SOUNDING,),
    ),
    Kind(
        "and is kept by the broker",
        lambda town: Replayed(town.broker.port, [town.lines["relay"]], retain=True),
        (M.IDLE, M.SOUNDING, M.COMING),
    ),
)


def _clocks() -> Iterator[Kind[FaultTown]]:
    hour, day = timedelta(hours=1), timedelta(days=1)
    for whose, name, moments in (
        ("relay's", "relay", (M.IDLE, M.RECEIVED, M.SOUNDING, M.BEFORE_DEADLINE, M.COMING)),
        ("panel's", PANEL, (M.IDLE, M.HEARD, M.COMING)),
        ("second bell's", SECOND, (M.IDLE, M.SECOND_STEP)),
    ):
        for word, by in (("an hour ahead", hour), ("an hour back", -hour)):
            yield Kind(
                f"{whose} clock set {word}",
                partial(ClockSet, name=name, by=by),
                moments,
                (moments[1],) if name == "relay" else (),
            )
    yield Kind(
        "relay's clock set a year ahead",
        lambda town: ClockSet(town, "relay", 365 * day),
        (M.SOUNDING, M.BEFORE_DEADLINE),
    )


_CITY_KEY = (M.BUTTON_DOWN, M.RECEIVED, M.SOUNDING, M.BEFORE_DEADLINE, M.ANSWERED)
_LESS = (M.IDLE, M.SOUNDING, M.ANSWERED)


def _city_processes() -> Iterator[Kind[Quarter]]:
    yield Kind(
        "holder killed",
        lambda q: RelayEnds(q.holder(), bound=FAILOVER),
        (M.IDLE, *_CITY_KEY, M.COMING, M.OK_PRESSED),
        (M.BUTTON_DOWN, M.BEFORE_DEADLINE),
    )
    yield Kind(
        "holder asked to end",
        lambda q: RelayEnds(q.holder(), signal.SIGTERM, FAILOVER),
        _CITY_KEY,
        (M.BEFORE_DEADLINE,),
    )
    yield Kind(
        "holder stopped for 8 s",
        lambda q: Paused(q.holder(), bound=FAILOVER, lasts_s=OUT_S),
        (M.IDLE, *_CITY_KEY),
        (M.SOUNDING,),
    )
    yield Kind(
        "holder stopped for 1.5 s",
        lambda q: Paused(q.holder(), bound=WHEN_OVER, lasts_s=SHORT_S),
        _LESS,
    )
    yield Kind("other relay killed", lambda q: RelayEnds(q.other()), _LESS, (M.SOUNDING,))
    yield Kind("other relay stopped for 8 s", lambda q: Paused(q.other(), lasts_s=OUT_S), _LESS)
    for number, letter in enumerate("abc"):
        yield Kind(
            f"broker's server {letter} killed",
            partial(ServerEnds, node=number),
            (M.IDLE, M.HEARD, M.SOUNDING, M.ANSWERED),
            (M.SOUNDING,) if letter == "b" else (),
        )
        yield Kind(
            f"broker's server {letter} stopped for 4 s",
            _server_stopped(number),
            (M.HEARD, M.SOUNDING),
        )
    for name in ("panel", "first", "second"):
        yield Kind(
            f"{name} killed",
            _device_killed(name),
            (M.BUTTON_DOWN, M.SOUNDING, M.BEFORE_DEADLINE, M.ANSWERED),
            (M.BUTTON_DOWN,) if name == "panel" else (),
        )
        yield Kind(f"{name} stopped for 2 s", _device_stopped(name), (M.HEARD, M.ANSWERED))


_CITY_RESOURCES: tuple[Kind[Quarter], ...] = (
    Kind(
        "every session at the database ended",
        lambda q: Happens(q.city.cut_database),
        (M.IDLE, *_CITY_KEY),
        (M.BEFORE_DEADLINE,),
    ),
    Kind("database locked for 2 s", TableLocked, _CITY_KEY, (M.BUTTON_DOWN,)),
    Kind(
        "database crashed and started again",
        lambda q: Happens(q.city.crash_database, WHEN_OVER),
        _CITY_KEY,
        (M.ANSWERED,),
    ),
    Kind(
        "holder's line to the database dead for 8 s",
        lambda q: Dead([q.holder().to_database], bound=FAILOVER, lasts_s=OUT_S),
        _CITY_KEY,
        (M.RECEIVED,),
    ),
    Kind("holder's line to the database cut", lambda q: Severed([q.holder().to_database]), _LESS),
    Kind("holder's line to the database slow by 0.01 s", lambda q: Slow([q.holder().to_database], 0.01), _LESS),
    Kind(
        "holder's lines to the broker dead for 8 s",
        lambda q: Dead(q.broker_lines(), bound=FAILOVER, lasts_s=OUT_S),
        _CITY_KEY,
        (M.SOUNDING,),
    ),
    Kind("holder's lines to the broker cut", lambda q: Severed(q.broker_lines()), _LESS),
    Kind("broker slow by 0.3 s for the holder", lambda q: Slow(q.broker_lines(), 0.3), _LESS),
    Kind("broker says everything twice to the holder", lambda q: Lying(q.broker_lines(), Lie.TWICE), _LESS),
    Kind("broker changes the order for the holder", lambda q: Lying(q.broker_lines(), Lie.SWAPPED), _LESS),
    Kind(
        "all that was ever said is said again",
        lambda q: Replayed(q.city.cluster.nodes[0].port, q.heard_by_all(), retain=False),
        _LESS,
        (M.SOUNDING,),
    ),
)

PROCESSES_TOWN, RESOURCES_TOWN, CLOCKS_TOWN = "processes", "resources", "clocks"
PROCESSES_CITY, RESOURCES_CITY = "city-processes", "city-resources"
SQLITE = "SQLite + mosquitto"
POSTGRESQL = "PostgreSQL + NATS cluster"
TOWN_CASES: list[Case[FaultTown]] = [
    case
    for scene, kinds in (
        (PROCESSES_TOWN, _processes()),
        (RESOURCES_TOWN, _RESOURCES),
        (CLOCKS_TOWN, _clocks()),
    )
    for kind in kinds
    for case in kind.cases(scene, SQLITE)
]
CITY_CASES: list[Case[Quarter]] = [
    case
    for scene, kinds in ((PROCESSES_CITY, _city_processes()), (RESOURCES_CITY, _CITY_RESOURCES))
    for kind in kinds
    for case in kind.cases(scene, POSTGRESQL)
]
