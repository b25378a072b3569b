"""One link, several real brokers that die and come back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from doorbell.link import Delivery, LinkDown, LinkUp
from doorbell.settings import TlsSettings
from sim.broker import free_port
from tests.device.waiting import wait_until
from tests.doorbell.several import ONLINE, ROOT, linked, port_of, several
from tests.system.brokers import MosquittoBroker
from tests.system.link_probe import WITHIN_S, LinkProbe, probing

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def quick_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The link looks after its brokers once a second, which is long for a test."""
    monkeypatch.setattr("doorbell.connection.LOOP_TURN_S", 0.05)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[MosquittoBroker, MosquittoBroker]]:
    """Two brokers that know nothing of each other; neither is started."""
    brokers = MosquittoBroker(tmp_path / "a"), MosquittoBroker(tmp_path / "b")
    yield brokers
    for broker in brokers:
        broker.stop()


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


def test_of_three_brokers_the_last_one_serves_too(pair: tuple[MosquittoBroker, MosquittoBroker]) -> None:
    _, last = pair
    last.start()
    with linked(several(free_port(), free_port(), last.port)) as bell:
        assert [bell.expect_next(LinkDown).reason.split()[0] for _ in range(2)] == ["nothing", "nothing"]
        assert bell.expect_next(LinkUp) == LinkUp(1)
        assert port_of(bell) == last.port


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
