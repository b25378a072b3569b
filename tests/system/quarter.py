"""One neighbourhood of a city as the scene of a story, with the faults of its database, brokers and relays."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from typing import Any

import psycopg

from relay.adapters.store_rows import JournalLine
from tests.postgres import PostgresServer
from tests.system.city import WEST, City, Relay
from tests.system.cluster import ClusterNode
from tests.system.fault import Bound, Fault
from tests.system.faults import back_since
from tests.system.lines import Line
from tests.system.processes import Device, until

FIRST_WAIT_S = 6
"""The first step of an alarm here: longer than it takes to lose a lease, shorter than to wait for a failover twice."""
OUT_S = 8.0
"""Twice as long as a lease: whoever is away so long has lost it."""


class Quarter:
    """The western one. ``with Quarter(folder) as quarter:`` with its city, at rest."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.panel, self.first, self.second = city.panel(WEST), city.bell(WEST), city.bell(WEST, 2)
        self.devices: tuple[Device, ...] = (self.panel, self.first, self.second)
        self._journal: list[JournalLine] = []

    def journal(self) -> list[JournalLine]:
        after = self._journal[-1].seq if self._journal else 0
        self._journal.extend(self.city.store.journal(after_seq=after, community=WEST))
        return [*self._journal]

    def open_alarms(self) -> int:
        return len(self.city.store.alarms())

    def await_rest(self) -> None:
        self.city.await_rest(60.0)
        until(self.city.is_shared, "two relays share the city", 60.0)

    def holder(self) -> Relay:
        """The relay that serves it now."""
        held = self.city.holder(WEST)
        assert held is not None
        return held

    def other(self) -> Relay:
        """The one beside it."""
        return self.city.others(self.holder())[0]

    def broker_lines(self) -> list[Line]:
        """Those of its relay to the three servers."""
        return self.holder().to_brokers

    def heard_by_all(self) -> list[Line]:
        """The lines of every relay: whatever was said went over one of them."""
        return [line for relay in self.city.relays.values() for line in relay.to_brokers]

    def last_words(self) -> str:
        """For whoever reads a failure."""
        return self.city.last_words()


class LivingCity:
    """A city with a server of its own. ``with LivingCity(folder) as quarter:``"""

    def __init__(self, folder: Any) -> None:
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Quarter:
        with ExitStack() as stack:
            server = PostgresServer()
            stack.callback(server.remove)
            city = stack.enter_context(City(self._folder, server, first_wait_s=FIRST_WAIT_S))
            quarter = Quarter(city)
            quarter.await_rest()
            self._stack = stack.pop_all()
        return quarter

    def __exit__(self, *error: object) -> None:
        self._stack.close()


class RelayEnds(Fault):
    """A relay ends, by force or in good order, and comes back when the alarm is over."""

    lasts_s = None

    def __init__(self, relay: Relay, how: signal.Signals = signal.SIGKILL, bound: Bound = Bound.AS_EVER) -> None:
        self._relay, self._how, self.bound = relay, how, bound

    def strike(self) -> None:
        if self._how is signal.SIGKILL:
            self._relay.kill()
        else:
            assert self._relay.stop() == 0, "it ends in good order"

    def end(self) -> None:
        self._relay.start()


class DeviceEnds(Fault):
    """A device dies and is started again at once."""

    def __init__(self, device: Device) -> None:
        self.dies: Device = device

    def strike(self) -> None:
        self.dies.kill()
        self.dies.start()

    def ready_at(self) -> Any:
        return back_since(self.dies)


class ServerEnds(Fault):
    """One of the broker's three servers dies, and comes back when the alarm is over; then it catches up."""

    bound = Bound.FAILOVER
    lasts_s = None

    def __init__(self, quarter: Quarter, node: int) -> None:
        self._cluster = quarter.city.cluster
        self._node: ClusterNode = self._cluster.nodes[node]

    def strike(self) -> None:
        self._node.kill()

    def end(self) -> None:
        self._node.start()
        self._node.await_service()
        self._cluster.await_current()


class TableLocked(Fault):
    """Somebody at the database holds a lock that every commit of a relay waits for."""

    bound = Bound.WHEN_OVER
    lasts_s = 2.0

    def __init__(self, quarter: Quarter) -> None:
        self._city = quarter.city

    def strike(self) -> None:
        self._gate: psycopg.Connection[Any] = self._city.connect()
        self._gate.autocommit = False
        self._gate.execute("LOCK TABLE event, journal IN EXCLUSIVE MODE")

    def end(self) -> None:
        self._gate.rollback()
        self._gate.close()
