"""The simulated broker and its lines: what MQTT promises, and nothing more."""

from __future__ import annotations

from random import Random

import pytest

from doorbell.link import Delivery, LinkDown, LinkEvent, LinkUp
from sim.link import MAX_BACKOFF_MS, SimLink
from sim.network import RELAY, SimBroker, Weather
from sim.schedule import Fuse, ProcessDied, Schedule, Trail, Violation

ONLINE, EVENT, DESIRED = (f"doorbell/v1/west-lake/bell-1/{channel}" for channel in ("online", "event", "desired"))


class Client:
    """A process with a link, and everything that came over it."""

    def __init__(self, broker: SimBroker, name: str) -> None:
        self.fuse = Fuse()
        self.heard: list[LinkEvent] = []
        self.sent: list[str] = []
        self.link = SimLink(
            broker,
            name,
            sink=self.heard.append,
            fuse=self.fuse,
            presence_topic=None if name.startswith(RELAY) else ONLINE,
            on_publish=lambda topic, payload: self.sent.append(topic),
        )
        self.link.start()

    @property
    def messages(self) -> list[tuple[str, bytes]]:
        return [(one.topic, one.payload) for one in self.heard if isinstance(one, Delivery)]

    def ack_all(self) -> None:
        for one in self.heard:
            if isinstance(one, Delivery):
                self.link.ack(one)
        self.heard.clear()


class Net:
    """A broker, the relay's link and one bell's."""

    def __init__(self) -> None:
        self.schedule = Schedule()
        self.broker = SimBroker(self.schedule, Random(1), Trail(self.schedule))
        self.relay = Client(self.broker, RELAY)
        self.bell = Client(self.broker, "bell-1")
        self.run(1_000)

    def run(self, ms: int) -> None:
        self.schedule.run_until(self.schedule.now_ms + ms)


@pytest.fixture
def net() -> Net:
    return Net()


def test_a_connection_begins_with_link_up_and_says_online(net: Net) -> None:
    assert net.bell.heard == [LinkUp(1)]
    assert net.relay.heard[0] == LinkUp(1)
    assert (ONLINE, b"online") in net.relay.messages


def test_what_the_relay_does_not_acknowledge_comes_again_at_its_next_connection_and_not_later(net: Net) -> None:
    net.relay.ack_all()
    net.bell.link.publish(EVENT, b"1")
    net.bell.link.publish(EVENT, b"2")
    net.run(100)
    first = next(one for one in net.relay.heard if isinstance(one, Delivery))
    net.relay.link.ack(first)
    net.run(100)
    net.relay.heard.clear()
    net.broker.drop(RELAY)
    net.run(MAX_BACKOFF_MS)
    assert [one for one in net.relay.messages if one[0] == EVENT] == [(EVENT, b"2")]
    net.relay.ack_all()
    net.run(100)
    net.broker.drop(RELAY)
    net.run(MAX_BACKOFF_MS)
    assert [one for one in net.relay.messages if one[0] == EVENT] == []


def test_an_acknowledgement_of_an_old_connection_acknowledges_nothing(net: Net) -> None:
    net.relay.ack_all()
    net.bell.link.publish(EVENT, b"1")
    net.run(100)
    (old,) = [one for one in net.relay.heard if isinstance(one, Delivery)]
    net.broker.drop(RELAY)
    net.run(MAX_BACKOFF_MS)
    net.relay.link.ack(old)
    net.run(100)
    net.relay.heard.clear()
    net.broker.drop(RELAY)
    net.run(MAX_BACKOFF_MS)
    assert (EVENT, b"1") in net.relay.messages


def test_a_device_that_was_away_gets_the_retained_state_and_not_the_ones_between(net: Net) -> None:
    net.broker.cut("bell-1", 10, 10)
    net.run(100)
    assert isinstance(net.bell.heard[-1], LinkDown)
    for payload in (b"1", b"2", b"3"):
        net.relay.link.publish(DESIRED, payload, retain=True)
    net.run(1_000)
    net.broker.mend("bell-1")
    net.run(MAX_BACKOFF_MS * 2)
    assert net.bell.messages == [(DESIRED, b"3")]


def test_a_cut_line_holds_what_was_sent_until_one_end_gives_up(net: Net) -> None:
    net.relay.ack_all()
    net.broker.cut("bell-1", 5_000, 60_000)
    assert net.bell.link.publish(EVENT, b"held")
    net.run(1_000)
    assert net.relay.messages == []
    net.broker.mend("bell-1")
    net.run(100)
    assert net.relay.messages == [(EVENT, b"held")]
    net.broker.cut("bell-1", 5_000, 60_000)
    net.bell.link.publish(EVENT, b"lost")
    net.run(6_000)
    net.broker.mend("bell-1")
    net.run(200_000)
    assert (EVENT, b"lost") not in net.relay.messages


def test_the_will_is_published_when_the_process_dies_and_by_a_takeover_before_the_birth(net: Net) -> None:
    net.relay.ack_all()
    net.bell.link.die(0)
    net.run(100)
    assert net.relay.messages == [(ONLINE, b"offline")]
    net.relay.ack_all()
    half_open = Client(net.broker, "bell-1")
    net.run(1_000)
    half_open.link.die(60_000)
    Client(net.broker, "bell-1")
    net.run(1_000)
    assert [payload for _, payload in net.relay.messages] == [b"online", b"offline", b"online"]


@pytest.mark.parametrize(
    ("retained", "found"), [("kept", [(DESIRED, b"2")]), ("saved", [(DESIRED, b"1")]), ("lost", [])]
)
def test_a_broker_that_crashes_forgets_as_told(net: Net, retained: str, found: list[tuple[str, bytes]]) -> None:
    net.relay.link.publish(DESIRED, b"1", retain=True)
    net.run(100)
    net.broker.autosave()
    net.relay.link.publish(DESIRED, b"2", retain=True)
    net.run(100)
    net.bell.heard.clear()
    net.broker.stop(session="lost", retained=retained)
    net.run(100)
    assert not net.bell.link.publish(EVENT, b"nobody listens")
    net.broker.start()
    net.run(MAX_BACKOFF_MS * 2)
    assert net.bell.messages == found


def test_bad_weather_loses_repeats_and_overtakes(net: Net) -> None:
    net.relay.ack_all()
    net.broker.weather = Weather(loss=0.1, repeat=0.1, overtake=0.3, max_ms=200)
    sent = [str(number).encode() for number in range(500)]
    for payload in sent:
        net.bell.link.publish(EVENT, payload)
        net.run(20)
    net.run(10_000)
    got = [payload for _, payload in net.relay.messages]
    assert set(got) < set(sent)
    assert len(got) > len(set(got))
    assert got != sorted(got, key=int)


def test_a_fuse_kills_at_the_call_it_was_set_to(net: Net) -> None:
    net.bell.fuse.light(2)
    net.bell.link.publish(EVENT, b"1")
    net.bell.link.publish(EVENT, b"2")
    with pytest.raises(ProcessDied):
        net.bell.link.publish(EVENT, b"3")
    net.run(100)
    assert [payload for topic, payload in net.relay.messages if topic == EVENT] == [b"1", b"2"]


def test_something_that_wakes_itself_for_ever_is_a_violation() -> None:
    schedule = Schedule()

    def again() -> None:
        schedule.after(0, again)

    again()
    with pytest.raises(Violation, match="time stands still"):
        schedule.run_until(1)


def test_each_of_several_relays_has_a_session_and_hears_what_devices_are_told() -> None:
    schedule = Schedule()
    broker = SimBroker(schedule, Random(5), Trail(schedule), ("relay-1", "relay-2"))
    one, two, device = (Client(broker, name) for name in ("relay-1", "relay-2", "bell-1"))
    schedule.run_until(1_000)
    device.link.publish(EVENT, b"1")
    schedule.run_until(2_000)
    one.ack_all()
    schedule.run_until(3_000)
    for relay in (one, two):
        relay.heard.clear()
        broker.drop(relay.link.client)
    one.link.publish(DESIRED, b"7", retain=True)
    schedule.run_until(60_000)
    assert [payload for topic, payload in one.messages if topic == EVENT] == []
    assert [payload for topic, payload in two.messages if topic == EVENT] == [b"1"]
    one.link.publish(DESIRED, b"8", retain=True)
    one.link.publish("doorbell/v1/relay-1", b"word", qos=0)
    schedule.run_until(61_000)
    assert {(DESIRED, b"8"), ("doorbell/v1/relay-1", b"word")} <= set(one.messages)
    assert (DESIRED, b"8") in two.messages
    assert (DESIRED, b"8") in device.messages
    assert not [topic for topic, _ in two.messages if topic.endswith("relay-1")]


def test_a_process_that_is_stopped_connects_when_it_goes_on() -> None:
    schedule = Schedule()
    broker = SimBroker(schedule, Random(5), Trail(schedule))
    relay = Client(broker, RELAY)
    schedule.run_until(1_000)
    stopped = True
    relay.link.stopped = lambda: stopped
    broker.unanswered(RELAY)
    schedule.run_until(120_000)
    assert not relay.link.connected
    stopped = False
    schedule.run_until(121_000)
    assert relay.link.connected
