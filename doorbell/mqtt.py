"""The link to the broker, or to several in order: MQTT 3.1.1 on one thread of ours.

Every connection (a *generation*) is a fresh paho client, used once and thrown away. So nothing that was not delivered
is sent later behind the programs' back, and a message id of an old connection can never acknowledge a message of a new
one. What paho offers for that (its own reconnect, queue and thread) is not used: an exception in a callback kills its
thread while ``is_connected()`` stays true.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from doorbell.broker_choice import BrokerChoice, name_of
from doorbell.broker_order import Need
from doorbell.clock_doubt import ClockDoubt
from doorbell.connection import Connection, Introduction
from doorbell.dial import Resolver
from doorbell.errors import SetupError
from doorbell.link import Delivery, LinkDied, LinkDown, LinkEvent, LinkUp
from doorbell.reasons import explain_error
from doorbell.settings import MqttSettings

Sink = Callable[[LinkEvent], None]
Papers = Callable[[MqttSettings], MqttSettings]
"""The same broker with the certificate that it is to be shown now."""

LOOK_S = 1.0
"""How often in a pause is looked whether it has become urgent."""
ONLINE_AGAIN_S = 5.0
"""After a move to another broker ``online`` is said again after this, and at doubled intervals until two keepalives
have passed. The will at the broker that was lost comes up to 1.5 keepalives late, and over a bridge it would overwrite
the first ``online``."""

_log = structlog.get_logger("doorbell.mqtt")


def as_the_settings_say(settings: MqttSettings) -> MqttSettings:
    """For a program that is given a new certificate by a person."""
    return settings


def needs_nothing() -> Need:
    """For a program that may be interrupted at any time."""
    return Need.NONE


class MqttLink:
    """A ``doorbell.link.Link`` over MQTT, with its thread.

    ``settings``: with fallbacks, the first broker that answers is used, see ``doorbell.broker_order``.
    ``client_id``: unique at the broker. ``subscriptions``: filters with QoS; all must be granted as asked.
    ``sink``: takes every ``LinkEvent`` on the link's thread; it may block, which holds the broker back.
    ``clean_session``: False keeps the broker's session, so that what was not acknowledged comes again after a reconnect
    (the relay); True forgets it (a device, to which only retained state matters). ``presence_topic``: says ``online``
    there at every connect, ``offline`` at ``stop``, before a change of brokers and as last will.

    ``patient``: what is published and acknowledged leaves at ``flush`` (or within a second), for a program that does
    much of both in one go. ``need``: asked on the link's thread before a fallback is left for the first broker, which
    costs a moment without a connection (``broker_order.Need``), and in a pause: a receipt that is waited for makes it a
    short one. ``papers``: asked on the link's thread at every try.
    ``doubt``: whether the clock may judge certificates, for who may have none (docs/adr/0008); None: it may.

    Raises ``SetupError`` for certificates or a password file that cannot be used, if no broker is left without them:
    the operator's to repair.
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
        doubt: ClockDoubt | None = None,
        need: Callable[[], Need] = needs_nothing,
        papers: Papers = as_the_settings_say,
    ) -> None:
        self.patient = patient
        self._papers = papers
        self._leaving: str | None = None
        self._introduction = Introduction(client_id, tuple(subscriptions), clean_session, presence_topic, doubt)
        self._sink = sink
        self._choice = BrokerChoice(settings, need, doubt, papers)
        self._resolver = Resolver()
        self._generation = 0
        self._open: Connection | None = None
        self._up: Connection | None = None
        self._online_again: tuple[float, float] | None = None
        """When ``online`` is to be said again, and the interval after that."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{client_id}", daemon=True)
        self._try_files()

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
        return connection is not None and connection.publish(topic, payload, qos, retain)

    def ack(self, delivery: Delivery) -> None:
        """Tell the broker that a delivery is dealt with; ignored if its connection has ended or it was acked before."""
        connection = self._up
        if connection is not None:
            connection.ack(delivery)

    def flush(self) -> None:
        """Send what has been published and acknowledged; needed by a ``patient`` link only."""
        connection = self._up
        if connection is not None:
            connection.send()

    def reconnect(self, reason: str) -> None:
        """Leave the broker in good order, and connect again; nothing where there is no connection. Any thread."""
        connection = self._up
        if connection is not None:
            self._leaving = reason
            connection.wake()

    def shows_outdated(self) -> bool:
        """Whether our certificate was renewed since this connection was made; False where there is none. Any thread."""
        connection = self._up
        return connection is not None and connection.shows_outdated()

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
                    while (pause_s := self._choice.pause_s()) > 0 and not self._stopping.is_set():
                        self._stopping.wait(min(pause_s, LOOK_S))
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
        settings, within_s = self._choice.current, self._choice.within_s()
        try:
            settings = self._papers(settings)
            connection = Connection(self, self._introduction, settings, self._generation + 1, within_s)
        except SetupError as error:
            return self._refused(str(error))
        self._open = connection  # before ``_stopping`` is asked: either ``stop`` sees it, or we see ``stop``
        try:
            name_s = settings.connect_timeout_s if within_s is None else within_s
            connection.dial(self._resolver.addresses(settings.host, settings.port, name_s))
        except (OSError, ValueError) as error:
            self._open = None
            connection.forget()
            return self._refused(explain_error(error, settings, name_s))
        try:
            reason = connection.serve(self._stopping)
        finally:
            self._up = self._open = None
            connection.forget()
        if connection.up_since is None:
            return self._refused(reason)
        lasted_s = round(time.monotonic() - connection.up_since, 1)
        if not self._stopping.is_set():
            _log.warning(
                "link.down",
                reason=reason,
                generation=connection.generation,
                broker=name_of(settings),
                lasted_s=lasted_s,
            )
        self._choice.ended(silent=connection.silent)
        return reason

    def _refused(self, reason: str) -> str:
        self._choice.refused(reason, tell=not self._stopping.is_set())
        return reason

    def _try_files(self) -> None:
        """A wrong file must be told at start and not at the first reconnect; but one usable broker is enough to run,
        because a damaged file of a fallback must not silence a device."""
        errors: list[SetupError] = []
        for broker in self._choice.brokers:
            try:
                Connection(self, self._introduction, self._papers(broker), 0).forget()
            except SetupError as error:
                errors.append(error)
                if len(errors) == len(self._choice.brokers):
                    raise errors[0] from None
        for told in errors:
            _log.warning("link.broker_unusable", reason=str(told))

    # --- what a connection calls, on the link's thread ---------------------------------------------------------------

    def came_up(self, connection: Connection) -> None:
        """Connected and subscribed: the programs may publish. Before any delivery."""
        self._generation = connection.generation
        self._up = connection
        moved = self._choice.came_up(connection.generation)
        self._online_again = (time.monotonic() + ONLINE_AGAIN_S, ONLINE_AGAIN_S * 2) if moved else None
        self._leaving = None
        tls = connection.settings.tls
        self.hand_over(LinkUp(connection.generation, None if tls is None else tls.certificate))

    def hand_over(self, event: LinkEvent) -> None:
        """Give an event to the program; after ``stop`` nobody takes any, and what is not acked comes again."""
        if not self._stopping.is_set():
            self._sink(event)

    def tend(self, connection: Connection) -> str | None:
        """A reason to leave this connection, or None: we were asked to, or another broker is to be preferred."""
        if self._leaving is not None:
            return self._leaving
        now_s = time.monotonic()
        if self._online_again is not None and now_s >= self._online_again[0]:
            _, interval_s = self._online_again
            connection.say_online()
            again = interval_s < 2 * connection.settings.keepalive_s
            self._online_again = (now_s + interval_s, interval_s * 2) if again else None
        return self._choice.tend()
