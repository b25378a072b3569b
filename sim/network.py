"""A seeded network with a broker in it, between the links (``sim.link``) of every device and relay.

The broker keeps retained messages, publishes last wills, and keeps a persistent session for each relay, whose messages
come again until they are acknowledged. A connection that ends takes with it what was on its way. Half-open
connections, takeovers, losses, repeats and late messages are the ordinary case here: the contract trusts no pipe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from doorbell.link import Delivery, LinkEvent, LinkUp
from doorbell.wire import Presence
from sim.schedule import Schedule, Trail

if TYPE_CHECKING:
    from sim.link import SimLink

RELAY = "relay"


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

    def __init__(self, schedule: Schedule, chance: Random, trail: Trail, relays: Sequence[str] = (RELAY,)) -> None:
        self.schedule = schedule
        self.chance = chance
        self.weather = FAIR
        self.running = True
        self.retained: dict[str, bytes] = {}
        self._trail = trail
        self._saved: dict[str, bytes] = {}
        self._open: dict[str, Connection] = {}
        self._cuts: dict[str, int] = {}
        self._relays = tuple(relays)
        self._overheard = self._relays if len(self._relays) > 1 else ()
        """Who also hears what devices are told: relays beside others."""
        self._sessions: dict[str, dict[int, tuple[str, bytes, bool]]] = {relay: {} for relay in relays}
        """The relays' persistent sessions: what each has not acknowledged, by message id."""
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
            for unacknowledged in self._sessions.values():
                unacknowledged.clear()
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
        for mid, (topic, payload, retained) in list(self._sessions.get(client, {}).items()):
            self._deliver(connection, topic, payload, mid=mid, retained=retained)
        for topic in sorted(self.retained):
            if client in self._readers(topic):
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

    def unanswered(self, client: str) -> None:
        """A process that was stopped has answered no ping for too long: the broker takes it for gone."""
        connection = self._open.get(client)
        if connection is not None:
            self._broker_loses(connection)
            self.schedule.after(self.chance.randint(0, 300), self._client_loses, connection, 0, "keepalive")

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
            self._sessions[connection.link.client].pop(mid, None)

    def _publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if retain:
            self.retained[topic] = payload
        for client in self._readers(topic):
            self._send(client, topic, payload, retained=False)

    def _send(self, client: str, topic: str, payload: bytes, *, retained: bool) -> None:
        self._mids += 1
        if client in self._sessions and topic.count("/") > 2 and not topic.endswith("/desired"):
            self._sessions[client][self._mids] = (topic, payload, retained)
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

    def _readers(self, topic: str) -> tuple[str, ...]:
        """Who is subscribed to a topic: a device to its ``desired`` and to what peers say to it, a relay to its own
        words (an ``Echo``), all relays to the rest."""
        parts = topic.split("/")
        if parts[-1] == "desired":
            return (parts[-2], *self._overheard)
        if parts[-2] == "peer" or parts[-1] in self._sessions:
            return (parts[-1],)
        return self._relays

    def keeps_session(self, client: str) -> bool:
        """Whether what this client has not acknowledged comes again."""
        return client in self._sessions

    def _delay_ms(self) -> int:
        weather = self.weather
        if weather.slow and self.chance.random() < weather.slow:
            return self.chance.randint(weather.max_ms, weather.slow_ms)
        if weather.min_ms == weather.max_ms:
            return weather.min_ms
        return weather.min_ms + int(self.chance.random() * (weather.max_ms - weather.min_ms))

    def _overtakes(self) -> bool:
        return self.weather.overtake > 0 and self.chance.random() < self.weather.overtake
