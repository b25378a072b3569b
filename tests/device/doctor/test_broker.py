"""Broker, relay and pair as the doctor asks them itself: with the device's certificate, behind an access list."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from device.core.role import Role
from device.doctor import broker as broker_module
from device.doctor.broker import Spoken, check_pair, check_relay, talk_to_relay
from device.settings import DaemonSettings
from doorbell.link import Delivery, LinkEvent, LinkUp
from doorbell.mqtt import MqttLink
from doorbell.settings import MqttSettings, TlsSettings
from doorbell.wire import (
    Channel,
    ClockState,
    Coverage,
    Desired,
    Event,
    EventType,
    Panel,
    Presence,
    Topics,
    decode,
    encode,
)
from tests.device.doctor.showing import codes, severities
from tests.system.brokers import MosquittoBroker

COMMUNITY, DEVICE, PEER = "xihushan", "panel-liu", "bell-peng"
TOPICS = Topics()

# --- findings -------------------------------------------------------------------------------------------------------

DESIRED = Desired(rev=7, peers=(PEER,), panel=Panel(coverage=Coverage.COVERED))
WELL = {"broker.accepted": "ok", "relay.desired": "ok", "relay.receipted": "ok", "pair.known": "ok",
        "pair.covered": "ok", "pair.online": "ok"}  # fmt: skip


@pytest.mark.parametrize(
    ("spoken", "found"),
    [
        (Spoken(None, DESIRED, 40, ((PEER, Presence.ONLINE),)), WELL),
        (
            Spoken(None, DESIRED, 40, ((PEER, Presence.OFFLINE),)),
            {key: value for key, value in WELL.items() if key != "pair.online"} | {"pair.offline": "warning"},
        ),
        (
            Spoken(None, DESIRED, None),
            {"broker.accepted": "ok", "relay.desired": "ok", "relay.no_receipt": "failure", "pair.known": "ok",
             "pair.covered": "ok", "pair.unreadable": "note"},
        ),
        (
            Spoken(None, None, None),
            {"broker.accepted": "ok", "relay.no_desired": "failure", "relay.no_receipt": "failure",
             "pair.unknown": "warning"},
        ),
        (
            Spoken("not authorised"),
            {"broker.rejected": "failure", "relay.not_asked": "note", "pair.not_asked": "note"},
        ),
    ],
)  # fmt: skip
def test_what_a_conversation_means(spoken: Spoken, found: dict[str, str]) -> None:
    assert severities(check_relay(spoken, DEVICE)) == found


@pytest.mark.parametrize(
    ("coverage", "severity"),
    [(Coverage.COVERED, "ok"), (Coverage.THIN, "warning"), (Coverage.UNCOVERED, "failure")],
)
def test_nobody_who_would_hear_is_a_failure(coverage: Coverage, severity: str) -> None:
    assert severities(check_pair([PEER], coverage))[f"pair.{coverage}"] == severity


# --- a real broker with certificates and an access list ---------------------------------------------------------------


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def broker(authority: trustme.CA, tmp_path: Path) -> Iterator[MosquittoBroker]:
    broker = MosquittoBroker(tmp_path / "broker", authority=authority, relays=("relay-a",))
    broker.start()
    yield broker
    broker.stop()


Identity = Callable[..., MqttSettings]


@pytest.fixture
def identity(broker: MosquittoBroker, authority: trustme.CA, tmp_path: Path) -> Identity:
    def make(name: str, by: trustme.CA | None = None) -> MqttSettings:
        own = (by or authority).issue_cert(f"{name}.test", common_name=name)
        ca, certificate, key = (tmp_path / f"{name}.{part}" for part in ("ca", "pem", "key"))
        authority.cert_pem.write_to_path(ca)
        own.cert_chain_pems[0].write_to_path(certificate)
        own.private_key_pem.write_to_path(key)
        return MqttSettings(port=broker.port, tls=TlsSettings(ca=ca, certificate=certificate, key=key))

    return make


class SmallRelay:
    """Stores every event of the device and says so, as a relay does."""

    def __init__(self, settings: MqttSettings, desired: Desired) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self._desired = desired
        self._up: queue.Queue[int] = queue.Queue()
        self.link = MqttLink(
            settings,
            client_id="relay-a",
            subscriptions=[(TOPICS.all_of(COMMUNITY, Channel.EVENT), 1)],
            sink=self._take,
            clean_session=True,
            presence_topic=None,
        )
        self.link.start()
        self._up.get(timeout=20)

    def _take(self, event: LinkEvent) -> None:
        if isinstance(event, LinkUp):
            self.say(self._desired)
            self._up.put(event.generation)
        elif isinstance(event, Delivery):
            self.link.ack(event)
            told = decode(Event, event.payload)
            self.events.put(told)
            self._desired = self._desired.model_copy(update={"rev": self._desired.rev + 1, "stored": (told.id,)})
            self.say(self._desired)

    def say(self, desired: Desired) -> None:
        assert self.link.publish(TOPICS.of(COMMUNITY, DEVICE, Channel.DESIRED), encode(desired), qos=1, retain=True)


@pytest.fixture
def relay(identity: Identity) -> Iterator[SmallRelay]:
    made = SmallRelay(identity("relay-a"), DESIRED)
    yield made
    made.link.stop()


def talk(tmp_path: Path, mqtt: MqttSettings) -> Spoken:
    settings = DaemonSettings(device=DEVICE, community=COMMUNITY, role=Role.PANEL, state_dir=tmp_path, mqtt=mqtt)
    return talk_to_relay(settings, mqtt, ClockState.SYNCED)


@pytest.mark.system
def test_a_relay_behind_tls_and_an_access_list_is_proven_with_the_devices_identity(
    identity: Identity, relay: SmallRelay, tmp_path: Path
) -> None:
    spoken = talk(tmp_path, identity(DEVICE))
    assert codes(check_relay(spoken, DEVICE)) == [
        "broker.accepted", "relay.desired", "relay.receipted", "pair.known", "pair.covered", "pair.unreadable",
    ]  # fmt: skip
    event = relay.events.get(timeout=20)
    assert (event.type, event.detail) == (EventType.TEST, {"of": "doctor"})


@pytest.mark.system
def test_another_devices_certificate_sees_nothing_and_a_strangers_is_not_let_in(
    identity: Identity, relay: SmallRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "RECEIPT_WITHIN_S", 0.5)
    monkeypatch.setattr(broker_module, "DESIRED_WITHIN_S", 0.5)
    assert codes(check_relay(talk(tmp_path, identity("panel-chen")), DEVICE)) == [
        "broker.accepted", "relay.no_desired", "relay.no_receipt", "pair.unknown",
    ]  # fmt: skip
    (rejected, *_) = check_relay(talk(tmp_path, identity("stranger", by=trustme.CA())), DEVICE)
    assert codes([rejected]) == ["broker.rejected"]
    assert rejected.data["reason"]


@pytest.mark.system
def test_a_desired_state_that_is_rubbish_is_none(identity: Identity, relay: SmallRelay, tmp_path: Path) -> None:
    topic = TOPICS.of(COMMUNITY, DEVICE, Channel.DESIRED)
    assert relay.link.publish(topic, b"rubbish", qos=1, retain=True)
    spoken = talk(tmp_path, identity(DEVICE))
    assert spoken.receipt_ms is not None  # the relay's next word is well
    assert codes(check_relay(spoken, DEVICE))[0] == "broker.accepted"
