"""A seeded network with a broker in it: the ``doorbell.link.Link`` of every device and of the relay.

The broker keeps retained messages, publishes last wills, and keeps one persistent session, the relay's, whose messages
come again until they are acknowledged. A connection that ends takes with it what was on its way. Half-open
connections, takeovers, losses, repeats and late messages are the ordinary case here: the contract trusts no pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from doorbell.link import Delivery, LinkDown, LinkEvent, LinkUp
from doorbell.wire import Presence
from sim.schedule import Fuse, Schedule, Trail

RELAY = "relay"
MAX_BACKOFF_MS = 30_000


@dataclass(frozen=True, slots=True)
class Weather:
    """How messages travel: probabilities for each message, and its delay in ms."""

    loss: float = 0.0
    """Lost silently, the connection living on: more than TCP would ever do, as the contract trusts nothing."""
    repeat: float = 0.0
    overtake: float = 0.0
    """May arrive before what was sent earlier on the same connection."""
    slow: float = 0.0
    slow_ms: int = 8_000
    min_ms: int = 2
    max_ms: int = 40


FAIR = Weather(min_ms=3, max_ms=3)


@dataclass(slots=True, eq=False)
class Connection:
    """One connection as both ends see it; each may hold it open while the other has given it up."""

    link: SimLink
    generation: int
    client_open: bool = True
    broker_open: bool = True
    up_ms: int = 0
    """No message sent upwards in order arrives before this."""
    down_ms: int = 0
    held: list[tuple[Callable[..., None], tuple[object, ...]]] | None = None
    """What waits in the buffers of a cut line; None while the line is whole."""


class SimBroker:
    """The broker and all lines to it."""

    def __init__(self, schedule: Schedule, chance: Random, trail: Trail) -> None:
        self.schedule = schedule
        self.chance = chance
        self.weather = FAIR
        self.running = True
        self.retained: dict[str, bytes] = {}
        self._trail = trail
        self._saved: dict[str, bytes] = {}
        self._open: dict[str, Connection] = {}
        self._cuts: dict[str, int] = {}
        self._session: dict[int, tuple[str, bytes, bool]] = {}
        """The relay's persistent session: what it has not acknowledged, by message id."""
        self._mids = 0

    # --- faults -----------------------------------------------------------------------------------------------------

    def autosave(self) -> None:
        """Write the retained messages to the broker's disk, from which a crash may take it back."""
        self._saved = dict(self.retained)

    def stop(self, *, session: str, retained: str) -> None:
        """The broker ends. ``session`` and ``retained``: ``kept``, ``lost``, and for retained also ``saved``."""
        self.running = False
        for client in sorted(self._open):
            connection = self._open.pop(client)
            connection.broker_open = False
            self._client_loses(connection, 0, "the broker ended")
        if session == "lost":
            self._session.clear()
        if retained == "lost":
            self.retained.clear()
        elif retained == "saved":
            self.retained = dict(self._saved)

    def start(self) -> None:
        """It listens again. Sessions without a connection publish no will: their clients come back by themselves."""
        self.running = True

    def cut(self, client: str, client_notices_ms: int, broker_notices_ms: int) -> None:
        """The line to a client is cut until ``mend``; each end notices after its time, if it is still cut then."""
        self._cuts[client] = self._cuts.get(client, 0) + 1
        connection = self._open.get(client)
        if connection is None or connection.held is not None:
            return
        connection.held = []
        self.schedule.after(client_notices_ms, self._notice_client, connection)
        self.schedule.after(broker_notices_ms, self._notice_broker, connection)

    def mend(self, client: str) -> None:
        """The line is whole again; buffers of a connection that both ends still hold open go out."""
        left = self._cuts.get(client, 0) - 1
        if left > 0:
            self._cuts[client] = left
            return
        self._cuts.pop(client, None)
        connection = self._open.get(client)
        if connection is None or connection.held is None:
            return
        held, connection.held = connection.held, None
        if not connection.client_open:
            self.schedule.after(self.chance.randint(0, 60_000), self._broker_loses, connection)
            return
        for action, args in held:
            self.schedule.after(self._delay_ms(), action, *args)

    def drop(self, client: str) -> None:
        """The connection is reset: both ends know at once, what was on its way is gone."""
        connection = self._open.get(client)
        if connection is not None:
            self._client_loses(connection, 0, "reset")
            self.schedule.after(self.chance.randint(0, 300), self._broker_loses, connection)

    def inject(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Somebody who should not publishes something."""
        if self.running:
            self._publish(topic, payload, retain=retain)

    def _notice_client(self, connection: Connection) -> None:
        if connection.held is not None:
            self._client_loses(connection, 0, "timed out")

    def _notice_broker(self, connection: Connection) -> None:
        if connection.held is not None and connection.broker_open:
            self._broker_loses(connection)
            # The client finds out when it next sends, or by its keepalive.
            self.schedule.after(self.chance.randint(0, 60_000), self._client_loses, connection, 0, "keepalive")

    # --- connections ------------------------------------------------------------------------------------------------

    def reachable(self, client: str) -> bool:
        """Whether a connection could be made now."""
        return self.running and client not in self._cuts

    def is_open(self, client: str) -> bool:
        """Whether the broker holds a connection of this client open."""
        return client in self._open

    def accept(self, link: SimLink) -> Connection:
        """Take a new connection; an older one of the same client ends, with its will."""
        client = link.client
        old = self._open.get(client)
        if old is not None:
            self._broker_loses(old)
        connection = link.new_connection()
        self._open[client] = connection
        if link.presence_topic is not None:
            self._arrived(connection, link.presence_topic, Presence.ONLINE.value.encode(), True)
        self._down(connection, LinkUp(connection.generation), ordered=True)
        if client == RELAY:
            for mid, (topic, payload, retained) in list(self._session.items()):
                self._deliver(connection, topic, payload, mid=mid, retained=retained)
        for topic in sorted(self.retained):
            if _reader(topic) == client:
                self._send(client, topic, self.retained[topic], retained=True)
        return connection

    def client_gone(self, connection: Connection, broker_notices_ms: int) -> None:
        """The client's process ended: its kernel says so at once, or (power cut) nobody does."""
        connection.client_open = False
        self.schedule.after(broker_notices_ms, self._broker_loses, connection)

    def _broker_loses(self, connection: Connection) -> None:
        if not connection.broker_open:
            return
        connection.broker_open = False
        link = connection.link
        if self._open.get(link.client) is connection:
            del self._open[link.client]
        if link.presence_topic is not None:
            self._publish(link.presence_topic, Presence.OFFLINE.value.encode(), retain=True)

    def _client_loses(self, connection: Connection, wait_ms: int, reason: str) -> None:
        if connection.client_open:
            connection.client_open = False
            self.schedule.after(wait_ms, connection.link.lost, connection, reason)

    # --- messages ---------------------------------------------------------------------------------------------------

    def send_up(self, connection: Connection, topic: str, payload: bytes, *, retain: bool) -> None:
        """A client publishes."""
        if not connection.broker_open:
            self._client_loses(connection, 50, "connection reset by peer")
            return
        weather = self.weather
        if weather.loss and self.chance.random() < weather.loss:
            return
        self._up(connection, self._arrived, connection, topic, payload, retain)
        if weather.repeat and self.chance.random() < weather.repeat:
            self._up(connection, self._arrived, connection, topic, payload, retain)

    def acknowledge(self, connection: Connection, mid: int) -> None:
        """The relay acknowledges a message of its session."""
        self._up(connection, self._acknowledged, connection, mid)

    def _up(self, connection: Connection, action: Callable[..., None], *args: object) -> None:
        if connection.held is not None:
            connection.held.append((action, args))
            return
        at_ms = self.schedule.now_ms + self._delay_ms()
        if not self._overtakes():
            at_ms = connection.up_ms = max(at_ms, connection.up_ms)
        self.schedule.at(at_ms, action, *args)

    def _arrived(self, connection: Connection, topic: str, payload: bytes, retain: bool) -> None:
        if connection.broker_open and self.running:
            self._publish(topic, payload, retain=retain)

    def _acknowledged(self, connection: Connection, mid: int) -> None:
        if connection.broker_open and self.running:
            self._session.pop(mid, None)

    def _publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if retain:
            self.retained[topic] = payload
        self._send(_reader(topic), topic, payload, retained=False)

    def _send(self, client: str, topic: str, payload: bytes, *, retained: bool) -> None:
        self._mids += 1
        if client == RELAY:
            self._session[self._mids] = (topic, payload, retained)
        connection = self._open.get(client)
        if connection is not None:
            self._deliver(connection, topic, payload, mid=self._mids, retained=retained)

    def _deliver(self, connection: Connection, topic: str, payload: bytes, *, mid: int, retained: bool) -> None:
        weather = self.weather
        if weather.loss and self.chance.random() < weather.loss:
            return
        delivery = Delivery(topic, payload, connection.generation, mid, 1, retained)
        self._down(connection, delivery, ordered=not self._overtakes())
        if weather.repeat and self.chance.random() < weather.repeat:
            self._down(connection, delivery, ordered=False)

    def _down(self, connection: Connection, event: LinkEvent, *, ordered: bool) -> None:
        if connection.held is not None:
            connection.held.append((self._handed, (connection, event)))
            return
        at_ms = self.schedule.now_ms + self._delay_ms()
        if ordered:
            at_ms = connection.down_ms = max(at_ms, connection.down_ms)
        self.schedule.at(max(at_ms, connection.link.up_at_ms), self._handed, connection, event)
        if isinstance(event, LinkUp):
            connection.link.up_at_ms = at_ms

    def _handed(self, connection: Connection, event: LinkEvent) -> None:
        if connection.client_open:
            connection.link.arrived(connection, event)

    def _delay_ms(self) -> int:
        weather = self.weather
        if weather.slow and self.chance.random() < weather.slow:
            return self.chance.randint(weather.max_ms, weather.slow_ms)
        if weather.min_ms == weather.max_ms:
            return weather.min_ms
        return weather.min_ms + int(self.chance.random() * (weather.max_ms - weather.min_ms))

    def _overtakes(self) -> bool:
        return self.weather.overtake > 0 and self.chance.random() < self.weather.overtake


def _reader(topic: str) -> str:
    """Who is subscribed to a topic: a device to its ``desired`` and to what peers say to it, the relay to the rest."""
    parts = topic.split("/")
    if parts[-1] == "desired":
        return parts[-2]
    return parts[-1] if parts[-2] == "peer" else RELAY


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

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Hand a message to the connection."""
        self._fuse.burn()
        connection = self._connection
        if connection is None or not connection.client_open or qos != 1:
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
        if self.client == RELAY:
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
        if self._broker.reachable(self.client):
            self._broker.accept(self)
        else:
            if self._failures == 0:
                self._sink(LinkDown("refused"))
            self._retry()
