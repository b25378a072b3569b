"""What somebody may try at a broker, to get in, or to hear and say what is not theirs; test_intruders.py does it."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import pytest

from doorbell.wire import Channel
from relay.broker_rights import MAX_PACKET_BYTES
from tests.system.fortress import BAD, BELL, FOREIGN, HERE, PANEL, RELAY, THERE, TOPICS, Fortress
from tests.system.intruder import HOST, Intruder, Papers, connect_packet, publish_packet
from tests.system.processes import WITHIN_S
from tests.system.stranger import packet, sized


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody tries; ``act`` fails if they get in, or hear what is not for them."""

    name: str
    act: Callable[[Fortress], None]


# --- false papers, false names ---------------------------------------------------------------------------------------


def shows(name: str | None, client_id: str = BELL) -> Callable[[Fortress], None]:
    """Somebody shows these papers (or none) and must not even be answered."""

    def act(fortress: Fortress) -> None:
        papers = fortress.papers(name) if name is not None else Papers(fortress.folder / BAD / "ca.pem")
        context = papers.context()
        context.load_verify_locations(fortress.folder / BAD / "ca.pem")  # whoever it is, the broker is known to them
        assert not answered(fortress, context, client_id)

    return act


def answered(fortress: Fortress, context: ssl.SSLContext | None, client_id: str) -> bool:
    """Whether a CONNECT is answered with a connection."""
    try:
        with Intruder(fortress.port, context) as one:
            return one.connect(client_id) == 0
    except (OSError, EOFError):
        return False


def speaks_old_tls(fortress: Fortress) -> None:
    context = fortress.papers(BAD).context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    assert not answered(fortress, context, BAD)


def speaks_clear_text(fortress: Fortress) -> None:
    assert not answered(fortress, None, BAD)


def calls_itself(client_id: str, user: str | None = None) -> Callable[[Fortress], None]:
    """A device calls itself otherwise: if it is let in, then as who it is."""

    def act(fortress: Fortress) -> None:
        with suppress(OSError, EOFError), fortress.intruder() as one:
            if one.connect(client_id, user=user) == 0:
                one.say(TOPICS.of(HERE, BELL, Channel.EVENT))
                one.say(TOPICS.of(HERE, BELL, Channel.DESIRED), retain=True)
                one.listen(TOPICS.of(HERE, BELL, Channel.DESIRED))
                fortress.undisturbed()
                assert one.heard() == []

    return act


def replays_a_recording(fortress: Fortress) -> None:
    """Every byte that a device has sent in a whole conversation, once more."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = fortress.papers(BAD).context().wrap_bio(incoming, outgoing, server_hostname=HOST)
    sent = b""

    def pump(sock: socket.socket, step: Callable[[], object]) -> None:
        nonlocal sent
        while True:
            wants = False
            try:
                step()
            except ssl.SSLWantReadError:
                wants = True
            said = outgoing.read()
            sent += said
            sock.sendall(said)
            if not wants:
                return
            incoming.write(sock.recv(65_536))

    with socket.create_connection((HOST, fortress.port), timeout=WITHIN_S) as sock:
        pump(sock, tls.do_handshake)
        pump(sock, lambda: tls.write(connect_packet(BAD)))
        pump(sock, lambda: tls.read(4))
        pump(sock, lambda: tls.write(publish_packet(TOPICS.of(HERE, BELL, Channel.EVENT), b"again", 1)))
    with socket.create_connection((HOST, fortress.port), timeout=WITHIN_S) as sock:
        with suppress(OSError):
            sock.sendall(sent)
        with suppress(OSError):
            while sock.recv(65_536):
                pass


IDENTITIES = [
    Attempt("no TLS", speaks_clear_text),
    Attempt("TLS 1.1", speaks_old_tls),
    Attempt("no certificate", shows(None)),
    Attempt("no certificate, called a relay", shows(None, RELAY)),
    Attempt("foreign authority of the same name, a device", shows("foreign-bell")),
    Attempt("foreign authority of the same name, a relay", shows("foreign-relay", RELAY)),
    Attempt("signed by itself", shows("own-signature")),
    Attempt("signed by another device", shows("signed-by-a-device")),
    Attempt("signed by nobody", shows("signed-by-nobody")),
    Attempt("ended", shows("bell-ended", "bell-ended")),
    Attempt("not yet valid", shows("bell-early", "bell-early")),
    Attempt("replaced, by its old certificate", shows("bell-old", "bell-old")),
    Attempt("called as another device", calls_itself(BELL)),
    Attempt("called as the relay", calls_itself(RELAY)),
    Attempt("called nothing", calls_itself("")),
    Attempt("another's user name and a password", calls_itself(BAD, BELL)),
    Attempt("the relay's user name and a password", calls_itself(RELAY, RELAY)),
    Attempt("a name with wildcards", calls_itself("#", "#")),
    Attempt("a recording of a conversation", replays_a_recording),
]


# --- others' topics --------------------------------------------------------------------------------------------------


def says(topic: str, *, retain: bool = False, payload: bytes = b"intruder", name: str = BAD) -> Attempt:
    """A device says something where it may not."""

    def act(fortress: Fortress) -> None:
        with suppress(OSError, EOFError), fortress.intruder(name) as one:
            code = one.connect(name)
            assert code == 0 or name != BAD
            one.say(topic, payload, retain=retain)

    kind = "erases" if retain and not payload else "retains" if retain else "says"
    return Attempt(f"{name} {kind} {topic}", act)


def listens(topic: str, name: str = BAD) -> Attempt:
    """A device listens where it may not: to those who speak meanwhile, and to what was retained before."""

    def act(fortress: Fortress) -> None:
        with suppress(OSError, EOFError), fortress.intruder(name) as one:
            code = one.connect(name)
            assert code == 0 or name != BAD
            one.listen(topic)
            fortress.undisturbed()
            assert one.heard() == []

    return Attempt(f"{name} listens to {topic}", act)


def dies_with_will(topic: str) -> Attempt:
    """A device leaves a last will where it may not speak, and vanishes."""

    def act(fortress: Fortress) -> None:
        with suppress(OSError, EOFError), fortress.intruder() as one:
            if one.connect(BAD, will=topic) == 0:
                one.vanish()

    return Attempt(f"{BAD} leaves a last will on {topic}", act)


def replays_a_captured_event(fortress: Fortress) -> None:
    """An event as its device has sent it, sent again by another one, under either name."""
    with suppress(OSError, EOFError), fortress.intruder() as one:
        assert one.connect(BAD) == 0
        one.say(TOPICS.of(HERE, BELL, Channel.EVENT), b"event 1")


_BELLS = {channel: TOPICS.of(HERE, BELL, channel) for channel in Channel if channel is not Channel.PEER}
TALK = [
    *(says(topic) for topic in _BELLS.values()),
    says(_BELLS[Channel.DESIRED], retain=True),
    says(_BELLS[Channel.DESIRED], retain=True, payload=b""),
    says(_BELLS[Channel.ONLINE], retain=True, payload=b"offline"),
    says(_BELLS[Channel.REPORTED], retain=True, payload=b""),
    says(TOPICS.of(HERE, BAD, Channel.DESIRED), retain=True),
    says(TOPICS.peer(HERE, PANEL, BELL)),
    says(TOPICS.of(THERE, BAD, Channel.EVENT)),
    says(TOPICS.of(THERE, FOREIGN, Channel.EVENT)),
    says(TOPICS.peer(THERE, BAD, FOREIGN)),
    says(f"{TOPICS.of(HERE, BAD, Channel.EVENT)}/more"),
    says(f"/{TOPICS.of(HERE, BELL, Channel.EVENT)}"),
    says(f"{TOPICS.prefix}/{RELAY}"),
    says("$SYS/broker/version"),
    says(f"$share/x/{_BELLS[Channel.EVENT]}"),
    says("$MQTT/sess/x"),
    says("$JS/API/STREAM/DELETE/$MQTT_sess"),
    says(_BELLS[Channel.EVENT], name="bell-unknown"),
    says(_BELLS[Channel.EVENT], name="broker"),
    says(TOPICS.of(HERE, "bell-new", Channel.EVENT), name="bell-unknown"),
    *(listens(topic) for topic in ("#", "doorbell/#", "doorbell/v1/#", "+/+/+/+/+", "+/+/+/+/desired", "+/#")),
    *(listens(topic) for topic in _BELLS.values()),
    *(listens(TOPICS.all_of(HERE, channel)) for channel in Channel if channel is not Channel.PEER),
    listens(TOPICS.peers_of(HERE, BELL)),
    listens(f"{TOPICS.prefix}/{HERE}/+/peer/+"),
    listens(TOPICS.of(THERE, FOREIGN, Channel.DESIRED)),
    listens(TOPICS.all_of("+", Channel.EVENT)),
    listens(f"{TOPICS.prefix}/{RELAY}"),
    listens("$SYS/#"),
    listens(f"$share/x/{_BELLS[Channel.DESIRED]}"),
    listens("$share/x/#"),
    listens("$MQTT/#"),
    listens("$JS/#"),
    listens("$MQTT/msgs/#"),
    listens("doorbell/v1/#", name="bell-unknown"),
    listens("doorbell/v1/#", name="broker"),
    dies_with_will(_BELLS[Channel.ONLINE]),
    dies_with_will(_BELLS[Channel.EVENT]),
    dies_with_will(_BELLS[Channel.DESIRED]),
    dies_with_will(TOPICS.of(THERE, BAD, Channel.ONLINE)),
    dies_with_will("$SYS/x"),
    Attempt("a captured event, once more", replays_a_captured_event),
]


# --- packets that no decent client sends -----------------------------------------------------------------------------


def sends(name: str, *raw: bytes, introduced: bool = True) -> Attempt:
    """Somebody with good papers sends this, and is thrown out for it."""

    def act(fortress: Fortress) -> None:
        with fortress.intruder() as one:
            if introduced:
                assert one.connect(BAD) == 0
            for part in raw:
                one.send(part)
            one.await_cut()

    return Attempt(name, act)


def half_a_connect(fortress: Fortress) -> None:
    """It is not worth a cut at once, and hinders nobody meanwhile."""
    with fortress.intruder() as one:
        one.send(connect_packet(BAD)[:9])
        fortress.undisturbed()


OWN = TOPICS.of(HERE, BAD, Channel.REPORTED)
PACKETS = [
    sends("a packet over the limit", publish_packet(OWN, bytes(MAX_PACKET_BYTES), 1)),
    sends("a packet of a megabyte", publish_packet(OWN, bytes(1_000_000), 1)),
    sends("a packet that claims 256 MB", b"\x32\xff\xff\xff\x7f" + sized(OWN.encode()) + b"\x00\x01"),
    sends("a length that does not end", b"\x32\xff\xff\xff\xff\xff\xff"),
    sends("packet type 0", b"\x00\x00"),
    sends("packet type 15", b"\xf0\x00"),
    sends("a second CONNECT", connect_packet(BAD)),
    sends("PUBLISH before CONNECT", publish_packet(_BELLS[Channel.EVENT], b"x", 1), introduced=False),
    sends("rubbish instead of CONNECT", os.urandom(512), introduced=False),
    sends("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", introduced=False),
    sends("SUBSCRIBE with wrong flags", packet(0x80, b"\x00\x01" + sized(b"a") + b"\x00")),
    sends("SUBSCRIBE to nothing", packet(0x82, b"\x00\x01")),
    sends("SUBSCRIBE with QoS 3", packet(0x82, b"\x00\x01" + sized(OWN.encode()) + b"\x03")),
    sends("PUBLISH with QoS 3", packet(0x36, sized(OWN.encode()) + b"\x00\x01x")),
    sends("PUBLISH to a wildcard", publish_packet(f"{TOPICS.prefix}/{HERE}/+/event", b"x", 1)),
    sends("a topic that is longer than its packet", b"\x32\x05\xff\xffabc"),
    sends("a topic that is no UTF-8", publish_packet(b"doorbell/\xff\xfe", b"x", 1)),
    sends(
        "a CONNECT with a reserved flag",
        packet(0x10, sized(b"MQTT") + b"\x04\x03\x00\x3c" + sized(b"x")),
        introduced=False,
    ),
    sends(
        "a CONNECT of another protocol",
        packet(0x10, sized(b"AMQP") + b"\x04\x02\x00\x3c" + sized(b"x")),
        introduced=False,
    ),
    sends("a CONNECT that is cut short", packet(0x10, sized(b"MQTT") + b"\x04\x02"), introduced=False),
    Attempt("half a CONNECT", half_a_connect),
]


# --- floods ----------------------------------------------------------------------------------------------------------


def connects_often(count: int) -> Callable[[Fortress], None]:
    """Connections from one address that say nothing, all at once."""

    def act(fortress: Fortress) -> None:
        with ExitStack() as held:
            for number in range(count):
                held.enter_context(socket.create_connection((HOST, fortress.port), timeout=WITHIN_S))
                if number % 1_000 == 100:
                    fortress.undisturbed()
            fortress.undisturbed()
            # Not by paho, whose select() knows no more than 1,024 files, of which this process has more now.
            assert answered(fortress, fortress.papers("bell-new").context(), "bell-old"), "others are let in meanwhile"
        fortress.undisturbed()

    return act


def shakes_hands_often(fortress: Fortress) -> None:
    """Handshakes without a certificate, which cost the broker a signature each."""
    context = Papers(fortress.folder / BAD / "ca.pem").context()
    for _ in range(200):
        assert not answered(fortress, context, BAD)


def holds_handshakes(fortress: Fortress) -> None:
    """The first bytes of a handshake, a hundred times, and no more."""
    hello = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        fortress.papers(BAD).context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname=HOST).do_handshake()
    first = hello.read()
    with ExitStack() as held:
        for _ in range(100):
            sock = held.enter_context(socket.create_connection((HOST, fortress.port), timeout=WITHIN_S))
            sock.sendall(first[:100])
        fortress.undisturbed()


FLOODS = [
    Attempt("300 connections from one address", connects_often(300)),
    Attempt("200 handshakes without a certificate", shakes_hands_often),
    Attempt("100 handshakes that stop half-way", holds_handshakes),
]
ATTEMPTS = [*IDENTITIES, *TALK, *PACKETS, *FLOODS]
