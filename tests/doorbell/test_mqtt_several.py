"""One link, several brokers that the test plays: they hang, refuse and lie."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trustme

from doorbell.broker_order import Need
from doorbell.link import LinkDied, LinkDown, LinkUp
from doorbell.mqtt import MqttLink
from doorbell.settings import FallbackBroker, TlsSettings
from tests.doorbell.scripted_broker import CONNECT, DISCONNECT, Peer, ScriptedBroker
from tests.doorbell.several import ONLINE, RETURN_S, linked, port_of, several
from tests.system.link_probe import WITHIN_S, LinkProbe


@pytest.fixture(autouse=True)
def quick_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The link looks after its brokers once a second, which is long for a test."""
    monkeypatch.setattr("doorbell.connection.LOOP_TURN_S", 0.05)


@pytest.fixture
def first() -> Iterator[ScriptedBroker]:
    with ScriptedBroker() as broker:
        yield broker


@pytest.fixture
def second() -> Iterator[ScriptedBroker]:
    with ScriptedBroker() as broker:
        yield broker


def take(broker: ScriptedBroker) -> Peer:
    """The next connection that speaks MQTT, greeted; knocks are passed over."""
    while True:
        peer = broker.accept()
        kind, _ = peer.read()
        if kind == CONNECT:
            peer.sock.sendall(bytes([0x20, 2, 0, 0]))
            return peer
        assert kind == 0, "a knock says nothing"


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


def test_no_return_while_the_program_needs_its_connection(
    first: ScriptedBroker, second: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doorbell.broker_order.ASK_AGAIN_S", 0.1)
    busy = threading.Event()
    busy.set()
    asked: list[bool] = []

    def ask() -> Need:
        asked.append(busy.is_set())
        if len(asked) == 3:
            busy.clear()
        return Need.ALARM if asked[-1] else Need.NONE

    probe = LinkProbe(several(first.settings.port, second.settings.port), need=ask)
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
    probe = LinkProbe(several(first.settings.port, second.settings.port), need=lambda: Need(1 / 0))
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
