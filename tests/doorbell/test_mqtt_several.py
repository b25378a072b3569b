"""One link, several brokers: real ones that die and come back, and played ones that hang, refuse and lie."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from doorbell.link import Delivery, LinkDied, LinkDown, LinkUp
from doorbell.mqtt import MqttLink
from doorbell.settings import FallbackBroker, MqttSettings, TlsSettings
from sim.broker import free_port
from tests.device.waiting import wait_until
from tests.doorbell.scripted_broker import CONNECT, DISCONNECT, Peer, ScriptedBroker
from tests.system.brokers import MosquittoBroker
from tests.system.link_probe import WITHIN_S, LinkProbe, probing

ROOT = "doorbell/v1/west-lake"
ONLINE = f"{ROOT}/bell-peng/online"
RETURN_S = 0.2


def several(*ports: int, **more: Any) -> MqttSettings:
    """Brokers on loopback in this order; quick, and asking the first five times a second."""
    quick = {"backoff_min_s": 0.02, "backoff_max_s": 0.05, "return_s": RETURN_S, "connect_timeout_s": 0.5, **more}
    fallback = tuple(FallbackBroker(host="127.0.0.1", port=port) for port in ports[1:])
    return MqttSettings(port=ports[0], fallback=fallback).model_copy(update=quick)


@pytest.fixture
def first() -> Iterator[ScriptedBroker]:
    with ScriptedBroker() as broker:
        yield broker


@pytest.fixture
def second() -> Iterator[ScriptedBroker]:
    with ScriptedBroker() as broker:
        yield broker


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[MosquittoBroker, MosquittoBroker]]:
    """Two brokers that know nothing of each other; neither is started."""
    brokers = MosquittoBroker(tmp_path / "a"), MosquittoBroker(tmp_path / "b")
    yield brokers
    for broker in brokers:
        broker.stop()


@contextmanager
def linked(settings: MqttSettings, **more: Any) -> Iterator[LinkProbe]:
    probe = LinkProbe(settings, "bell-peng", presence_topic=ONLINE, **more)
    try:
        yield probe
    finally:
        probe.link.stop(1.0)


def port_of(probe: LinkProbe) -> int:
    """Where the link is connected."""
    connection = probe.link._up
    assert connection is not None
    return connection.settings.port


def take(broker: ScriptedBroker) -> Peer:
    """The next connection that speaks MQTT, greeted; knocks are passed over."""
    while True:
        peer = broker.accept()
        kind, _ = peer.read()
        if kind == CONNECT:
            peer.sock.sendall(bytes([0x20, 2, 0, 0]))
            return peer
        assert kind == 0, "a knock says nothing"


# --- real brokers ---------------------------------------------------------------------------------------------------


@pytest.mark.system
def test_the_first_that_answers_is_used_and_the_first_of_all_when_it_is_back(
    pair: tuple[MosquittoBroker, MosquittoBroker],
) -> None:
    one, two = pair
    two.start()
    with linked(several(one.port, two.port), subscriptions=[(f"{ROOT}/bell-peng/desired", 1)]) as bell:
        assert bell.expect_next(LinkDown).reason == f"nothing listens at 127.0.0.1:{one.port}"
        assert bell.expect_next(LinkUp) == LinkUp(1)
        assert port_of(bell) == two.port
        one.start()
        told = bell.expect_next(LinkDown)
        assert told.reason == f"going back to the first broker: 127.0.0.1:{one.port} answers again"
        assert bell.expect_next(LinkUp) == LinkUp(2)
        assert port_of(bell) == one.port
        with probing(several(one.port), "relay", [(ONLINE, 1)]) as relay:
            relay.message(ONLINE, b"online")
            assert relay.link.publish(f"{ROOT}/bell-peng/desired", b"here")
            bell.message(f"{ROOT}/bell-peng/desired", b"here")
        # A clean goodbye: the broker that we left holds no stale ``online``.
        with probing(several(two.port), "late", [(ONLINE, 1)]) as late:
            assert late.expect_next(Delivery).payload == b"offline"


@pytest.mark.system
def test_a_first_broker_that_is_killed_is_replaced_at_once_and_taken_again(
    pair: tuple[MosquittoBroker, MosquittoBroker],
) -> None:
    one, two = pair
    one.start()
    two.start()
    with linked(several(one.port, two.port)) as bell:
        assert bell.expect_next(LinkUp) == LinkUp(1)
        assert port_of(bell) == one.port
        one.kill()
        assert bell.expect(LinkUp) == LinkUp(2)
        assert port_of(bell) == two.port
        assert bell.link.publish(f"{ROOT}/bell-peng/event", b"press")
        one.start()
        assert bell.expect(LinkUp) == LinkUp(3)
        assert port_of(bell) == one.port


@pytest.mark.system
def test_with_both_down_whichever_returns_is_used(pair: tuple[MosquittoBroker, MosquittoBroker]) -> None:
    one, two = pair
    with linked(several(one.port, two.port, return_s=600.0)) as bell:
        for back in (two, one):
            # Whole rounds in vain: each broker was tried twice.
            reasons = [bell.expect(LinkDown).reason for _ in range(4)]
            assert len({reason for reason in reasons if reason.startswith("nothing listens at")}) == 2
            back.start()
            bell.expect(LinkUp)
            assert port_of(bell) == back.port
            bell.passed.clear()
            back.kill()


@pytest.mark.system
def test_of_three_brokers_the_last_one_serves_too(pair: tuple[MosquittoBroker, MosquittoBroker]) -> None:
    _, last = pair
    last.start()
    with linked(several(free_port(), free_port(), last.port)) as bell:
        assert [bell.expect_next(LinkDown).reason.split()[0] for _ in range(2)] == ["nothing", "nothing"]
        assert bell.expect_next(LinkUp) == LinkUp(1)
        assert port_of(bell) == last.port


@pytest.mark.system
def test_a_link_whose_session_the_broker_keeps_goes_back_too(pair: tuple[MosquittoBroker, MosquittoBroker]) -> None:
    """The relay's kind: patient, without presence, a persistent session at each broker."""
    one, two = pair
    two.start()
    settings, events = several(one.port, two.port), [(f"{ROOT}/+/event", 1)]
    relay = LinkProbe(settings, "relay-a", events, clean_session=False)
    relay.link.patient = True
    relay.expect(LinkUp)
    one.start()
    relay.expect(LinkUp)
    assert port_of(relay) == one.port
    with probing(several(one.port), "button-liu") as panel:
        panel.link.publish(f"{ROOT}/button-liu/event", b"press")
        relay.link.ack(relay.message(f"{ROOT}/button-liu/event", b"press"))
    assert relay.link.stop(WITHIN_S)


@pytest.mark.system
def test_over_tls_each_broker_is_checked_by_its_own_name(tmp_path: Path) -> None:
    authority = trustme.CA()
    brokers = [MosquittoBroker(tmp_path / name, authority=authority) for name in ("a", "b")]
    ca, certificate, key = (tmp_path / name for name in ("ca.pem", "bell.pem", "bell.key"))
    issued = authority.issue_cert("bell-peng.device.test", common_name="bell-peng")
    authority.cert_pem.write_to_path(ca)
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    wrong_name = TlsSettings(ca=ca, certificate=certificate, key=key, server_name="elsewhere.test")
    try:
        for broker in brokers:
            broker.start()
        settings = several(brokers[0].port, brokers[1].port, tls=wrong_name)
        with linked(settings) as bell:
            assert "is not accepted: " in bell.expect_next(LinkDown).reason
            bell.expect_next(LinkUp)
            assert port_of(bell) == brokers[1].port
            # The knock speaks TLS: the first broker answers TCP all the time, and we stay where we are.
            wait_until(lambda: bell.link._choice._unanswered._last is not None, within_s=WITHIN_S)
            assert bell.events.empty()
    finally:
        for broker in brokers:
            broker.stop()


# --- played brokers -------------------------------------------------------------------------------------------------


def test_a_first_broker_that_takes_connections_and_says_nothing_holds_up_a_press_for_one_try_only(
    first: ScriptedBroker, second: ScriptedBroker
) -> None:
    """It used to be a keepalive, 30 s."""
    with linked(several(first.settings.port, second.settings.port, return_s=600.0)) as bell:
        black_hole = first.accept()
        take(second)
        assert bell.expect_next(LinkDown).reason == "the broker did not finish the handshake within 0 s"
        assert bell.expect_next(LinkUp) == LinkUp(1)
        black_hole.expect(CONNECT)
        assert black_hole.read() == (0, b"")


def test_a_broker_that_stops_in_the_tls_handshake_is_left_in_time(
    first: ScriptedBroker, second: ScriptedBroker, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    settings = several(first.settings.port, second.settings.port, return_s=600.0, connect_timeout_s=0.3)
    with linked(settings.model_copy(update={"tls": TlsSettings(ca=ca)})) as bell:
        for broker in (first, second):
            broker.accept()
            assert "did not answer within 0.3 s" in bell.expect_next(LinkDown).reason


def test_a_first_broker_that_refuses_our_password_is_passed_over_and_then_asked_ever_more_rarely(
    first: ScriptedBroker, second: ScriptedBroker
) -> None:
    """Its TCP answers, so each return ends in a refusal: we are back at the fallback at once each time."""
    with linked(several(first.settings.port, second.settings.port)) as bell:
        first.accept().connack(4)
        take(second)
        bell.expect(LinkUp)
        for _ in range(2):
            knock = first.accept()
            assert knock.read() == (0, b"")
            # Refused: back to where we were.
            first.accept().connack(4)
            take(second)
            assert bell.expect(LinkDown).reason.startswith("going back to the first broker")
            assert bell.expect(LinkDown).reason == "the broker refused us: Bad user name or password"
            bell.expect(LinkUp)
        assert bell.link._choice._order.hold_s == RETURN_S * 4
        assert port_of(bell) == second.settings.port


def test_no_second_client_ever_speaks_while_we_are_connected(first: ScriptedBroker, second: ScriptedBroker) -> None:
    """Two clients with one id kick each other wherever the brokers are a cluster."""
    with linked(several(first.settings.port, second.settings.port)) as bell:
        first.accept().connack(3)
        at_second = take(second)
        assert at_second.expect_publish()[1] == b"online"
        bell.expect(LinkUp)
        assert first.accept().read() == (0, b""), "the first is asked without a word"
        topic, payload, mid = at_second.expect_publish()
        assert (topic, payload) == (ONLINE, b"offline")
        first._server.setblocking(False)
        with pytest.raises(BlockingIOError):
            first._server.accept()  # not before the goodbye is acknowledged and said
        first._server.settimeout(WITHIN_S)
        at_second.puback(mid)
        at_second.expect(DISCONNECT)
        assert at_second.read() == (0, b"")
        take(first)
        bell.expect(LinkUp)


def test_a_fallback_that_does_not_acknowledge_our_goodbye_is_cut_off_so_that_the_will_speaks(
    first: ScriptedBroker, second: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doorbell.connection.GOODBYE_S", 0.1)
    with linked(several(first.settings.port, second.settings.port)) as bell:
        first.accept().connack(3)
        at_second = take(second)
        bell.expect(LinkUp)
        first.accept()
        assert [at_second.expect_publish()[1] for _ in range(2)] == [b"online", b"offline"]
        assert at_second.read() == (0, b"")  # no DISCONNECT
        take(first)
        bell.expect(LinkUp)


def test_no_return_while_the_program_is_busy(
    first: ScriptedBroker, second: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doorbell.broker_order.BUSY_ASK_S", 0.1)
    busy = threading.Event()
    busy.set()
    asked: list[bool] = []

    def ask() -> bool:
        asked.append(busy.is_set())
        if len(asked) == 3:
            busy.clear()
        return asked[-1]

    probe = LinkProbe(several(first.settings.port, second.settings.port), busy=ask)
    first.accept().connack(3)
    take(second)
    probe.expect(LinkUp)
    for _ in range(4):
        assert first.accept().read() == (0, b"")
    take(first)
    probe.expect(LinkUp)
    assert asked == [True, True, True, False]
    probe.link.stop(0.2)


def test_after_a_move_online_is_said_again_because_the_old_will_may_come_late(
    first: ScriptedBroker, second: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doorbell.mqtt.ONLINE_AGAIN_S", 0.05)
    settings = several(first.settings.port, second.settings.port, return_s=600.0)
    with linked(settings) as bell:
        at_first = take(first)
        assert at_first.expect_publish()[1] == b"online"
        bell.expect(LinkUp)
        assert bell.link._online_again is None
        at_first.sock.close()
        # A connection of less than ten seconds: the next broker follows without a pause.
        at_second = take(second)
        assert [at_second.expect_publish()[:2] for _ in range(3)] == [(ONLINE, b"online")] * 3


def test_a_bug_in_the_programs_answer_ends_the_link_loudly(
    first: ScriptedBroker, second: ScriptedBroker, allow_error_logs: list[dict[str, Any]]
) -> None:
    probe = LinkProbe(several(first.settings.port, second.settings.port), busy=lambda: 1 / 0 > 1)
    first.accept().connack(3)
    take(second)
    probe.expect(LinkUp)
    first.accept()
    assert "ZeroDivisionError" in probe.expect(LinkDied).reason
    assert [entry["event"] for entry in allow_error_logs] == ["link.died"]


def test_a_name_service_that_hangs_holds_up_one_try_and_serves_the_next(
    second: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, asked = threading.Event(), []
    real = socket.getaddrinfo

    def slow(host: Any, *args: Any, **options: Any) -> Any:
        if host != "broker.test":
            return real(host, *args, **options)
        asked.append(host)
        release.wait(WITHIN_S)
        return real("127.0.0.1", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with ScriptedBroker() as first:
        settings = several(first.settings.port, second.settings.port, connect_timeout_s=0.2, return_s=600.0)
        with linked(settings.model_copy(update={"host": "broker.test"})) as bell:
            told = bell.expect_next(LinkDown).reason
            assert told == "the name 'broker.test' cannot be resolved: no answer from the name service within 0.2 s"
            peer = take(second)
            bell.expect_next(LinkUp)
            release.set()
            peer.sock.close()
            second._server.close()
            take(first)
            bell.expect(LinkUp)
            assert asked == ["broker.test"]


def test_of_a_name_with_several_addresses_a_dead_one_takes_its_share_of_the_try_only(
    second: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def two_addresses(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host != "broker.test":
            return real(host, port, *args, **options)
        return [found for ip in ("127.0.0.2", "127.0.0.1") for found in real(ip, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    with closing(socket.create_server(("127.0.0.2", 0), backlog=0)) as full:
        port = full.getsockname()[1]
        stuck = [socket.socket() for _ in range(2)]
        for one in stuck:  # a full backlog: the kernel drops every further SYN
            one.setblocking(False)
            one.connect_ex(("127.0.0.2", port))
        with closing(socket.create_server(("127.0.0.1", port))) as good:
            good.settimeout(WITHIN_S)
            settings = several(port, second.settings.port).model_copy(update={"host": "broker.test"})
            with linked(settings) as bell, closing(good.accept()[0]) as sock:
                Peer(sock).connack()
                assert bell.expect_next(LinkUp) == LinkUp(1)
        for one in stuck:
            one.close()


def test_a_damaged_file_of_a_fallback_does_not_silence_a_device(first: ScriptedBroker, tmp_path: Path) -> None:
    broken = FallbackBroker(host="127.0.0.1", port=1, password_file=tmp_path / "none")
    settings = several(first.settings.port).model_copy(update={"username": "bell-peng", "fallback": (broken,)})
    with linked(settings) as bell:
        take(first)
        assert bell.expect_next(LinkUp) == LinkUp(1)


def test_the_log_says_which_broker_and_each_complaint_once(
    first: ScriptedBroker, second: ScriptedBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = (first.settings.port, second.settings.port)
    with linked(several(*ports)) as bell:
        for _ in range(3):
            first.accept().connack(3)
            second.accept().connack(5)
        first.accept().connack(3)
        take(second)
        bell.expect(LinkUp)
        first.accept()
        take(first)
        bell.expect(LinkUp)
    logged = capsys.readouterr().out
    assert logged.count("event=link.refused") == 2
    for port, reason in zip(ports, ("Server unavailable", "Not authorized"), strict=True):
        assert f'reason="the broker refused us: {reason}" host=127.0.0.1 port={port}' in logged
        assert f"broker=127.0.0.1:{port} refusals_unlogged=" in logged
    assert "going back to the first broker" in logged


def test_with_one_broker_there_is_no_knock_and_no_hurry(first: ScriptedBroker) -> None:
    link = MqttLink(
        first.settings, client_id="x", subscriptions=(), sink=print, clean_session=True, presence_topic=None
    )
    assert link._choice.within_s() is None
    link._choice.came_up(1)
    assert link._choice.tend() is None
    assert link._choice._knock is None
