"""The link over mutual TLS: a device is who its certificate says, and both sides refuse strangers in plain words."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from doorbell.errors import SetupError
from doorbell.link import Delivery, LinkDown, LinkUp
from doorbell.mqtt import MqttLink
from doorbell.settings import MqttSettings, TlsSettings
from tests.system.brokers import MosquittoBroker
from tests.system.link_probe import WITHIN_S, LinkProbe, probing

pytestmark = pytest.mark.system

ROOT = "doorbell/v1/west-lake"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def broker(authority: trustme.CA, tmp_path: Path) -> Iterator[MosquittoBroker]:
    broker = MosquittoBroker(tmp_path / "broker", authority=authority, relays=("relay-a",))
    broker.start()
    yield broker
    broker.stop()


def settings_of(
    port: int, directory: Path, authority: trustme.CA, name: str, *, trusted: trustme.CA | None = None
) -> MqttSettings:
    """What provisioning leaves on a device: the authority's certificate, its own, and its key."""
    directory.mkdir(exist_ok=True)
    ca, certificate, key = (directory / f"{name}-{part}" for part in ("ca.pem", "cert.pem", "key.pem"))
    (trusted or authority).cert_pem.write_to_path(ca)
    issued = authority.issue_cert(f"{name}.device.test", common_name=name)
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return MqttSettings(
        port=port, backoff_min_s=0.02, backoff_max_s=0.05, tls=TlsSettings(ca=ca, certificate=certificate, key=key)
    )


def test_devices_read_and_write_their_own_topics_only(
    broker: MosquittoBroker, authority: trustme.CA, tmp_path: Path
) -> None:
    relay_settings = settings_of(broker.port, tmp_path, authority, "relay-a")
    bell_settings = settings_of(broker.port, tmp_path, authority, "bell-peng")
    with (
        probing(relay_settings, "relay-a", [(f"{ROOT}/+/event", 1)], clean_session=False) as relay,
        probing(
            bell_settings, "bell-peng", [(f"{ROOT}/+/desired", 1)], presence_topic=f"{ROOT}/bell-peng/online"
        ) as bell,
    ):
        thief = LinkProbe(
            settings_of(broker.port, tmp_path, authority, "button-wu"),
            "button-wu",
            presence_topic=f"{ROOT}/button-wu/online",
        )
        thief.expect(LinkUp)
        assert thief.link.publish(f"{ROOT}/bell-peng/event", b"in another's name")
        assert thief.link.stop(WITHIN_S)  # the broker has dealt with it (mosquitto 2.0.11 throws its sender out)
        assert bell.link.publish(f"{ROOT}/bell-peng/event", b"my own")
        assert relay.expect_next(Delivery).payload == b"my own"
        relay.link.publish(f"{ROOT}/button-liu/desired", b"for another", retain=True)
        relay.link.publish(f"{ROOT}/bell-peng/desired", b"for me", retain=True)
        assert bell.expect_next(Delivery).payload == b"for me"


def test_a_broker_of_an_unknown_authority_is_refused(
    broker: MosquittoBroker, authority: trustme.CA, tmp_path: Path
) -> None:
    settings = settings_of(broker.port, tmp_path, authority, "bell-peng", trusted=trustme.CA())
    probe = LinkProbe(settings, "bell-peng")
    reason = probe.expect_next(LinkDown).reason
    assert reason.startswith(f"the certificate of 127.0.0.1:{broker.port} is not accepted: ")
    assert "check tls.ca" in reason
    assert probe.link.stop(WITHIN_S)


def test_a_broker_with_another_name_is_refused_unless_that_name_is_set(
    broker: MosquittoBroker, authority: trustme.CA, tmp_path: Path
) -> None:
    settings = settings_of(broker.port, tmp_path, authority, "bell-peng")
    assert settings.tls is not None
    for name, expected in (("broker.test", LinkUp), ("elsewhere.test", LinkDown)):
        tls = settings.tls.model_copy(update={"server_name": name})
        probe = LinkProbe(settings.model_copy(update={"tls": tls}), "bell-peng")
        assert isinstance(probe.events.get(timeout=WITHIN_S), expected)
        assert probe.link.stop(WITHIN_S)


def test_a_stranger_or_nobody_is_refused_by_the_broker(
    broker: MosquittoBroker, authority: trustme.CA, tmp_path: Path
) -> None:
    stranger = settings_of(broker.port, tmp_path, trustme.CA(), "bell-peng", trusted=authority)
    assert stranger.tls is not None
    nobody = stranger.model_copy(update={"tls": TlsSettings(ca=stranger.tls.ca)})
    for settings in (stranger, nobody):
        probe = LinkProbe(settings, "bell-peng")
        assert "it may not accept our certificate" in probe.expect_next(LinkDown).reason
        assert probe.link.stop(WITHIN_S)


def test_plain_text_to_a_tls_port_and_tls_to_a_plain_port_are_told(
    broker: MosquittoBroker, authority: trustme.CA, tmp_path: Path
) -> None:
    plain = LinkProbe(MqttSettings(port=broker.port))
    assert "the broker closed the connection before it was up" in plain.expect_next(LinkDown).reason
    plain.link.stop(WITHIN_S)
    other = MosquittoBroker(tmp_path / "plain")
    other.start()
    try:
        probe = LinkProbe(settings_of(other.port, tmp_path, authority, "bell-peng"))
        assert f"TLS with 127.0.0.1:{other.port} failed: " in probe.expect_next(LinkDown).reason
        probe.link.stop(WITHIN_S)
    finally:
        other.stop()


def test_renewed_certificates_are_taken_at_the_next_connect_without_a_restart(
    broker: MosquittoBroker, authority: trustme.CA, tmp_path: Path
) -> None:
    settings = settings_of(broker.port, tmp_path, authority, "bell-peng", trusted=trustme.CA())
    assert settings.tls is not None
    probe = LinkProbe(settings, "bell-peng")
    probe.expect(LinkDown)
    authority.cert_pem.write_to_path(settings.tls.ca)
    assert probe.expect(LinkUp) == LinkUp(1)
    assert probe.link.stop(WITHIN_S)


def test_a_key_that_does_not_fit_or_wants_a_passphrase_is_told_at_once(authority: trustme.CA, tmp_path: Path) -> None:
    def link_of(settings: MqttSettings) -> MqttLink:
        return MqttLink(settings, client_id="x", subscriptions=(), sink=print, clean_session=True, presence_topic=None)

    one = settings_of(1, tmp_path, authority, "one")
    two = settings_of(1, tmp_path, authority, "two")
    assert one.tls is not None
    assert two.tls is not None
    with pytest.raises(SetupError, match=r"one-cert.pem with the key .*two-key.pem: cannot be used.*mismatch"):
        link_of(one.model_copy(update={"tls": one.tls.model_copy(update={"key": two.tls.key})}))
    assert one.tls.certificate is not None
    one.tls.certificate.unlink()
    with pytest.raises(SetupError, match="No such file or directory"):
        link_of(one)
