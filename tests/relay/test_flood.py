"""A device that says more than it may holds up nobody, and what it says again is taken then."""

from __future__ import annotations

from typing import Any

import structlog

from doorbell.link import Delivery
from relay.flood import BURST, PER_S, Flood, FloodGate
from relay.inbox import Inbox
from tests.relay.doubles import PANEL, PENG, WANG, House, uid


def test_a_bucket_is_emptied_at_once_and_filled_in_time() -> None:
    gate = FloodGate(burst=3, per_s=2.0)
    assert [gate.lets_in("a", 10.0) for _ in range(4)] == [True] * 3 + [False]
    assert gate.lets_in("b", 10.0), "another device has one of its own"
    assert [gate.lets_in("a", at_s) for at_s in (10.4, 10.5, 10.9, 11.0)] == [False, True, False, True]
    assert [gate.lets_in("a", 100.0) for _ in range(4)] == [True] * 3 + [False], "no more than the burst is saved up"
    assert not gate.lets_in("a", 50.0), "a clock that goes back fills nothing"


def test_a_flood_is_logged_once_until_it_is_over() -> None:
    gate = FloodGate(burst=2, per_s=1.0)
    with structlog.testing.capture_logs() as logs:
        for at_s in (0.0, 0.0, 0.0, 0.1, 1.5, 1.6):
            gate.lets_in("a", at_s)
        assert [line["event"] for line in logs] == ["device.floods"]
        for at_s in (60.0, 60.0, 60.0):
            gate.lets_in("a", at_s)
    assert [line["topic"] for line in logs] == ["a", "a"]


def test_a_million_devices_leave_no_million_buckets() -> None:
    gate = FloodGate()
    for number in range(20_000):
        gate.lets_in(f"device-{number}", number / 100)
    assert len(gate._buckets) < 6_000


def test_a_burst_of_a_city_is_not_looked_through_for_each_press() -> None:
    """Used to be: from the 4,097th device within 16 s on, each press looked at all before it: 0.2 ms with 10,000."""
    gate, looked = FloodGate(), 0
    gate.lets_in("another", 1_000.0)

    class Counting(dict[tuple[str, bool], Any]):
        def items(self) -> Any:
            nonlocal looked
            looked += len(self)
            return super().items()

    gate._buckets = Counting()
    for number in range(20_000):
        assert gate.lets_in(f"device-{number}", 1_000.0 + number / 6_000, press=True)
    assert looked == 0
    assert gate.lets_in("one more", 1_017.0)
    assert looked == 20_000, "and once when it is worth it"


def inbox_at(times: list[float]) -> Inbox:
    return Inbox(monotonic=lambda: times[0])


def test_what_is_over_the_limit_is_acknowledged_and_not_receipted_and_taken_when_it_comes_again() -> None:
    house, times = House(), [0.0]
    inbox = inbox_at(times)
    flood = [house.event(PENG, "test", number) for number in range(1_000, 1_000 + BURST + 40)]
    press = house.event(PANEL, "help", 1)
    for delivery in (*flood, press):
        inbox.put(delivery)
    while taken := inbox.take(0):
        house.hear(*taken)
    acked = {entry[1] for entry in house.trace if entry[0] == "ack"}
    assert house.panel() is not None, "the press behind the flood raised its alarm"
    assert {one.mid for one in (*flood, press)} <= acked, "the broker keeps nothing of it"
    assert sum(row.device == PENG for row in house.store.events.values()) == BURST
    assert house.relay.counts["event.over_limit"] == 40
    last = flood[-1]
    assert house.shown(PENG).stored[-1] == uid(1_000 + BURST - 1), "what was not taken has no receipt"
    times[0] = 2 / PER_S
    inbox.put(Delivery(last.topic, last.payload, 1, 9_999, 1))
    house.hear(*inbox.take(0))
    assert house.shown(PENG).stored[-1] == uid(1_000 + BURST + 39)


def test_nothing_else_that_is_said_in_a_panels_name_holds_up_its_press() -> None:
    house, times = House(), [0.0]
    inbox = inbox_at(times)
    rubbish = [house.delivery("event", {"type": "noise", "n": n}, device=PANEL) for n in range(BURST + 40)]
    press = house.event(PANEL, "help", 1)
    for delivery in (*rubbish, press):
        inbox.put(delivery)
    while taken := inbox.take(0):
        house.hear(*taken)
    assert house.panel() is not None
    helps = [house.event(PANEL, "help", number) for number in range(1_000, 1_000 + BURST + 40)]
    for delivery in helps:
        inbox.put(delivery)
    refused: list[Flood] = []
    while taken := inbox.take(0):
        refused += [one for one in taken if isinstance(one, Flood)]
    assert sum(len(one.deliveries) for one in refused) == 41, "presses have a limit too"


def test_a_flood_is_no_backlog_and_wakes_the_loop() -> None:
    """A device that floods must not keep the relay from noticing that another is silent."""
    house, times = House(), [0.0]
    inbox = Inbox(gate=FloodGate(burst=0, per_s=0.001), monotonic=lambda: times[0])
    said = house.event(PENG, "test", 1)
    inbox.put(said)
    assert inbox.take(5.0) == [Flood((said,))]


def test_of_births_and_wills_without_end_the_newest_counts_a_little_later() -> None:
    """Each was a line of the journal: one device out of its mind filled the disk within a night."""
    now_s = 100.0
    inbox = Inbox(gate=FloodGate(burst=2, per_s=1.0), monotonic=lambda: now_s)
    house = House()
    said = [house.online(PENG, word) for word in ("online", "offline") * 3]
    another = house.online(WANG)
    for delivery in (*said, another):
        inbox.put(delivery)
    first = inbox.take(0)
    assert [item for item in first if isinstance(item, Delivery)] == [*said[:2], another]
    assert [item.deliveries for item in first if isinstance(item, Flood)] == [tuple(said[2:5])]
    assert inbox.take(0) == []
    now_s += 1.0
    assert inbox.take(0) == [said[5]], "and what it says in the end is what is believed"
    retained = [house.online(PENG, "online", retained=True) for _ in range(3)]
    for delivery in retained:
        inbox.put(delivery)
    assert inbox.take(0) == retained, "what the broker has kept comes once, however many devices there are"
