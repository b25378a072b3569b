"""The broker and the relay behind it, asked with the device's own identity while no daemon holds it."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from device.findings import Finding, Severity
from device.settings import DaemonSettings
from doorbell.errors import PeerError
from doorbell.link import Delivery, LinkDied, LinkDown, LinkEvent, LinkUp
from doorbell.mqtt import MqttLink
from doorbell.settings import MqttSettings
from doorbell.wire import (
    Channel,
    ClockState,
    Coverage,
    Desired,
    Event,
    EventType,
    Presence,
    Topics,
    decode,
    decode_presence,
    encode,
)

UP_WITHIN_S = 10.0
DESIRED_WITHIN_S = 3.0
"""A retained message follows the subscription at once; a relay that has just seen us writes one within a second."""
RECEIPT_WITHIN_S = 10.0
PRESENCE_WITHIN_S = 2.0
_AGAIN_S = 4.0
"""The test event is sent again, as an outbox would."""
_STOP_S = 2.0

_COVERAGE = {
    Coverage.COVERED: ("covered", Severity.OK),
    Coverage.THIN: ("thin", Severity.WARNING),
    Coverage.UNCOVERED: ("uncovered", Severity.FAILURE),
}


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a conversation with the broker brought. ``refused``: why it did not begin, None if it did."""

    refused: str | None = None
    desired: Desired | None = None
    receipt_ms: int | None = None
    online: tuple[tuple[str, Presence], ...] = ()
    """Of the peers whose presence the broker lets us see."""


def talk_to_relay(settings: DaemonSettings, mqtt: MqttSettings, clock: ClockState) -> Spoken:
    """Connect, subscribe, read the desired state, have a test event receipted, look for the peers.

    Takes about 2 s with a relay, 25 s without one. Raises ``SetupError`` for files that cannot be used.
    """
    topics, me = Topics(mqtt.prefix), settings.device
    desired_topic = topics.of(settings.community, me, Channel.DESIRED)
    with _linked(mqtt, me, [(desired_topic, 1)]) as (link, heard):
        refused = _up(heard)
        if refused is not None:
            return Spoken(refused)
        read = _Desired(link, heard, desired_topic)
        read.until(lambda _desired: True, DESIRED_WITHIN_S)
        receipt_ms = _receipt(link, read, topics.of(settings.community, me, Channel.EVENT), clock)
    desired = read.newest
    peers = () if desired is None else desired.peers
    return Spoken(None, desired, receipt_ms, _presence(settings, mqtt, peers) if peers else ())


def check_relay(spoken: Spoken, device: str) -> Iterator[Finding]:
    """The findings on broker, relay and pair."""
    if spoken.refused is not None:
        yield Finding("broker", "rejected", Severity.FAILURE, {"device": device, "reason": spoken.refused})
        yield Finding("relay", "not_asked", Severity.NOTE)
        yield Finding("pair", "not_asked", Severity.NOTE)
        return
    yield Finding("broker", "accepted", Severity.OK, {"device": device})
    desired = spoken.desired
    if desired is None:
        yield Finding("relay", "no_desired", Severity.FAILURE)
    else:
        yield Finding("relay", "desired", Severity.OK, {"rev": desired.rev})
    if spoken.receipt_ms is None:
        yield Finding("relay", "no_receipt", Severity.FAILURE, {"within_s": f"{RECEIPT_WITHIN_S:g}"})
    else:
        yield Finding("relay", "receipted", Severity.OK, {"waited_ms": spoken.receipt_ms})
    coverage = desired.panel.coverage if desired is not None and desired.panel is not None else None
    yield from check_pair(None if desired is None else desired.peers, coverage)
    yield from _check_presence(spoken)


def check_pair(peers: Sequence[str] | None, coverage: Coverage | None) -> Iterator[Finding]:
    """Who is paired, and what the relay says of a press made now. ``peers`` None: nothing came from the relay."""
    if peers is None:
        yield Finding("pair", "unknown", Severity.WARNING)
        return
    if not peers:
        yield Finding("pair", "none", Severity.WARNING)
    else:
        yield Finding("pair", "known", Severity.OK, {"peers": list(peers)})
    if coverage is not None:
        code, severity = _COVERAGE[coverage]
        yield Finding("pair", code, severity)


def _check_presence(spoken: Spoken) -> Iterator[Finding]:
    seen = dict(spoken.online)
    for peer, presence in seen.items():
        here = presence is Presence.ONLINE
        yield Finding("pair", presence.value, Severity.OK if here else Severity.WARNING, {"peer": peer})
    unseen = [peer for peer in (spoken.desired.peers if spoken.desired is not None else ()) if peer not in seen]
    if unseen:
        yield Finding("pair", "unreadable", Severity.NOTE, {"peers": unseen})


class _Desired:
    """Reads the desired state from what the link brings."""

    def __init__(self, link: MqttLink, heard: queue.SimpleQueue[LinkEvent], topic: str) -> None:
        self.newest: Desired | None = None
        self._link = link
        self._heard = heard
        self._topic = topic

    def until(self, enough: Callable[[Desired], bool], within_s: float) -> bool:
        """Read until a state is enough; False if none is in time."""
        deadline = time.monotonic() + within_s
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                event = self._heard.get(timeout=left_s)
            except queue.Empty:
                break
            if isinstance(event, Delivery):
                self._link.ack(event)
                desired = _desired_in(event, self._topic)
                if desired is not None:
                    self.newest = desired
                    if enough(desired):
                        return True
        return False


def _desired_in(delivery: Delivery, topic: str) -> Desired | None:
    if delivery.topic != topic:
        return None
    try:
        return decode(Desired, delivery.payload)
    except PeerError:
        return None  # the daemon counts and logs it; here "none came" is the finding


def _receipt(link: MqttLink, read: _Desired, topic: str, clock: ClockState) -> int | None:
    """Milliseconds from the send to the receipt; None without one."""
    began = time.monotonic()
    at, event_id = datetime.now(UTC), str(uuid.uuid4())
    while (left_s := began + RECEIPT_WITHIN_S - time.monotonic()) > 0:
        age_ms = round((time.monotonic() - began) * 1000)
        event = Event(id=event_id, type=EventType.TEST, at=at, age_ms=age_ms, clock=clock, detail={"of": "doctor"})
        link.publish(topic, encode(event))
        if read.until(lambda desired: event_id in desired.stored, min(_AGAIN_S, left_s)):
            return round((time.monotonic() - began) * 1000)
    return None


def _presence(settings: DaemonSettings, mqtt: MqttSettings, peers: Sequence[str]) -> tuple[tuple[str, Presence], ...]:
    """What the broker has retained of the peers' presence; an access list may hide it, or refuse the question."""
    topics = Topics(mqtt.prefix)
    peer_of = {topics.of(settings.community, peer, Channel.ONLINE): peer for peer in peers}
    seen: dict[str, Presence] = {}
    with _linked(mqtt, settings.device, [(topic, 1) for topic in peer_of]) as (link, heard):
        if _up(heard) is not None:
            return ()
        deadline = time.monotonic() + PRESENCE_WITHIN_S
        while len(seen) < len(peers) and (left_s := deadline - time.monotonic()) > 0:
            try:
                event = heard.get(timeout=left_s)
            except queue.Empty:
                break
            if isinstance(event, Delivery):
                link.ack(event)
                if event.topic in peer_of:
                    seen[peer_of[event.topic]] = decode_presence(event.payload)
    return tuple(seen.items())


@contextmanager
def _linked(
    mqtt: MqttSettings, device: str, subscriptions: list[tuple[str, int]]
) -> Iterator[tuple[MqttLink, queue.SimpleQueue[LinkEvent]]]:
    """A link with the device's identity, which says neither online nor offline: that is the daemon's to say."""
    heard: queue.SimpleQueue[LinkEvent] = queue.SimpleQueue()
    link = MqttLink(
        mqtt,
        client_id=mqtt.client_id or device,
        subscriptions=subscriptions,
        sink=heard.put,
        clean_session=True,
        presence_topic=None,
    )
    link.start()
    try:
        yield link, heard
    finally:
        link.stop(_STOP_S)


def _up(heard: queue.SimpleQueue[LinkEvent]) -> str | None:
    """None once connected and subscribed, else why not; the first word counts."""
    try:
        match heard.get(timeout=UP_WITHIN_S):
            case LinkUp():
                return None
            case LinkDown(reason) | LinkDied(reason):
                return reason
            case _:
                return "?"
    except queue.Empty:
        return f"> {UP_WITHIN_S:g} s"
