"""The wire contract: every topic and payload, as the relay and a device read them; and the stream of packets."""

from __future__ import annotations

from pathlib import Path
from random import Random

from doorbell.errors import PeerError, SetupError
from doorbell.link import Delivery
from doorbell.packets import FIRST_MID, Outbox, PacketSorter
from doorbell.wire import (
    MAX_PAYLOAD_BYTES,
    Channel,
    Desired,
    Event,
    Reported,
    Topics,
    decode,
    decode_presence,
    encode,
)
from doorbell.wire.messages import WireModel
from relay.intake import Heard, read_delivery
from tests.fuzz.mutate import mutate_json
from tests.fuzz.subject import ROOT, Subject, holds, same

GOLDEN = ROOT / "tests" / "golden" / "v1"
_TOPICS = Topics()
_REASONS = {"too_large", "not_json", "unknown_type", "invalid", "bad_topic"}
_MODELS: tuple[type[WireModel], ...] = (Event, Reported, Desired)
_NAMES = ("event", "reported", "desired")


def golden() -> list[tuple[int, bytes]]:
    """The examples of the contract: which message, and its payload."""
    files = sorted(GOLDEN.glob("*.json"))
    return [(_NAMES.index(path.name.partition(".")[0]), Path(path).read_bytes().strip()) for path in files]


def payloads() -> Subject:
    """First byte: which message; the rest is its payload. What is understood is written and read again, twice."""

    def run(data: bytes) -> str:
        kind, payload = (data[0] % 4, data[1:]) if data else (0, b"")
        try:
            if kind == 3:
                same("presence", decode_presence(payload).value.encode(), payload)
                return "presence"
            model = _MODELS[kind]
            message = decode(model, payload)
        except PeerError as error:
            holds(f"a known reason, not {error.reason}", error.reason in _REASONS)
            holds("a detail that fits", len(error.detail) <= 500)
            return error.reason
        written = message.model_dump_json(by_alias=True).encode()
        if len(written) > MAX_PAYLOAD_BYTES:
            return f"{_NAMES[kind]}, larger when written"
        again = decode(model, written)
        same("read again", again, message)
        same("written again", encode(again), written)
        return _NAMES[kind]

    def seeds() -> list[bytes]:
        return [bytes([kind]) + payload for kind, payload in golden()] + [b"\x03online", b"\x03offline"]

    def change(random: Random, data: bytes) -> bytes:
        return mutate_json(random, data, 1)

    words = (b"help", b"null", b'"synced"', b"\\ud800", b"\\u0000", b"2026-11-23T06:43:00.120Z", b"1e999", b"NaN", b"[")
    return Subject(run, seeds, words, change, max_len=MAX_PAYLOAD_BYTES + 64)


def topics() -> Subject:
    """A line with a topic, then a payload: what the relay makes of a delivery."""

    def run(data: bytes) -> str:
        name, _, payload = data.partition(b"\n")
        delivery = Delivery(name.decode("utf-8", "backslashreplace"), payload, generation=1, mid=1, qos=1)
        read = read_delivery(_TOPICS, delivery)
        if not isinstance(read, Heard):
            holds(f"a known reason, not {read.reason}", read.reason in _REASONS | {"not_for_relay"})
            return read.reason
        address = read.address
        same("topic", _TOPICS.of(address.community, address.device, address.channel), delivery.topic)
        return address.channel.value

    def seeds() -> list[bytes]:
        names = [_TOPICS.of("xihushan", "bell-peng", channel).encode() for channel in Channel]
        names += [_TOPICS.peer("xihushan", "button-liu", "bell-peng").encode()]
        return [name + b"\n" + payload for name in names for payload in (b"online", *(p for _, p in golden()[::3]))]

    words = (b"doorbell/v1/", b"/", b"//", b"+", b"#", b"$SYS", b"/peer/", b"/event\n", b"\x00", b"\xed\xa0\x80")
    return Subject(run, seeds, words)


def prefixes() -> Subject:
    """A prefix, a line, a topic: what was built is parsed back."""

    def run(data: bytes) -> str:
        first, _, topic = data.partition(b"\n")
        try:
            made = Topics(first.decode("utf-8", "surrogateescape"))
        except SetupError:
            return "refused"
        try:
            address = made.parse(topic.decode("utf-8", "surrogateescape"))
        except PeerError as error:
            return error.reason
        built = made.of(address.community, address.device, address.channel)
        if address.other is not None:
            built = made.peer(address.community, address.device, address.other)
        same("topic", built.encode(), topic)
        return address.channel.value

    def seeds() -> list[bytes]:
        return [b"doorbell/v1\ndoorbell/v1/a/b/event", b"x\nx/c/d/peer/e", b"a-b_c/d\na-b_c/d/one/two/online"]

    return Subject(run, seeds, (b"/", b"\n", b"peer", b"desired", b"$", b"+"), max_len=400)


def packets() -> Subject:
    """A stream from a broker, in pieces of every size: what comes out may not depend on where it was cut.

    The first byte says how it is cut. After a packet whose length is none paho ends the connection, so the stream is
    compared up to there.
    """

    def run(data: bytes) -> str:
        cut, stream = (data[0], data[1:]) if data else (1, b"")
        stream, whole_packets = _readable(stream)
        at_once = _sorted(stream, len(stream) or 1)
        same("taken in pieces", _sorted(stream, cut % 23 + 1), at_once)
        same("byte by byte", _sorted(stream, 1), at_once)
        arrived, acknowledged, others = at_once
        for _topic, payload, mid, qos, _retained in arrived:
            holds("a payload that is bounded", len(payload) <= MAX_PAYLOAD_BYTES + 1)
            holds("a mid with QoS 1 only", qos in (0, 1) and (qos == 1 or mid == 0))
        holds("mids of ours", all(mid >= FIRST_MID for mid in acknowledged))
        whose = ("some" if arrived else "none", "some" if others else "none")
        return f"{min(whole_packets, 3)} packets, {whose[0]} ours, {whose[1]} paho's"

    def seeds() -> list[bytes]:
        box = Outbox(10)
        for qos in (0, 1):
            for retain in (False, True):
                box.publish("doorbell/v1/xihushan/bell-peng/event", b'{"id": 1}', qos, retain)
        box.publish("t", b"x" * 200, 1, False)
        box.ack(1_000)
        box.ack(65_535)
        connack, suback, ping = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x01", b"\xd0\x00"
        return [b"\x01" + packet for packet in (*box.waiting, connack, suback, ping)] + [
            b"\x07" + b"".join(box.waiting)
        ]

    words = (
        b"\x30",
        b"\x32",
        b"\x3b",
        b"\x40\x02\x03\xe8",
        b"\xff\xff\xff\x7f",
        b"\xff\xff\xff\xff",
        b"\x80\x01",
        b"\x00\x00",
    )
    return Subject(run, seeds, words, max_len=2_048)


def _sorted(stream: bytes, size: int) -> tuple[list[tuple[str, bytes, int, int, bool]], list[int], bytes]:
    sorter, others = PacketSorter(), b""
    for at in range(0, len(stream), size):
        others += sorter.sort(stream[at : at + size])
    return sorter.arrived, sorter.acknowledged, others


def _readable(stream: bytes) -> tuple[bytes, int]:
    """The stream up to the first packet with a length of more than four bytes, and how many whole packets it has."""
    at = count = 0
    while at < len(stream):
        length = place = 0
        while True:
            if place == 4:
                return stream[:at], count
            if at + 1 + place >= len(stream):
                return stream, count
            byte = stream[at + 1 + place]
            length += (byte & 0x7F) * 128**place
            place += 1
            if byte < 0x80:
                break
        at += 1 + place + length
        count += at <= len(stream)
    return stream, count
