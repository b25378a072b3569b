"""The ``doorbell.link.Link`` of one simulated process, from its start to its death."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from doorbell.link import Delivery, LinkDown, LinkEvent, LinkUp
from sim.network import Connection, SimBroker
from sim.schedule import Fuse

MAX_BACKOFF_MS = 30_000
STOPPED_MS = 500
"""How soon a process that goes on after a stop tries to connect again."""


class SimLink:
    """The link of one process, from its start to its death."""

    def __init__(
        self,
        broker: SimBroker,
        client: str,
        *,
        sink: Callable[[LinkEvent], None],
        fuse: Fuse,
        presence_topic: str | None,
        on_publish: Callable[[str, bytes], None],
    ) -> None:
        self.client = client
        self.presence_topic = presence_topic
        self.up_at_ms = 0
        self.unacked: set[int] = set()
        """Message ids handed over on this connection and not acknowledged yet."""
        self._broker = broker
        self._sink = sink
        self._fuse = fuse
        self._on_publish = on_publish
        self._connection: Connection | None = None
        self._newest: Connection | None = None
        self._generation = 0
        self._failures = 0
        self._dead = False
        self.stopped: Callable[[], bool] = lambda: False
        """Whether the process is stopped (SIGSTOP): it connects no more until it goes on."""

    def start(self) -> None:
        """Begin to connect."""
        self._broker.schedule.after(self._broker.chance.randint(1, 50), self._try)

    def die(self, broker_notices_ms: int) -> None:
        """The process is gone; nothing of it is heard any more."""
        self._dead = True
        if self._newest is not None:
            self._broker.client_gone(self._newest, broker_notices_ms)
        self._connection = None

    def new_connection(self) -> Connection:
        """The next connection, which is up once its ``LinkUp`` arrives."""
        self._generation += 1
        self._newest = Connection(self, self._generation)
        return self._newest

    @property
    def connected(self) -> bool:
        """Whether this side holds a connection open."""
        return self._connection is not None and self._connection.client_open

    # --- doorbell.link.Link -----------------------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:  # noqa: ARG002 - what is sent is sent
        """Hand a message to the connection."""
        self._fuse.burn()
        connection = self._connection
        if connection is None or not connection.client_open:
            return False
        self._on_publish(topic, payload)
        self._broker.send_up(connection, topic, payload, retain=retain)
        return True

    def ack(self, delivery: Delivery) -> None:
        """Tell the broker that a delivery is dealt with."""
        self._fuse.burn()
        connection = self._connection
        if connection is None or delivery.generation != connection.generation:
            return
        self.unacked.discard(delivery.mid)
        if self._broker.keeps_session(self.client):
            self._broker.acknowledge(connection, delivery.mid)

    # --- what the broker calls --------------------------------------------------------------------------------------

    def arrived(self, connection: Connection, event: LinkEvent) -> None:
        """Something came on an open connection; nothing does before its ``LinkUp``."""
        if self._dead:
            return
        if isinstance(event, LinkUp):
            self._connection = connection
            self._failures = 0
            self.unacked.clear()
        if isinstance(event, Delivery):
            self.unacked.add(event.mid)
            event = replace(event, arrived_s=self._broker.schedule.now_ms / 1000)
        self._sink(event)

    def lost(self, connection: Connection, reason: str) -> None:
        """The connection has ended for this side."""
        if self._dead:
            return
        if self._connection is connection:
            self._connection = None
        self._sink(LinkDown(reason))
        self._retry()

    def _retry(self) -> None:
        self._failures += 1
        most_ms = min(MAX_BACKOFF_MS, 1_000 << min(self._failures, 6))
        self._broker.schedule.after(self._broker.chance.randint(500, most_ms), self._try)

    def _try(self) -> None:
        if self._dead:
            return
        if self.stopped():
            self._broker.schedule.after(STOPPED_MS, self._try)
        elif self._broker.reachable(self.client):
            self._broker.accept(self)
        else:
            if self._failures == 0:
                self._sink(LinkDown("refused"))
            self._retry()
