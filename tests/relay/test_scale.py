"""A press costs the same however much is registered, open and remembered: counted, not timed.

What is counted: lines of Python that run (a walk through all alarms would show in every one of them), instructions of
SQLite's machine (a scan would), and statements. Logarithms do not show at these sizes, walks do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from doorbell.link import Delivery, LinkUp
from doorbell.wire import AlarmKind, Topics
from relay.adapters.store import SqlStore
from relay.core.policy import Policy
from relay.core.register import Community, Device, DeviceRole, Household, Person, Register
from relay.runtime import RelayInput, RelayRuntime
from tests.relay.doubles import HELP_STEPS, C, FakeClock, FakeLink, FakeNotifier, House, uid

FEW, MANY = 60, 1_500
SPARE = 20
"""Households in which nobody has pressed yet."""
OURS = (f"{Path(__file__).parents[2] / 'relay'}", f"{Path(__file__).parents[2] / 'doorbell'}")


def a_city(homes: int) -> Register:
    """So many homes, each with a panel, two volunteers and their bells."""
    numbers = range(homes)
    people = [Person(f"{who}-{n}", C, f"志愿者{n}") for n in numbers for who in ("peng", "wang")]
    return Register(
        communities={C: Community(C, "西湖社区")},
        households={
            f"home-{n}": Household(
                f"home-{n}", C, "柳奶奶", "3栋502", (f"peng-{n}", f"wang-{n}"), ((AlarmKind.HELP, "help"),)
            )
            for n in numbers
        },
        people={person.id: person for person in people},
        devices={
            device.id: device
            for n in numbers
            for device in (
                Device(f"panel-{n}", C, DeviceRole.PANEL, household=f"home-{n}"),
                Device(f"bell-{n}", C, DeviceRole.BELL, person=f"peng-{n}"),
                Device(f"bell2-{n}", C, DeviceRole.BELL, person=f"wang-{n}"),
            )
        },
        policies={"help": Policy("help", HELP_STEPS)},
    )


@dataclass
class Cost:
    """What a turn took."""

    lines: int = 0
    sql_steps: int = 0
    statements: int = 0
    rows: int = 0


class City:
    """A relay on a real database with an alarm open in every home but ``SPARE``."""

    def __init__(self, path: Path, homes: int) -> None:
        self.store = SqlStore.open(path, exclusive=True)
        self.store.replace_register(a_city(homes))
        self.homes = homes
        self.clock = FakeClock()
        self.words = House(Register())
        self.words.clock = self.clock
        self.relay = RelayRuntime(self.store, FakeLink([]), FakeNotifier([]), self.clock, Topics())
        self.relay.start()
        self.turn(LinkUp(1))
        bells = [f"{bell}-{n}" for n in range(homes) for bell in ("bell", "bell2")]
        for first in range(0, len(bells), 250):
            self.turn(*(self.words.report(bell, rev=1) for bell in bells[first : first + 250]))
        self.sleep(4_000)
        for first in range(SPARE, homes, 250):
            self.turn(*(self.press(n) for n in range(first, min(first + 250, homes))))
        self.sleep(5_200)  # every bell is silent: the deadlines of the first step have passed, those of the next come

    def press(self, home: int) -> Delivery:
        """The help button of a home."""
        return self.words.event(f"panel-{home}", "help", home)

    def turn(self, *inputs: RelayInput) -> None:
        """One turn."""
        self.relay.turn(inputs)

    def sleep(self, ms: int) -> None:
        """Let time pass, with the turns that are wanted."""
        end = self.clock.mono_ms + ms
        while (wake := self.relay.next_wake_ms()) <= end:
            self.clock.advance(max(wake - self.clock.mono_ms, 0))
            self.turn()
        self.clock.advance(end - self.clock.mono_ms)

    def cost_of(self, act: Callable[[], None]) -> Cost:
        """Do it, and count."""
        cost = Cost()
        drivers = self._drivers()

        def line(frame: FrameType, event: str, _argument: Any) -> Any:
            if not frame.f_code.co_filename.startswith(OURS):
                return None
            cost.lines += event == "line"
            return line

        def step() -> None:
            cost.sql_steps += 1

        def statement(sql: str) -> None:
            cost.statements += not sql.startswith("--")

        before = sum(driver.total_changes for driver in drivers)
        for driver in drivers:
            driver.set_progress_handler(step, 1)
            driver.set_trace_callback(statement)
        sys.settrace(line)
        try:
            act()
        finally:
            sys.settrace(None)
            for driver in drivers:
                driver.set_progress_handler(None, 0)
                driver.set_trace_callback(None)
        cost.rows = sum(driver.total_changes for driver in drivers) - before
        return cost

    def _drivers(self) -> list[Any]:
        self.store.known_events([uid(0)])
        with self.store._engine.connect() as connection:
            return [connection.connection.driver_connection, self.store._database._driver]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def cities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[City, City]]:
    folder = tmp_path_factory.mktemp("cities")
    small, large = (City(folder / f"{homes}.sqlite3", homes) for homes in (FEW, MANY))
    with closing(small.store), closing(large.store):
        yield small, large


ACTS: dict[str, Callable[[City], object]] = {
    "a press": lambda city: city.turn(city.press(3)),
    "the same press again": lambda city: city.turn(city.press(3)),
    "a second press": lambda city: city.turn(city.words.event("panel-30", "help", 900_001)),
    "an acceptance": lambda city: city.turn(city.words.event("bell-40", "accept", 900_002, alarm=40)),
    "a heartbeat": lambda city: city.turn(city.words.report("bell-41", rev=2)),
    "a bell that sounds": lambda city: city.turn(city.words.report("bell-42", 42, rev=2)),
    "a bell that goes": lambda city: city.turn(city.words.online("bell-43", "offline")),
    "how long to sleep": lambda city: city.relay.next_wake_ms(),
    "nothing": lambda city: city.turn(),
}


def test_what_happens_costs_as_much_in_a_large_city_as_in_a_small_one(cities: tuple[City, City]) -> None:
    """In one go, and in one order: each act finds both cities in the same state."""
    small, large = cities
    assert len(large.relay.book.by_id) - len(small.relay.book.by_id) == MANY - FEW
    for name, act in ACTS.items():
        costs = []
        for city in cities:
            city.sleep(20)  # what the act before has left to do is done
            costs.append(city.cost_of(lambda city=city, act=act: act(city)))  # type: ignore[misc]
        few, many = costs
        assert (many.statements, many.rows) == (few.statements, few.rows), name
        assert many.lines <= few.lines * 1.1 + 20, name
        assert many.sql_steps <= few.sql_steps * 1.1 + 20, name
        if name == "a press":
            assert few.lines > 300, "the counter counts"
            assert 5 <= few.statements <= 12
            assert 0 < few.rows <= 8


def test_after_a_start_alarms_are_looked_at_a_part_in_each_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All 100,000 in the turn in which silence becomes absence held up every press for seconds."""
    monkeypatch.setattr("relay.engine.LOOK_SIZE", 10)
    city = City(tmp_path / "relay.sqlite3", FEW)
    open_ = len(city.relay.book.by_id)
    city.turn(*(city.words.report(f"bell-{n}", n, rev=2) for n in range(SPARE, FEW)))
    city.sleep(100)
    assert sum(bool(alarm.sounding) for alarm in city.relay.book.by_id.values()) == open_ == FEW - SPARE
    city.relay = RelayRuntime(city.store, FakeLink([]), FakeNotifier([]), city.clock, Topics())
    city.relay.start()
    city.turn(LinkUp(1))
    city.clock.advance(3_000)
    turns = 0
    while any(alarm.sounding for alarm in city.relay.book.by_id.values()):
        assert city.relay.next_wake_ms() <= city.clock.mono_ms, "no sleep before all are looked at"
        before = sum(bool(alarm.sounding) for alarm in city.relay.book.by_id.values())
        city.turn()
        assert before - sum(bool(alarm.sounding) for alarm in city.relay.book.by_id.values()) <= 10
        turns += 1
    assert turns >= open_ // 10
    city.store.close()
