"""PUBLISH and PUBACK, read and written without paho: every byte as MQTT 3.1.1 wants it, however the stream is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.packets import FIRST_MID, LAST_MID, Arrived, Outbox, PacketSorter
from doorbell.wire import MAX_PAYLOAD_BYTES

SIZES = [0, 1, 50, 127, 128, 200, 8192, 16_383, 16_384, 20_000, 2_097_151, 2_097_160]
"""Payloads around the limits of each byte of the remaining length."""
PINGRESP, SUBACK = b"\xd0\x00", b"\x90\x03\x00\x01\x01"


def length(size: int) -> bytes:
    """The remaining length, as section 2.2.3 of the standard writes it."""
    out = b""
    while True:
        size, digit = divmod(size, 128)
        if not size:
            return out + bytes([digit])
        out += bytes([digit | 0x80])


def packet(
    topic: bytes, payload: bytes, *, mid: int = 0, qos: int = 1, retain: bool = False, dup: bool = False
) -> bytes:
    """A PUBLISH as a broker sends it."""
    body = len(topic).to_bytes(2, "big") + topic + (mid.to_bytes(2, "big") if qos else b"") + payload
    return bytes([0x30 | dup << 3 | qos << 1 | retain]) + length(len(body)) + body


def puback(mid: int) -> bytes:
    """A PUBACK."""
    return b"\x40\x02" + mid.to_bytes(2, "big")


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[Arrived], list[int], bytes]:
    """Packets in a row, and what is to be found in them."""
    stream, arrived, acknowledged, others = b"", [], [], b""
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["publish", "puback", "puback of paho", "other", "qos 2"]))
        mid = draw(st.integers(1, LAST_MID))
        if kind == "publish":
            topic, payload = draw(st.text(min_size=1, max_size=9)), draw(st.binary(max_size=200))
            qos, retain, dup = draw(st.sampled_from([0, 1])), draw(st.booleans()), draw(st.booleans())
            stream += packet(topic.encode(), payload, mid=mid, qos=qos, retain=retain, dup=dup)
            arrived.append((topic, payload, mid if qos else 0, qos, retain))
        elif kind == "puback":
            acknowledged.append(max(mid, FIRST_MID))
            stream += puback(acknowledged[-1])
        else:
            others_now = {
                "puback of paho": puback(mid % FIRST_MID),
                "other": draw(st.sampled_from([PINGRESP, SUBACK])),
                "qos 2": packet(b"a", b"b", mid=mid, qos=2),
            }[kind]
            stream += others_now
            others += others_now
    return stream, arrived, acknowledged, others


@given(streams(), st.data())
def test_however_the_stream_is_cut_each_packet_goes_where_it_belongs(
    made: tuple[bytes, list[Arrived], list[int], bytes], data: st.DataObject
) -> None:
    stream, arrived, acknowledged, others = made
    sorter, rest = PacketSorter(), b""
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        rest += sorter.sort(stream[:size])
        stream = stream[size:]
    assert (sorter.arrived, sorter.acknowledged, rest) == (arrived, acknowledged, others)


@pytest.mark.parametrize("size", SIZES)
def test_a_packet_of_any_size_is_written_and_read_and_a_huge_payload_is_cut(size: int) -> None:
    outbox = Outbox(10)
    assert outbox.publish("d/a/desired", b"x" * size, 1, True)
    (written,) = outbox.waiting
    assert written == packet(b"d/a/desired", b"x" * size, mid=FIRST_MID, retain=True)
    sorter = PacketSorter()
    for start in range(0, len(written), 65_536):
        assert sorter.sort(written[start : start + 65_536]) == b""
    cut = min(size, MAX_PAYLOAD_BYTES + 1)
    assert sorter.arrived == [("d/a/desired", b"x" * cut, FIRST_MID, 1, True)]


@pytest.mark.parametrize(
    "broken",
    [
        b"\x32\x80\x80\x80\x80\x01" + b"x" * 20,  # a length of five bytes
        b"\x32\x02\x00\x09",  # a topic that is longer than its packet
        b"\x32\x03\x00\x01a",  # QoS 1 without a message id
        b"\x32\x04\x00\x00\x00\x07",  # no topic
        b"\x32\x01\x00",
        b"\x30\x00",
        b"\x40\x01\x07",
        b"\x41\x02\x07\xd0",  # a PUBACK with a flag
        b"\x36\x06\x00\x01a\x00\x07x",  # QoS 3
    ],
)
def test_what_is_broken_is_left_to_paho_with_every_byte(broken: bytes) -> None:
    sorter = PacketSorter()
    assert sorter.sort(puback(FIRST_MID) + broken) == broken
    assert (sorter.arrived, sorter.acknowledged) == ([], [FIRST_MID])


def test_a_message_id_is_used_again_only_when_the_broker_has_acknowledged_it() -> None:
    outbox = Outbox(LAST_MID)
    ids = range(FIRST_MID, LAST_MID + 1)
    for mid in ids:
        assert outbox.publish("t", b"", 1, False)
        assert outbox.waiting.pop()[-2:] == mid.to_bytes(2, "big")
    outbox.settled([FIRST_MID + 7])
    assert outbox.publish("t", b"", 1, False)
    assert outbox.waiting.pop()[-2:] == (FIRST_MID + 7).to_bytes(2, "big")


def test_what_the_broker_owes_is_limited_and_qos_0_owes_nothing() -> None:
    outbox = Outbox(2)
    assert [outbox.publish("t", b"p", 1, False) for _ in range(3)] == [True, True, False]
    assert outbox.publish("t", b"p", 0, False)
    assert outbox.waiting.pop() == packet(b"t", b"p", qos=0)
    outbox.settled([FIRST_MID, FIRST_MID])
    assert [outbox.publish("t", b"p", 1, False) for _ in range(2)] == [True, False]


def test_an_acknowledgement_is_written() -> None:
    outbox = Outbox(1)
    outbox.ack(0x1234)
    assert list(outbox.waiting) == [puback(0x1234)]
