"""Topics: what is built is parsed back, and nothing else is ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.errors import PeerError, SetupError
from doorbell.ids import derived_id
from doorbell.wire import Address, Channel, Topics

SLUGS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
PREFIXES = st.from_regex(r"[A-Za-z0-9_-]{1,20}(/[A-Za-z0-9_-]{1,20}){0,3}", fullmatch=True)
DIRECT = [channel for channel in Channel if channel is not Channel.PEER]


@given(prefix=PREFIXES, community=SLUGS, device=SLUGS, other=SLUGS)
def test_what_is_built_is_parsed_back(prefix: str, community: str, device: str, other: str) -> None:
    topics = Topics(prefix)
    for channel in DIRECT:
        assert topics.parse(topics.of(community, device, channel)) == Address(community, device, channel)
    said = topics.parse(topics.peer(community, device, other))
    assert said == Address(community, device, Channel.PEER, other)


def test_the_topics_of_the_contract() -> None:
    topics = Topics()
    assert topics.of("xihu", "button-liu", Channel.EVENT) == "doorbell/v1/xihu/button-liu/event"
    assert topics.peer("xihu", "button-liu", "bell-peng") == "doorbell/v1/xihu/button-liu/peer/bell-peng"
    assert topics.all_of("xihu", Channel.REPORTED) == "doorbell/v1/xihu/+/reported"
    assert topics.peers_of("xihu", "bell-peng") == "doorbell/v1/xihu/+/peer/bell-peng"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "/",
        "doorbell/v1",
        "doorbell/v1/",
        "doorbell/v1/xihu/a",
        "doorbell/v1/xihu/a/",
        "doorbell/v1/xihu/a/event/",
        "doorbell/v1/xihu/a/event/b",
        "doorbell/v1/xihu/a/peer",
        "doorbell/v1/xihu/a/peer/",
        "doorbell/v1/xihu/a/peer/b/c",
        "doorbell/v1/xihu/a/Event",
        "doorbell/v1/xihu/a/event\n",
        "doorbell/v1/xihu/a\n/event",
        "doorbell/v1/xihu\x00/a/event",
        "doorbell/v1/xihu/+/event",
        "doorbell/v1/+/a/event",
        "doorbell/v1/xihu/a/#",
        "doorbell/v1/xihu/a/peer/+",
        "doorbell/v1/xihu//event",
        "doorbell/v1//a/event",
        "/doorbell/v1/xihu/a/event",
        "doorbell/v12/xihu/a/event",
        "doorbell/v1xihu/a/event",
        "doorbell/v1/xihu/柳奶奶/event",
        "doorbell/v1/xihu/A/event",
        "doorbell/v1/xihu/-a/event",
        "doorbell/v1/xihu/a.b/event",
        f"doorbell/v1/xihu/{'a' * 64}/event",
        "doorbell/v1/xihu/a\ud800/event",
        "x" * 65_535,
    ],
)
def test_a_topic_that_is_none_of_ours(topic: str) -> None:
    with pytest.raises(PeerError) as caught:
        Topics().parse(topic)
    assert caught.value.reason == "bad_topic"
    assert len(caught.value.detail) <= 200


@given(st.text(max_size=80) | st.lists(st.text(max_size=9), max_size=5).map(lambda p: "/".join(["doorbell/v1", *p])))
def test_whatever_comes_is_parsed_or_is_the_senders_fault(topic: str) -> None:
    topics = Topics()
    try:
        address = topics.parse(topic)
    except PeerError:
        return
    if address.other is None:
        assert topics.of(address.community, address.device, address.channel) == topic
    else:
        assert topics.peer(address.community, address.device, address.other) == topic


@pytest.mark.parametrize("prefix", ["", "/", "a/", "/a", "a//b", "a/+", "a/#", "a b", "a\n", "柳", "x" * 101, "$SYS/ "])
def test_a_wrong_prefix_is_told_to_the_person_at_the_keyboard(prefix: str) -> None:
    with pytest.raises(SetupError, match="prefix"):
        Topics(prefix)


def test_derived_ids_follow_from_their_parts_alone() -> None:
    assert derived_id("a", "b") == derived_id("a", "b")
    assert len({derived_id("a", "b"), derived_id("ab"), derived_id("a", "b", ""), derived_id("b", "a")}) == 4
    Topics().parse(f"doorbell/v1/xihu/{derived_id('a')}/event")
