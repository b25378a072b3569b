"""The link, packet by packet, against a broker that the test plays."""

import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from doorbell.connection import DEAD_PEER_MS, MAX_UNACKED
from doorbell.errors import SetupError
from doorbell.link import Delivery, LinkDied, LinkDown, LinkEvent, LinkUp
from doorbell.mqtt import MqttLink
from doorbell.settings import MqttSettings, TlsSettings
from sim.broker import free_port
from tests.doorbell.scripted_broker import CONNECT, DISCONNECT, PUBACK, ScriptedBroker
from tests.system.link_probe import WITHIN_S, LinkProbe

FILTER = [("d/+/event", 1)]


@pytest.fixture
def scripted() -> Iterator[ScriptedBroker]:
    with ScriptedBroker() as broker:
        yield broker


def test_up_comes_only_after_every_subscription_is_granted(scripted: ScriptedBroker) -> None:
    probe = LinkProbe(scripted.settings, subscriptions=FILTER)
    peer = scripted.accept()
    peer.connack()
    peer.expect(8)
    assert probe.events.empty()
    assert probe.link.publish("d/a/event", b"too early") is False
    peer.sock.sendall(bytes([0x90, 3, 0, 1, 1]))
    assert probe.expect_next(LinkUp).generation == 1
    assert probe.link.publish("d/a/event", b"now") is True
    probe.link.stop(0.2)


def test_what_comes_before_the_suback_is_told_after_up_and_in_order(scripted: ScriptedBroker) -> None:
    probe = LinkProbe(scripted.settings, subscriptions=FILTER, clean_session=False)
    peer = scripted.accept()
    peer.connack()
    peer.publish(b"d/a/event", b"one", 7)
    peer.publish(b"d/a/event", b"two", 8, retain=True)
    peer.suback(1)
    peer.publish(b"d/a/event", b"three", 9)
    assert probe.expect_next(LinkUp) == LinkUp(1)
    assert [probe.expect_next(Delivery) for _ in range(3)] == [
        Delivery("d/a/event", b"one", 1, 7, 1),
        Delivery("d/a/event", b"two", 1, 8, 1, retained=True),
        Delivery("d/a/event", b"three", 1, 9, 1),
    ]
    probe.link.stop(0.2)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (2, "Client identifier not valid"),
        (3, "Server unavailable"),
        (4, "Bad user name or password"),
        (5, "Not authorized"),
    ],
)
def test_a_refusal_is_told_in_words_and_tried_again(scripted: ScriptedBroker, code: int, words: str) -> None:
    probe = LinkProbe(scripted.settings)
    scripted.accept().connack(code)
    assert probe.expect_next(LinkDown).reason == f"the broker refused us: {words}"
    scripted.accept().connack()
    assert probe.expect_next(LinkUp) == LinkUp(1)
    probe.link.stop(0.2)


@pytest.mark.parametrize("granted", [0x80, 0])
def test_a_subscription_refused_or_granted_less_than_asked_ends_the_connection(
    scripted: ScriptedBroker, granted: int
) -> None:
    """QoS 0 instead of 1 would lose what was not acknowledged: as bad as a refusal."""
    probe = LinkProbe(scripted.settings, subscriptions=[*FILTER, ("d/+/online", 1)])
    peer = scripted.accept()
    peer.connack()
    peer.suback(1, granted)
    assert probe.expect_next(LinkDown).reason == "the broker refused the subscription of d/+/online"
    assert peer.read() == (0, b"")
    second = scripted.accept()
    second.connack()
    second.suback(1, 1)
    assert probe.expect_next(LinkUp) == LinkUp(1)
    probe.link.stop(0.2)


def test_an_ack_reaches_the_broker_once(scripted: ScriptedBroker) -> None:
    """The broker may use the id again after the first: a second acknowledgement would hit an unprocessed message."""
    probe = LinkProbe(scripted.settings, subscriptions=FILTER)
    peer = scripted.accept()
    peer.connack()
    peer.suback(1)
    peer.publish(b"d/a/event", b"one", 7)
    delivery = probe.expect(Delivery)
    probe.link.ack(delivery)
    assert peer.expect(PUBACK) == b"\x00\x07"
    peer.publish(b"d/a/event", b"another", 7)
    another = probe.expect(Delivery)
    probe.link.ack(delivery)
    probe.link.publish("d/a/desired", b"marker")
    assert peer.expect_publish()[1] == b"marker"
    probe.link.ack(another)
    assert peer.expect(PUBACK) == b"\x00\x07"
    probe.link.stop(0.2)


def test_an_ack_from_an_ended_connection_is_ignored(scripted: ScriptedBroker) -> None:
    """It used to acknowledge another, unprocessed message with the same id after a reconnect."""
    probe = LinkProbe(scripted.settings, subscriptions=FILTER, clean_session=False)
    peer = scripted.accept()
    peer.connack()
    peer.suback(1)
    peer.publish(b"d/a/event", b"first", 7)
    stale = probe.expect(Delivery)
    peer.sock.close()
    probe.expect(LinkDown)
    probe.link.ack(stale)
    second = scripted.accept()
    second.connack()
    second.suback(1)
    second.publish(b"d/a/event", b"other", 7)
    fresh = probe.expect(Delivery)
    probe.link.ack(stale)
    probe.link.publish("d/a/desired", b"marker")
    assert second.expect_publish()[1] == b"marker"
    assert (stale.generation, fresh.generation) == (1, 2)
    probe.link.stop(0.2)


def test_nothing_of_an_ended_connection_is_sent_in_the_next(scripted: ScriptedBroker) -> None:
    probe = LinkProbe(scripted.settings)
    peer = scripted.accept()
    peer.connack()
    probe.expect(LinkUp)
    assert probe.link.publish("d/a/desired", b"old")
    peer.expect_publish()
    peer.sock.close()
    probe.expect(LinkDown)
    assert probe.link.publish("d/a/desired", b"offline") is False
    second = scripted.accept()
    second.connack()
    assert probe.expect(LinkUp) == LinkUp(2)
    probe.link.publish("d/a/desired", b"new")
    assert second.expect_publish()[1] == b"new"
    probe.link.stop(0.2)


def test_the_will_and_the_birth_are_retained_and_acknowledged(scripted: ScriptedBroker) -> None:
    probe = LinkProbe(scripted.settings, "dev-1", presence_topic="d/dev-1/online")
    peer = scripted.accept()
    connect = peer.expect(CONNECT)
    assert connect[7] == 0b0010_1110  # will retained, QoS 1, will, clean session: MQTT 3.1.1 section 3.1.2.3
    assert b"d/dev-1/online\x00\x07offline" in connect
    peer.sock.sendall(bytes([0x20, 2, 0, 0]))
    assert peer.sock.recv(1) == bytes([0x33])  # PUBLISH, QoS 1, retained
    assert peer.sock.recv(200).endswith(b"online")
    probe.link.stop(0.2)


def test_stop_says_offline_waits_for_its_ack_and_disconnects(scripted: ScriptedBroker) -> None:
    probe = LinkProbe(scripted.settings, subscriptions=FILTER, presence_topic="d/dev-1/online")
    peer = scripted.accept()
    peer.connack()
    peer.puback(peer.expect_publish()[2])
    peer.suback(1)
    probe.expect(LinkUp)
    stopped: list[bool] = []
    stopper = threading.Thread(target=lambda: stopped.append(probe.link.stop(WITHIN_S)))
    stopper.start()
    topic, payload, mid = peer.expect_publish()
    assert (topic, payload, stopped) == ("d/dev-1/online", b"offline", [])
    peer.publish(b"d/a/event", b"too late", 7)  # neither told nor acknowledged: it comes again
    peer.puback(mid)
    peer.expect(DISCONNECT)
    assert peer.read() == (0, b"")
    stopper.join(WITHIN_S)
    assert stopped == [True]
    assert probe.events.empty()
    assert not probe.link.alive()


def test_stop_without_an_answer_cuts_the_connection_so_that_the_will_speaks(scripted: ScriptedBroker) -> None:
    probe = LinkProbe(scripted.settings, presence_topic="d/dev-1/online")
    peer = scripted.accept()
    peer.connack()
    probe.expect(LinkUp)
    probe.link.stop(0.2)
    assert [peer.expect_publish()[1] for _ in range(2)] == [b"online", b"offline"]
    assert peer.read() == (0, b"")  # no DISCONNECT, which would take the will back


def test_stop_while_nobody_answers_ends_at_once() -> None:
    probe = LinkProbe(MqttSettings(port=free_port(), backoff_min_s=60, backoff_max_s=60))
    assert "nothing listens at" in probe.expect_next(LinkDown).reason
    assert probe.link.stop(WITHIN_S) is True


def test_stop_before_start_is_nothing() -> None:
    link = MqttLink(
        MqttSettings(), client_id="x", subscriptions=(), sink=print, clean_session=True, presence_topic=None
    )
    assert link.alive() is False
    assert link.stop(1.0) is True


def test_an_error_of_the_sink_is_told_and_ends_the_link(
    scripted: ScriptedBroker, allow_error_logs: list[dict[str, Any]]
) -> None:
    events: list[LinkEvent] = []
    died = threading.Event()

    def sink(event: LinkEvent) -> None:
        events.append(event)
        if isinstance(event, Delivery):
            raise KeyError("a bug of ours")
        if isinstance(event, LinkDied):
            died.set()

    probe = LinkProbe(scripted.settings, subscriptions=FILTER, sink=sink)
    peer = scripted.accept()
    peer.connack()
    peer.suback(1)
    peer.publish(b"d/a/event", b"one", 7)
    assert died.wait(WITHIN_S)
    assert [type(event) for event in events] == [LinkUp, Delivery, LinkDied]
    assert events[-1] == LinkDied("KeyError: 'a bug of ours'")
    assert peer.read() == (0, b"")
    assert probe.link.publish("d/a/event", b"x") is False
    assert probe.link.stop(WITHIN_S) is True
    assert probe.link.alive() is False
    assert [entry["event"] for entry in allow_error_logs] == ["link.died"]


def test_a_sink_that_is_broken_for_good_shows_in_alive(
    scripted: ScriptedBroker, allow_error_logs: list[dict[str, Any]]
) -> None:
    called = threading.Event()

    def sink(event: LinkEvent) -> None:
        if isinstance(event, LinkDied):
            called.set()
        raise RuntimeError(type(event).__name__)

    probe = LinkProbe(scripted.settings, sink=sink)
    scripted.accept().connack()
    assert called.wait(WITHIN_S)
    assert probe.link.stop(WITHIN_S) is True
    assert [entry["event"] for entry in allow_error_logs] == ["link.died", "link.died_untold"]


def test_a_sink_that_blocks_keeps_the_rest_at_the_broker_and_stop_still_ends(scripted: ScriptedBroker) -> None:
    entered, release = threading.Event(), threading.Event()

    def sink(event: LinkEvent) -> None:
        if isinstance(event, Delivery):
            entered.set()
            release.wait(WITHIN_S)

    probe = LinkProbe(scripted.settings, subscriptions=FILTER, sink=sink)
    peer = scripted.accept()
    peer.connack()
    peer.suback(1)
    peer.publish(b"d/a/event", b"one", 7)
    peer.publish(b"d/a/event", b"two", 8)
    assert entered.wait(WITHIN_S)
    assert probe.link.stop(0.1) is False
    assert probe.link.alive()
    release.set()
    assert probe.link.stop(WITHIN_S) is True


def test_rubbish_instead_of_mqtt_is_the_peers_fault(scripted: ScriptedBroker) -> None:
    probe = LinkProbe(scripted.settings)
    scripted.accept().sock.sendall(b"\xf0\x02no")
    assert probe.expect_next(LinkDown).reason == "the broker sent something that is not MQTT 3.1.1"
    scripted.accept().connack()
    probe.expect(LinkUp)
    probe.link.stop(0.2)


def test_a_topic_that_is_not_utf8_is_delivered_readably_and_can_be_acked(scripted: ScriptedBroker) -> None:
    probe = LinkProbe(scripted.settings, subscriptions=FILTER)
    peer = scripted.accept()
    peer.connack()
    peer.suback(1)
    peer.publish(b"d/\xff/event", b"one", 7)
    delivery = probe.expect(Delivery)
    assert delivery.topic == "d/\\xff/event"
    probe.link.ack(delivery)
    assert peer.expect(PUBACK) == b"\x00\x07"
    probe.link.stop(0.2)


def test_a_broker_that_never_finishes_the_handshake_is_left(scripted: ScriptedBroker) -> None:
    hasty = scripted.settings.model_copy(update={"keepalive_s": 1})
    probe = LinkProbe(hasty, subscriptions=FILTER)
    peer = scripted.accept()
    peer.connack()
    assert "did not finish the handshake within 1 s" in probe.expect_next(LinkDown).reason
    scripted.accept()
    probe.link.stop(0.2)


def test_publish_refuses_when_too_much_is_unacknowledged(scripted: ScriptedBroker) -> None:
    probe = LinkProbe(scripted.settings)
    peer = scripted.accept()
    peer.connack()
    probe.expect(LinkUp)
    sent = [probe.link.publish("d/a/desired", b"x") for _ in range(MAX_UNACKED + 2)]
    assert sent == [True] * MAX_UNACKED + [False, False]
    probe.link.stop(0.2)


def test_small_packets_are_not_held_back_and_a_dead_peer_is_noticed(scripted: ScriptedBroker) -> None:
    probe = LinkProbe(scripted.settings)
    scripted.accept().connack()
    probe.expect(LinkUp)
    connection = probe.link._up
    assert connection is not None
    sock: Any = connection.client.socket()
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == DEAD_PEER_MS
    probe.link.stop(0.2)


def test_packets_leave_whole_and_in_order_while_both_threads_are_busy(scripted: ScriptedBroker) -> None:
    """paho writes on the caller's thread too unless told otherwise: then packets overtake and tear one another."""
    probe = LinkProbe(scripted.settings, subscriptions=FILTER)
    peer = scripted.accept()
    peer.connack()
    peer.suback(1)
    probe.expect(LinkUp)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    payloads = [number.to_bytes(2, "big") * (1 + 499 * (number % 3)) for number in range(9000)]
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(peer.expect_publish()[1] for _ in payloads))
    reader.start()
    try:
        assert all(probe.link.publish("d/a/desired", payload) for payload in payloads)
        reader.join(WITHIN_S)
    finally:
        sys.setswitchinterval(before)
    assert got == payloads
    probe.link.stop(0.2)


def test_what_a_patient_link_has_queued_leaves_before_its_goodbye(scripted: ScriptedBroker) -> None:
    probe = LinkProbe(scripted.settings, patient=True)
    peer = scripted.accept()
    peer.connack()
    probe.expect(LinkUp)
    assert probe.link.publish("d/a/desired", b"last words")
    probe.link.stop(0.2)
    assert peer.expect_publish()[1] == b"last words"
    assert peer.expect(DISCONNECT) == b""


def test_the_same_trouble_is_logged_once(scripted: ScriptedBroker, capsys: pytest.CaptureFixture[str]) -> None:
    probe = LinkProbe(scripted.settings)
    for _ in range(3):
        scripted.accept().connack(5)
        probe.expect_next(LinkDown)
    scripted.accept().connack()
    probe.expect_next(LinkUp)
    probe.link.stop(0.2)
    logged = capsys.readouterr().out
    assert logged.count("event=link.refused") == 1
    assert "event=link.up" in logged
    assert "refusals_unlogged=2" in logged


def test_files_that_cannot_be_used_are_told_at_once(tmp_path: Any) -> None:
    def link_of(settings: MqttSettings) -> MqttLink:
        return MqttLink(settings, client_id="x", subscriptions=(), sink=print, clean_session=True, presence_topic=None)

    password = tmp_path / "password"
    password.write_text("\n")
    with pytest.raises(SetupError, match="password file is empty"):
        link_of(MqttSettings(username="x", password_file=password))
    with pytest.raises(SetupError, match="password file cannot be read"):
        link_of(MqttSettings(username="x", password_file=tmp_path / "none"))
    with pytest.raises(SetupError, match=r"none.pem: cannot be used as the authority \(tls.ca\): No such file"):
        link_of(MqttSettings(tls=TlsSettings(ca=tmp_path / "none.pem")))
    password.write_text("s3cret\nignored\n")
    link_of(MqttSettings(username="x", password_file=password))
