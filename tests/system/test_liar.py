"""The lying broker of the fault table lies as it says, wherever the network cuts its packets, and loses nothing."""

from __future__ import annotations

import pytest

from tests.system.liar import Gossip, Lie, Lies


def message(topic: str, payload: bytes, *, qos: int = 1) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic.encode() + (b"\x00\x07" if qos else b"") + payload
    size, head = len(body), bytearray([0x30 | qos << 1])
    while True:
        size, digit = divmod(size, 128)
        head.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(head) + body


ONE, TWO, THREE = message("a/event", b"1"), message("b/event", b"2" * 300), message("a/online", b"online", qos=0)
PING = b"\xd0\x00"


def said(lie: Lie, stream: bytes, piece: int) -> tuple[bytes, Gossip, Lies]:
    lies = Lies(lie)
    gossip = Gossip(lies)
    pieces = (stream[start : start + piece] for start in range(0, len(stream), piece))
    return b"".join(map(gossip.pass_on, pieces)), gossip, lies


@pytest.mark.parametrize("piece", [1, 3, 1000])
@pytest.mark.parametrize(
    ("lie", "heard", "told"),
    [
        (Lie.NONE, ONE + PING + TWO + THREE, 0),
        (Lie.TWICE, ONE + ONE + PING + TWO + TWO + THREE + THREE, 3),
        (Lie.SWAPPED, PING + TWO + ONE, 1),
    ],
)
def test_each_lie_is_told_at_the_edges_of_packets(lie: Lie, heard: bytes, told: int, piece: int) -> None:
    out, gossip, lies = said(lie, ONE + PING + TWO + THREE, piece)
    assert (out, lies.told) == (heard, told)
    assert gossip.release() == (THREE if lie is Lie.SWAPPED else b"")
    assert not gossip.holds
    assert list(lies.history) == [("a/event", b"1"), ("b/event", b"2" * 300), ("a/online", b"online")]


def test_messages_of_one_topic_keep_their_order() -> None:
    again = message("a/event", b"3")
    out, gossip, lies = said(Lie.SWAPPED, ONE + again, 1000)
    assert (out, gossip.holds, lies.told) == (ONE + again, False, 0)


def test_a_message_that_is_held_when_the_lie_ends_comes_with_the_next() -> None:
    out, gossip, lies = said(Lie.SWAPPED, ONE, 1000)
    assert (out, gossip.holds) == (b"", True)
    lies.lie = Lie.NONE
    assert gossip.pass_on(TWO) == TWO + ONE
