"""One connection to a broker with paho, from its first packet to its end. The only module that imports paho.

Callbacks only wrap what came and hand it to the link, which puts it on the program's bounded queue. That may block:
then nothing more is read from the socket, and the broker holds the rest.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from doorbell.bulk import BulkSocket, Waker, in_bulk
from doorbell.certificates import read_first, read_identity_number
from doorbell.clock_doubt import ClockDoubt
from doorbell.dial import share_of
from doorbell.link import Delivery, LinkEvent
from doorbell.packets import Outbox
from doorbell.reasons import explain_disconnect
from doorbell.settings import MqttSettings, TlsSettings
from doorbell.tls import NamedContext, tls_context
from doorbell.wire import Presence

MAX_UNACKED = 10_000
"""Messages published and not yet acknowledged by the broker, at most. Two bytes of message id allow 65,535; with
8 KiB each these are 80 MB at worst, and a burst of 2,000 presses passes without refusal."""
DEAD_PEER_MS = 10_000
"""Data that the other side's kernel has not acknowledged for so long ends the connection. A press must not sit in a
half-open socket until two keepalives have passed; a Wi-Fi roaming takes less than this."""
HANDSHAKE_MAX_S = 60.0
"""Longer than this no broker may take from the dialling to SUBACK, whatever keepalive is set: until then nobody is
tried again."""
LOOP_TURN_S = 1.0
READS_A_TURN = 200
"""Packets that have arrived already and are read before anything is written."""
FULL_TURN_S = 0.005
"""While the network does not take what waits, it is offered again this often."""
GOODBYE_S = 2.0
"""How long a broker that we leave for the first one may take to acknowledge ``offline``."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a link says of itself at every connect; the words are those of ``MqttLink``."""

    client_id: str
    subscriptions: Sequence[tuple[str, int]]
    clean_session: bool
    presence_topic: str | None
    doubt: ClockDoubt | None = None


def session_name(client_id: str, tls: TlsSettings | None) -> str:
    """The client id as it is told to the broker: with the number of our identity, if our certificate has one.

    Some brokers let anybody who has come in take over any session by its client id (NATS; MQTT demands no more). The
    number is known to who holds the certificate alone: TLS 1.3 shows it to nobody else.
    """
    number = read_identity_number(tls.certificate) if tls is not None and tls.certificate is not None else None
    return client_id if number is None else f"{client_id}-{number}"


class Owner(Protocol):
    """The link, as a connection calls it, always on the link's thread."""

    patient: bool

    def came_up(self, connection: Connection) -> None:
        """Connected and subscribed; before any delivery."""

    def hand_over(self, event: LinkEvent) -> None:
        """Something came for the program."""

    def tend(self, connection: Connection) -> str | None:
        """After every turn of a live connection, at least once a second; a reason to leave it, or None."""


class Connection:
    """One generation. Its methods run on the link's thread, but for ``publish``, ``ack``, ``wake``, ``leave``, ``cut``.

    ``within_s``: how long everything until SUBACK may take, because other brokers wait to be tried. None: there is
    no other; each address has ``connect_timeout_s`` to accept TCP, and CONNACK and SUBACK may take as long as any
    silence may last on a live connection, but no longer than ``HANDSHAKE_MAX_S``.

    Raises ``SetupError`` for certificates or a password file that cannot be used.
    """

    def __init__(
        self,
        owner: Owner,
        introduction: Introduction,
        settings: MqttSettings,
        generation: int,
        within_s: float | None = None,
    ) -> None:
        self.settings = settings
        self.generation = generation
        self.up_since: float | None = None
        self._owner = owner
        self._introduction = introduction
        self._tls: NamedContext | None = None
        self._shown = self._certificate()
        self._within_s = within_s
        self._handshake_s = min(settings.keepalive_s, HANDSHAKE_MAX_S) if within_s is None else within_s
        self._deadline_s = time.monotonic() + self._handshake_s
        self._waker: Waker | None = None
        self._bulk: BulkSocket | None = None
        self._outbox = Outbox(MAX_UNACKED)
        self._unacked: dict[int, Delivery] = {}
        self._subscribe_mid: int | None = None
        self._early: list[Delivery] = []
        """What came before SUBACK; the protocol bounds it: 65,535 message ids can be unacknowledged at once."""
        self._reason: str | None = None
        self._goodbye: tuple[paho.MQTTMessageInfo, float] | None = None
        self._over = False
        self.client = self._new_client()

    @property
    def silent(self) -> bool:
        """After its end: nothing came back any more, as opposed to being closed by the other side."""
        return self._reason == _KEEPALIVE_OVER or (self._bulk is not None and self._bulk.silent)

    def shows_outdated(self) -> bool:
        """Whether the file of our certificate has another one by now than the broker was shown. Reads that file."""
        return (now := self._certificate()) is not None and now != self._shown

    def dial(self, addresses: Sequence[str]) -> None:
        """TCP and TLS with the first address that takes them; raises ``OSError`` or ``ValueError`` of the last."""
        settings = self.settings
        if self._within_s is not None:
            self.client.connect_timeout = share_of(self._deadline_s, addresses)
            if self._tls is not None:
                self._tls.deadline_s = self._deadline_s
        for address in addresses:
            try:
                self.client.connect(address, settings.port, settings.keepalive_s)
                break
            except (OSError, ValueError):
                if address == addresses[-1]:
                    raise
        if self._within_s is None:
            self._deadline_s = time.monotonic() + self._handshake_s

    def serve(self, stopping: threading.Event) -> str:
        """Turn the loop until the connection ends; returns why."""
        if stopping.is_set():
            self.client.disconnect()
        self._waker = Waker(patient=self._owner.patient)
        self._bulk = bulk = in_bulk(self.client, self._waker, self._outbox.waiting)
        loop, wait_s = self.client.loop, self._handshake_wait_s()
        while loop(wait_s) is MQTTErrorCode.MQTT_ERR_SUCCESS:
            for _ in range(READS_A_TURN):
                if not bulk.pending() or self.client.loop_read() is not MQTTErrorCode.MQTT_ERR_SUCCESS:
                    break
            self._take_sorted(bulk)
            wait_s = LOOP_TURN_S if bulk.flush() else FULL_TURN_S
            if self.up_since is None:
                wait_s = min(wait_s, self._handshake_wait_s())
            else:
                self._tend()
        return self._reason or "the connection ended"

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> bool:
        """Queue a message; False if ``MAX_UNACKED`` are on their way, or the connection has just ended."""
        if self._over or not self._outbox.publish(topic, payload, qos, retain):
            return False
        self._nudge()
        return True

    def ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery of this connection, once."""
        if self._unacked.get(delivery.mid) is delivery:
            del self._unacked[delivery.mid]
            self._outbox.ack(delivery.mid)
            self._nudge()

    def say_online(self) -> None:
        """Publish our presence, if we have any."""
        if (topic := self._introduction.presence_topic) is not None:
            self.client.publish(topic, Presence.ONLINE.value, qos=1, retain=True)

    def wake(self) -> None:
        """From the main thread: have the loop write what is queued."""
        if self._waker is not None:
            self._waker.wake()

    def send(self) -> None:
        """From the main thread: write what is queued, here and now; the loop goes on where the network is behind.

        The loop would need the interpreter's lock for it, which the main thread gives away only when it is done.
        """
        if self._bulk is not None and not self._bulk.flush():
            self.wake()

    def _nudge(self) -> None:
        """Something is queued: a link that is not patient sends it at once."""
        if not self._owner.patient:
            self.send()

    def leave(self, wait_s: float) -> None:
        """From the main thread: say offline, give the broker ``wait_s`` to acknowledge it, then disconnect."""
        if (info := self._say_offline()) is not None:
            # The connection may end or its queue be full just now: then the last will says it.
            with suppress(RuntimeError, ValueError):
                deadline = time.monotonic() + wait_s
                while not info.is_published():
                    if self._over or time.monotonic() > deadline:
                        return
                    info.wait_for_publish(0.05)
        self.client.disconnect()
        self.wake()

    def cut(self) -> None:
        """End the TCP connection without a DISCONNECT, so that the broker publishes the last will."""
        sock: Any = self.client.socket()
        if sock is not None:
            with suppress(OSError):  # it ended by itself in this moment
                sock.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """Break the circle of references, so that paho closes its sockets now and not at some collection."""
        self._over = True
        client = self.client
        client.on_connect = client.on_subscribe = client.on_disconnect = None
        self._unacked.clear()

    def _certificate(self) -> bytes | None:
        tls = self.settings.tls
        return None if tls is None or tls.certificate is None else read_first(tls.certificate)

    def _new_client(self) -> paho.Client:
        settings, said = self.settings, self._introduction
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=session_name(said.client_id, settings.tls),
            clean_session=said.clean_session,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = settings.connect_timeout_s
        # No limit in flight, but one on all unacknowledged: with an in-flight limit paho walks through all of them
        # at every acknowledgement, which is quadratic in a burst.
        client.max_inflight_messages_set(0)
        client.max_queued_messages_set(MAX_UNACKED)
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.read_password())
        if settings.tls is not None:
            self._tls = tls_context(settings.tls, settings.host, said.doubt)
            client.tls_set_context(self._tls)
        if said.presence_topic is not None:
            client.will_set(said.presence_topic, Presence.OFFLINE.value, qos=1, retain=True)
        client.on_socket_open = _tune_socket
        # With this callback set, paho never writes on the caller's thread: two threads in its write loop can
        # interleave the halves of two packets. The link's thread writes; publish wakes it.
        client.on_socket_register_write = _leave_to_loop
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        return client

    def _handshake_wait_s(self) -> float:
        """How long the next turn of the loop may wait; ends the connection when the handshake has had its time."""
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            self._end(f"the broker did not finish the handshake within {self._handshake_s:.0f} s")
        return max(FULL_TURN_S, min(LOOP_TURN_S, left_s))

    def _tend(self) -> None:
        """Leave in good order when the link wants it; if the broker does not hear that, the last will speaks."""
        if self._goodbye is not None:
            info, deadline_s = self._goodbye
            with suppress(RuntimeError, ValueError):
                if info.is_published():
                    self.client.disconnect()
                    return
            if time.monotonic() > deadline_s:
                self.cut()
        elif (reason := self._owner.tend(self)) is not None:
            self._reason = reason
            if (info_or_none := self._say_offline()) is None:
                self.client.disconnect()
            else:
                self._goodbye = (info_or_none, time.monotonic() + GOODBYE_S)

    def _say_offline(self) -> paho.MQTTMessageInfo | None:
        topic = self._introduction.presence_topic
        if topic is None or self.up_since is None:
            return None
        info = self.client.publish(topic, Presence.OFFLINE.value, qos=1, retain=True)
        self.wake()
        return info

    def _end(self, reason: str) -> None:
        self._reason = self._reason or reason
        self.cut()

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._reason = f"the broker refused us: {code}"
            return
        self.say_online()
        if self._introduction.subscriptions:
            _, self._subscribe_mid = client.subscribe(list(self._introduction.subscriptions))
        else:
            self._come_up()

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if mid != self._subscribe_mid:
            return
        asked, granted = self._introduction.subscriptions, [code.value for code in codes]
        refused = [topic for (topic, qos), code in zip(asked, granted, strict=False) if code != qos]
        if refused or len(granted) != len(asked):
            self._end(f"the broker refused the subscription of {', '.join(refused) or 'some filter'}")
        else:
            self._come_up()

    def _come_up(self) -> None:
        self.up_since = time.monotonic()
        self._owner.came_up(self)
        early, self._early = self._early, []
        for delivery in early:
            self._owner.hand_over(delivery)

    def _take_sorted(self, bulk: BulkSocket) -> None:
        """Hand over the deliveries that have come, and note what the broker has acknowledged."""
        sorter = bulk.sorter
        if sorter.acknowledged:
            self._outbox.settled(sorter.acknowledged)
            sorter.acknowledged.clear()
        if not sorter.arrived:
            return
        arrived, sorter.arrived = sorter.arrived, []
        now_s = time.monotonic()
        for topic, payload, mid, qos, retained in arrived:
            delivery = Delivery(topic, payload, self.generation, mid, qos, retained, now_s)
            if qos:
                self._unacked[mid] = delivery
            if self.up_since is None:
                self._early.append(delivery)
            else:
                self._owner.hand_over(delivery)

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Properties | None
    ) -> None:
        silent = self._bulk is not None and self._bulk.silent
        reason = explain_disconnect(str(code), came_up=self.up_since is not None, silent=silent)
        self._reason = self._reason or reason


_KEEPALIVE_OVER = explain_disconnect("Keep alive timeout", came_up=True, silent=False)


def _leave_to_loop(_client: paho.Client, _data: Any, _sock: Any) -> None:
    """The link's thread finds the packet in paho's queue."""


def _tune_socket(_client: paho.Client, _data: Any, sock: Any) -> None:
    # Without it Nagle and delayed ACK together make every second message wait 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
