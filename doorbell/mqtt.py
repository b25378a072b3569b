"""The link to the broker: MQTT 3.1.1 with paho. The only module that imports it.

Every connection (a *generation*) is a fresh paho client on one thread of ours, used once and thrown away. So nothing
that was not delivered is sent later behind the programs' back, and a message id of an old connection can never
acknowledge a message of a new one. What paho offers for that (its own reconnect, queue and thread) is not used:
an exception in a callback kills its thread while ``is_connected()`` stays true.

Callbacks only wrap what came and hand it to the sink, which is a put on the program's bounded queue. The sink may
block: then nothing more is read from the socket, and the broker holds the rest.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from doorbell.bulk import Waker, in_bulk
from doorbell.errors import SetupError
from doorbell.link import Delivery, LinkDied, LinkDown, LinkEvent, LinkUp
from doorbell.logs import LogOnce
from doorbell.reasons import explain_disconnect, explain_error
from doorbell.settings import MqttSettings
from doorbell.tls import tls_context
from doorbell.wire import MAX_PAYLOAD_BYTES, Presence

Sink = Callable[[LinkEvent], None]

MAX_UNACKED = 10_000
"""Messages published and not yet acknowledged by the broker, at most. Two bytes of message id allow 65,535; with
8 KiB each these are 80 MB at worst, and a burst of 2,000 presses passes without refusal."""
DEAD_PEER_MS = 10_000
"""Data that the other side's kernel has not acknowledged for so long ends the connection. A press must not sit in a
half-open socket until two keepalives have passed; a Wi-Fi roaming takes less than this."""
STABLE_S = 10.0
"""A connection that lasted less does not reset the back-off: two clients with one id would kick each other for ever."""
LOOP_TURN_S = 1.0
READS_A_TURN = 200
"""Packets that have arrived already and are read before anything is written."""
FULL_TURN_S = 0.005
"""While the network does not take what waits, it is offered again this often."""

_log = structlog.get_logger("doorbell.mqtt")


class MqttLink:
    """A ``doorbell.link.Link`` over MQTT, with its thread.

    ``client_id``: unique at the broker. ``subscriptions``: filters with QoS; all must be granted as asked.
    ``sink``: takes every ``LinkEvent`` on the link's thread. ``clean_session``: False keeps the broker's session, so
    that what was not acknowledged comes again after a reconnect (the relay); True forgets it (a device, to which
    only retained state matters). ``presence_topic``: says ``online`` there at every connect, ``offline`` at
    ``stop`` and as last will.

    ``patient``: what is published and acknowledged leaves at ``flush`` (or within a second), for a program that does
    much of both in one go.

    Raises ``SetupError`` for certificates or a password file that cannot be used: the operator's to repair.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        client_id: str,
        subscriptions: Sequence[tuple[str, int]],
        sink: Sink,
        clean_session: bool,
        presence_topic: str | None,
        patient: bool = False,
    ) -> None:
        self.patient = patient
        self._settings = settings
        self._client_id = client_id
        self._subscriptions = tuple(subscriptions)
        self._sink = sink
        self._clean_session = clean_session
        self._presence_topic = presence_topic
        self._generation = 0
        self._open: _Connection | None = None
        self._up: _Connection | None = None
        self._stopping = threading.Event()
        self._complaints = LogOnce(_log)
        self._random = random.Random()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{client_id}", daemon=True)
        self._new_client()  # a wrong file must be told at start and not at the first reconnect

    # --- what the program's main thread calls -----------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect; the first event follows by the sink."""
        self._thread.start()

    def alive(self) -> bool:
        """True while the link's thread runs: proof of life for the watchdog. False before ``start``."""
        return self._thread.is_alive()

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Hand a message to the connection; False if there is none or ``MAX_UNACKED`` are on their way."""
        connection = self._up
        return (
            connection is not None
            and connection.client.publish(topic, payload, qos, retain).rc is MQTTErrorCode.MQTT_ERR_SUCCESS
        )

    def ack(self, delivery: Delivery) -> None:
        """Tell the broker that a delivery is dealt with; ignored if its connection has ended or it was acked before."""
        connection = self._up
        if connection is not None and connection.unacked.get(delivery.mid) is delivery:
            del connection.unacked[delivery.mid]
            connection.client.ack(delivery.mid, delivery.qos)

    def flush(self) -> None:
        """Send what has been published and acknowledged; needed by a ``patient`` link only."""
        connection = self._up
        if connection is not None:
            connection.wake()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Say ``offline``, disconnect, end the thread; True if all of it was done within ``timeout_s``.

        The program need not take events any more. If time runs out the connection is cut, and the broker says
        ``offline`` by our last will.
        """
        deadline = time.monotonic() + timeout_s
        self._stopping.set()
        if not self._thread.is_alive():
            return True
        connection = self._open
        if connection is not None:
            connection.leave(timeout_s / 2)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive() and connection is not None:
            connection.cut()
        return not self._thread.is_alive()

    # --- the link's thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                reason = self._live_once()
                if not self._stopping.is_set():
                    self._sink(LinkDown(reason))
                    self._stopping.wait(self._backoff_s())
        except Exception as error:  # noqa: BLE001 - told to the program, which must not go on deaf: see LinkDied
            self._up = self._open = None
            _log.exception("link.died")
            self._tell_died(f"{type(error).__name__}: {error}")

    def _tell_died(self, reason: str) -> None:
        try:
            self._sink(LinkDied(reason))
        except Exception:  # noqa: BLE001 - it may be the sink that is broken; then ``alive`` says it
            _log.exception("link.died_untold")

    def _live_once(self) -> str:
        """One connection from beginning to end; the reason of its end in plain words."""
        settings = self._settings
        try:
            connection = _Connection(self, self._new_client(), self._generation + 1)
        except SetupError as error:
            return self._complain("link.refused", str(error))
        self._open = connection  # before ``_stopping`` is asked: either ``stop`` sees it, or we see ``stop``
        try:
            connection.client.connect(settings.host, settings.port, settings.keepalive_s)
        except (OSError, ValueError) as error:
            self._open = None
            connection.forget()
            return self._complain("link.refused", explain_error(error, settings))
        try:
            reason = connection.serve(self._stopping)
        finally:
            self._up = self._open = None
            connection.forget()
        if connection.up_since is None:
            return self._complain("link.refused", reason)
        lasted_s = time.monotonic() - connection.up_since
        if lasted_s >= STABLE_S:
            self._failures = 0
        if not self._stopping.is_set():
            _log.warning("link.down", reason=reason, generation=connection.generation, lasted_s=round(lasted_s, 1))
        return reason

    def _complain(self, event: str, reason: str) -> str:
        if not self._stopping.is_set():
            self._complaints.warning(event, reason=reason, host=self._settings.host, port=self._settings.port)
        return reason

    def _backoff_s(self) -> float:
        """Exponential with full jitter: a fleet that lost its broker must not come back in step."""
        low = self._settings.backoff_min_s
        high = min(self._settings.backoff_max_s, low * 2.0 ** min(self._failures + 1, 16))
        self._failures += 1
        return self._random.uniform(low, max(low, high))

    def _new_client(self) -> paho.Client:
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=self._clean_session,
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
            client.tls_set_context(tls_context(settings.tls))
        if self._presence_topic is not None:
            client.will_set(self._presence_topic, Presence.OFFLINE.value, qos=1, retain=True)
        return client

    def came_up(self, connection: _Connection) -> None:
        """Connected and subscribed: the programs may publish. On the link's thread, before any delivery."""
        self._generation = connection.generation
        self._up = connection
        _log.info("link.up", generation=connection.generation, refusals_unlogged=self._complaints.clear())
        self.hand_over(LinkUp(connection.generation))

    def hand_over(self, event: LinkEvent) -> None:
        """Give an event to the program; after ``stop`` nobody takes any, and what is not acked comes again."""
        if not self._stopping.is_set():
            self._sink(event)

    @property
    def subscriptions(self) -> tuple[tuple[str, int], ...]:
        """Filters with their QoS."""
        return self._subscriptions

    @property
    def presence_topic(self) -> str | None:
        """Where ``online`` is said."""
        return self._presence_topic

    @property
    def handshake_s(self) -> float:
        """How long CONNACK and SUBACK may take: as long as any silence may last on a live connection."""
        return float(self._settings.keepalive_s)


class _Connection:
    """One generation. Its methods run on the link's thread, but for ``leave`` and ``cut``."""

    def __init__(self, link: MqttLink, client: paho.Client, generation: int) -> None:
        self.client = client
        self._waker: Waker | None = None
        self.generation = generation
        self.up_since: float | None = None
        self.unacked: dict[int, Delivery] = {}
        self._link = link
        self._subscribe_mid: int | None = None
        self._early: list[Delivery] = []
        """What came before SUBACK; the protocol bounds it: 65,535 message ids can be unacknowledged at once."""
        self._reason: str | None = None
        self._over = False
        client.on_socket_open = _tune_socket
        # With this callback set, paho never writes on the caller's thread: two threads in its write loop can
        # interleave the halves of two packets. The link's thread writes; publish wakes it.
        client.on_socket_register_write = _leave_to_loop
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect

    def serve(self, stopping: threading.Event) -> str:
        """Turn the loop until the connection ends; returns why."""
        if stopping.is_set():
            self.client.disconnect()
        deadline = time.monotonic() + self._link.handshake_s
        self._waker = Waker(patient=self._link.patient)
        bulk = in_bulk(self.client, self._waker)
        loop, wait_s = self.client.loop, LOOP_TURN_S
        while loop(wait_s) is MQTTErrorCode.MQTT_ERR_SUCCESS:
            for _ in range(READS_A_TURN):
                if not bulk.pending() or self.client.loop_read() is not MQTTErrorCode.MQTT_ERR_SUCCESS:
                    break
            wait_s = LOOP_TURN_S if bulk.flush() else FULL_TURN_S
            if self.up_since is None and time.monotonic() > deadline:
                self._end(f"the broker did not finish the handshake within {self._link.handshake_s:.0f} s")
        return self._reason or "the connection ended"

    def wake(self) -> None:
        """From the main thread: have the loop write what is queued."""
        if self._waker is not None:
            self._waker.wake()

    def leave(self, wait_s: float) -> None:
        """From the main thread: say offline, give the broker ``wait_s`` to acknowledge it, then disconnect."""
        topic = self._link.presence_topic
        if topic is not None and self.up_since is not None:
            info = self.client.publish(topic, Presence.OFFLINE.value, qos=1, retain=True)
            self.wake()
            # The connection may end or its queue be full just now: then the last will says it.
            with suppress(RuntimeError, ValueError):
                deadline = time.monotonic() + wait_s
                while not info.is_published():
                    if self._over or time.monotonic() > deadline:
                        return
                    info.wait_for_publish(0.05)
        self.client.disconnect()

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
        client.on_connect = client.on_subscribe = client.on_message = client.on_disconnect = None
        self.unacked.clear()

    def _end(self, reason: str) -> None:
        self._reason = self._reason or reason
        self.cut()

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._reason = f"the broker refused us: {code}"
            return
        link = self._link
        if link.presence_topic is not None:
            client.publish(link.presence_topic, Presence.ONLINE.value, qos=1, retain=True)
        if link.subscriptions:
            _, self._subscribe_mid = client.subscribe(list(link.subscriptions))
        else:
            self._come_up()

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if mid != self._subscribe_mid:
            return
        granted = [code.value for code in codes]
        refused = [topic for (topic, qos), code in zip(self._link.subscriptions, granted, strict=False) if code != qos]
        if refused or len(granted) != len(self._link.subscriptions):
            self._end(f"the broker refused the subscription of {', '.join(refused) or 'some filter'}")
        else:
            self._come_up()

    def _come_up(self) -> None:
        self.up_since = time.monotonic()
        self._link.came_up(self)
        early, self._early = self._early, []
        for delivery in early:
            self._link.hand_over(delivery)

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError as error:
            # A peer's rubbish: the program counts it as a bad topic and acks it.
            topic = error.object.decode("utf-8", "backslashreplace")
        # A byte more than allowed is enough to be refused for; the queue must not hold a stranger's megabytes.
        payload = bytes(message.payload[: MAX_PAYLOAD_BYTES + 1])
        delivery = Delivery(topic, payload, self.generation, message.mid, message.qos, bool(message.retain))
        if delivery.qos:
            self.unacked[delivery.mid] = delivery
        if self.up_since is None:
            self._early.append(delivery)
        else:
            self._link.hand_over(delivery)

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._reason = self._reason or explain_disconnect(str(code), came_up=self.up_since is not None)


def _leave_to_loop(_client: paho.Client, _data: Any, _sock: Any) -> None:
    """The link's thread finds the packet in paho's queue."""


def _tune_socket(_client: paho.Client, _data: Any, sock: Any) -> None:
    # Without it Nagle and delayed ACK together make every second message wait 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
