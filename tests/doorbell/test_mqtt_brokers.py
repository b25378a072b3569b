"""What the wire contract needs of a broker and the link together: the same tests on every broker."""

import queue
import threading

import pytest

from doorbell.link import Delivery, LinkDown, LinkEvent, LinkUp
from tests.system.brokers import Broker
from tests.system.link_probe import WITHIN_S, LinkProbe, fast_settings, probing

pytestmark = pytest.mark.system

ROOT = "doorbell/v1/west-lake"
ALL = [(f"{ROOT}/+/{channel}", 1) for channel in ("event", "reported", "online")]


def relay(broker: Broker, client_id: str = "relay-a") -> LinkProbe:
    return LinkProbe(fast_settings(broker.port), client_id, ALL, clean_session=False)


def device(broker: Broker, name: str) -> LinkProbe:
    return LinkProbe(
        fast_settings(broker.port),
        name,
        [(f"{ROOT}/{name}/desired", 1), (f"{ROOT}/+/peer/{name}", 1)],
        presence_topic=f"{ROOT}/{name}/online",
    )


def cut(probe: LinkProbe) -> None:
    """What a lost Wi-Fi does: the connection ends without a DISCONNECT."""
    connection = probe.link._open
    assert connection is not None
    connection.cut()


def test_an_event_goes_up_and_a_desired_state_down(broker: Broker) -> None:
    up, panel = relay(broker), device(broker, "button-liu")
    assert up.expect(LinkUp) == LinkUp(1)
    assert panel.expect(LinkUp) == LinkUp(1)
    assert panel.link.publish(f"{ROOT}/button-liu/event", b'{"id":1}')
    press = up.message(f"{ROOT}/button-liu/event", b'{"id":1}')
    assert (press.qos, press.retained) == (1, False)
    up.link.ack(press)
    assert up.link.publish(f"{ROOT}/button-liu/desired", b'{"rev":1}', retain=True)
    panel.link.ack(panel.message(f"{ROOT}/button-liu/desired", b'{"rev":1}'))
    for probe in (panel, up):
        assert probe.link.stop(WITHIN_S)


def test_a_device_that_was_off_gets_the_newest_desired_state_and_nothing_else(broker: Broker) -> None:
    topic = f"{ROOT}/bell-peng/desired"
    with (
        probing(fast_settings(broker.port), "relay-a") as up,
        probing(fast_settings(broker.port), "witness", [(topic, 1)]) as witness,
    ):
        for revision in (b"1", b"2", b"3"):
            assert up.link.publish(topic, revision, retain=True)
        witness.message(topic, b"3")
        with probing(fast_settings(broker.port), "bell-peng", [(topic, 1)]) as bell:
            got = bell.expect_next(Delivery)
            assert (got.payload, got.retained) == (b"3", True)


def test_the_will_says_offline_when_a_device_is_cut_off_and_online_when_it_is_back(broker: Broker) -> None:
    watcher = relay(broker)
    watcher.expect(LinkUp)
    bell = device(broker, "bell-peng")
    bell.expect(LinkUp)
    for said in (b"online", b"offline", b"online"):
        watcher.link.ack(watcher.message(f"{ROOT}/bell-peng/online", said))
        if said == b"online":
            cut(bell)
    assert bell.expect(LinkUp).generation == 2
    for probe in (bell, watcher):
        probe.link.stop(WITHIN_S)


def test_a_clean_stop_says_offline_and_leaves_it_retained(broker: Broker) -> None:
    bell = device(broker, "bell-peng")
    bell.expect(LinkUp)
    assert bell.link.stop(WITHIN_S) is True
    with probing(fast_settings(broker.port), "late", [(f"{ROOT}/+/online", 1)]) as late:
        got = late.expect_next(Delivery)
        assert (got.topic, got.payload, got.retained) == (f"{ROOT}/bell-peng/online", b"offline", True)


def test_stop_with_a_blocked_sink_still_says_offline(broker: Broker) -> None:
    """The program hangs, its queue is full: the broker tells it by our last will."""
    topic = f"{ROOT}/bell-peng/online"
    release, full = threading.Event(), threading.Event()
    seen: queue.Queue[LinkEvent] = queue.Queue()

    def sink(event: LinkEvent) -> None:
        seen.put(event)
        if isinstance(event, Delivery):
            full.set()
            release.wait(WITHIN_S)

    watcher = relay(broker)
    watcher.expect(LinkUp)
    bell = LinkProbe(
        fast_settings(broker.port), "bell-peng", [(f"{ROOT}/bell-peng/desired", 1)], presence_topic=topic, sink=sink
    )
    assert isinstance(seen.get(timeout=WITHIN_S), LinkUp)
    watcher.message(topic, b"online")
    watcher.link.publish(f"{ROOT}/bell-peng/desired", b"x")
    assert full.wait(WITHIN_S)
    assert bell.link.stop(0.2) is False
    watcher.message(topic, b"offline")
    release.set()
    watcher.link.stop(WITHIN_S)


def test_a_device_leaves_in_good_order_when_it_is_asked_to_and_comes_back(broker: Broker) -> None:
    """With its new certificate, which is looked up at every try."""
    watcher = relay(broker)
    watcher.expect(LinkUp)
    bell = device(broker, "bell-peng")
    bell.expect(LinkUp)
    bell.link.reconnect("to show another certificate")
    assert bell.expect_next(LinkDown).reason == "to show another certificate"
    assert bell.expect_next(LinkUp).generation == 2
    for said in (b"online", b"offline", b"online"):
        watcher.link.ack(watcher.message(f"{ROOT}/bell-peng/online", said))
    assert bell.events.empty()
    for probe in (bell, watcher):
        assert probe.link.stop(WITHIN_S)


def test_what_was_not_acked_comes_again_after_a_reconnect_and_what_was_does_not(broker: Broker) -> None:
    up, panel = relay(broker), device(broker, "button-liu")
    up.expect(LinkUp)
    panel.expect(LinkUp)
    topic = f"{ROOT}/button-liu/event"
    for payload in (b"acked", b"unacked"):
        panel.link.publish(topic, payload)
    up.link.ack(up.message(topic, b"acked"))
    first = up.message(topic, b"unacked")
    # Comes back only after the broker has read the acknowledgement before it.
    up.link.publish(f"{ROOT}/relay-a/event", b"marker")
    up.message(f"{ROOT}/relay-a/event", b"marker")
    cut(up)
    assert up.expect(LinkUp) == LinkUp(2)
    up.passed.clear()
    again = up.message(topic, b"unacked")
    assert again.generation == 2
    up.link.ack(first)  # stale: it must not settle the redelivery
    cut(up)
    assert up.expect(LinkUp) == LinkUp(3)
    up.link.ack(up.message(topic, b"unacked"))
    assert not [event for event in up.passed if isinstance(event, Delivery) and event.payload == b"acked"]
    for probe in (panel, up):
        probe.link.stop(WITHIN_S)


def test_events_sent_while_the_relay_was_away_wait_for_it(broker: Broker) -> None:
    up = relay(broker)
    up.expect(LinkUp)
    assert up.link.stop(WITHIN_S)
    with probing(fast_settings(broker.port), "button-liu") as panel:
        for number in range(50):
            assert panel.link.publish(f"{ROOT}/button-liu/event", b"%d" % number)
        back = relay(broker)
        assert back.expect(LinkUp) == LinkUp(1)
        got: set[bytes] = set()
        while len(got) < 50:  # a broker has a window: mosquitto sends 20 before it wants an acknowledgement
            delivery = back.expect(Delivery)
            back.link.ack(delivery)
            got.add(delivery.payload)
        assert got == {b"%d" % number for number in range(50)}
        back.link.stop(WITHIN_S)


def test_the_link_comes_back_when_the_broker_was_killed_and_what_it_had_acknowledged_was_told_down(
    broker: Broker,
) -> None:
    up, panel = relay(broker), device(broker, "button-liu")
    assert (up.expect(LinkUp), panel.expect(LinkUp)) == (LinkUp(1), LinkUp(1))
    broker.kill()
    for probe in (up, panel):
        assert probe.expect(LinkDown).reason == "the broker closed the connection"
        assert "nothing listens at" in probe.expect(LinkDown).reason
        assert probe.link.publish(f"{ROOT}/x/event", b"x") is False
    broker.start()
    for probe in (up, panel):
        assert probe.expect(LinkUp) == LinkUp(2)
    panel.link.publish(f"{ROOT}/button-liu/event", b"after")
    up.message(f"{ROOT}/button-liu/event", b"after")
    for probe in (panel, up):
        probe.link.stop(WITHIN_S)


def test_a_broker_stopped_in_good_order_keeps_sessions_and_retained_messages(broker: Broker) -> None:
    up = relay(broker)
    up.expect(LinkUp)
    assert up.link.publish(f"{ROOT}/bell-peng/desired", b"kept", retain=True)
    with probing(fast_settings(broker.port), "button-liu") as panel:
        panel.link.publish(f"{ROOT}/button-liu/event", b"unacked")
        up.message(f"{ROOT}/button-liu/event", b"unacked")
    broker.stop()
    broker.start()
    assert up.expect(LinkUp) == LinkUp(2)
    up.message(f"{ROOT}/button-liu/event", b"unacked")
    with probing(fast_settings(broker.port), "bell-peng", [(f"{ROOT}/bell-peng/desired", 1)]) as bell:
        assert bell.expect_next(Delivery).payload == b"kept"
    up.link.stop(WITHIN_S)


def test_a_second_client_with_the_same_id_ends_the_first(broker: Broker) -> None:
    first = LinkProbe(fast_settings(broker.port).model_copy(update={"backoff_min_s": 60.0}), "relay-a")
    first.expect(LinkUp)
    with probing(fast_settings(broker.port), "relay-a"):
        assert first.expect(LinkDown).reason == "the broker closed the connection"
    assert first.link.stop(WITHIN_S)


def test_devices_speak_to_each_other_directly(broker: Broker) -> None:
    panel, bell = device(broker, "button-liu"), device(broker, "bell-peng")
    panel.expect(LinkUp)
    bell.expect(LinkUp)
    panel.link.publish(f"{ROOT}/button-liu/peer/bell-peng", b"help")
    bell.link.ack(bell.message(f"{ROOT}/button-liu/peer/bell-peng", b"help"))
    bell.link.publish(f"{ROOT}/bell-peng/peer/button-liu", b"accept")
    panel.link.ack(panel.message(f"{ROOT}/bell-peng/peer/button-liu", b"accept"))
    for probe in (panel, bell):
        probe.link.stop(WITHIN_S)


def test_a_burst_of_two_thousand_arrives_complete(broker: Broker) -> None:
    up, panel = relay(broker), device(broker, "button-liu")
    up.expect(LinkUp)
    panel.expect(LinkUp)
    topic = f"{ROOT}/button-liu/event"
    for number in range(2000):
        assert panel.link.publish(topic, b"%d" % number)
    got: set[bytes] = set()
    while len(got) < 2000:
        delivery = up.expect(Delivery)
        if delivery.topic == topic:
            got.add(delivery.payload)
        up.link.ack(delivery)
    for probe in (panel, up):
        probe.link.stop(WITHIN_S)


def test_a_message_of_a_megabyte_stops_nobody_else(broker: Broker) -> None:
    """A broker may pass it on or throw its sender out; the relay's link stays up and goes on."""
    up, panel, rude = relay(broker), device(broker, "button-liu"), device(broker, "button-rude")
    for probe in (up, panel, rude):
        probe.expect(LinkUp)
    rude.link.publish(f"{ROOT}/button-rude/event", b"x" * 1024 * 1024)
    panel.link.publish(f"{ROOT}/button-liu/event", b"help")
    up.message(f"{ROOT}/button-liu/event", b"help")
    assert not [event for event in up.passed if isinstance(event, LinkDown)]
    for probe in (rude, panel, up):
        probe.link.stop(WITHIN_S)
