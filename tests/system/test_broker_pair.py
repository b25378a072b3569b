"""The pair of brokers of docs/brokers.md, as it stands there: nothing is lost when either of them dies."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from doorbell.link import Delivery, LinkUp
from doorbell.settings import FallbackBroker, MqttSettings
from sim.broker import free_port, speaks_mqtt
from tests.device.waiting import wait_until
from tests.system.brokers import MOSQUITTO
from tests.system.link_probe import WITHIN_S, LinkProbe

pytestmark = pytest.mark.system

PAGE = Path(__file__).parents[2] / "docs" / "brokers.md"
ROOT = "doorbell/v1/west-lake"
EVENT, DESIRED, ONLINE = (f"{ROOT}/button-liu/{channel}" for channel in ("event", "desired", "online"))


class PairedBroker:
    """A mosquitto with a configuration from the page; only addresses and paths are those of this machine."""

    def __init__(self, directory: Path, name: str, blocks: list[str], ports: dict[str, int]) -> None:
        directory.mkdir()
        self.port = ports[name]
        text = "\n".join(blocks)
        for address, port in (("192.168.1.10:1883", ports["a"]), ("192.168.1.11:1883", ports["b"])):
            text = text.replace(address, f"127.0.0.1:{port}")
        text = text.replace("listener 1883", f"listener {self.port} 127.0.0.1")
        text = text.replace("/var/lib/mosquitto/", f"{directory}/")
        self._config = directory / "mosquitto.conf"
        self._config.write_text(f"{text}\nuser root\nlog_dest file {directory}/log\n", "utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(self._config)], stdin=subprocess.DEVNULL)
        wait_until(lambda: speaks_mqtt(self.port))

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[PairedBroker, PairedBroker]]:
    both, second = re.findall(r"^```conf\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    # As in the page, but that tests need not wait for the bridge's own patience.
    second, quick = re.subn(r"^restart_timeout .*$", "restart_timeout 1", second, flags=re.MULTILINE)
    assert quick == 1
    ports = {"a": free_port(), "b": free_port()}
    brokers = PairedBroker(tmp_path / "a", "a", [both], ports), PairedBroker(tmp_path / "b", "b", [both, second], ports)
    for broker in brokers:
        broker.start()
    yield brokers
    for broker in brokers:
        broker.kill()


def several(*ports: int) -> MqttSettings:
    quick = {"backoff_min_s": 0.02, "backoff_max_s": 0.05, "return_s": 0.2, "steady_s": 0.0}
    fallback = tuple(FallbackBroker(host="127.0.0.1", port=port) for port in ports[1:])
    return MqttSettings(port=ports[0], fallback=fallback).model_copy(update=quick)


def relay_at(*ports: int) -> LinkProbe:
    filters = [(f"{ROOT}/+/event", 1), (f"{ROOT}/+/online", 1)]
    return LinkProbe(several(*ports), "relay-a", filters, clean_session=False)


def panel_at(*ports: int) -> LinkProbe:
    return LinkProbe(several(*ports), "button-liu", [(DESIRED, 1)], presence_topic=ONLINE)


def port_of(probe: LinkProbe) -> int:
    connection = probe.link._up
    return 0 if connection is None else connection.settings.port


def press(panel: LinkProbe, relay: LinkProbe, payload: bytes) -> None:
    """Sent again until it arrives, as the outbox does; and receipted by a retained desired."""
    deadline = time.monotonic() + WITHIN_S
    arrived = False
    while not arrived:
        assert time.monotonic() < deadline, f"{payload!r} did not arrive"
        panel.link.publish(EVENT, payload)
        arrived = heard(relay, payload)
    assert relay.link.publish(DESIRED, payload, retain=True)
    panel.message(DESIRED, payload)


def heard(relay: LinkProbe, payload: bytes) -> bool:
    """Whether this event is among what has come within half a second."""
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        if relay.events.empty():
            continue
        event = relay.events.get()
        if isinstance(event, Delivery):
            relay.link.ack(event)
            if (event.topic, event.payload) == (EVENT, payload):
                return True
    return False


def test_a_press_goes_through_over_the_bridge_and_with_either_broker_dead(
    pair: tuple[PairedBroker, PairedBroker],
) -> None:
    one, two = pair
    relay, panel = relay_at(one.port, two.port), panel_at(one.port, two.port)
    across = panel_at(two.port)  # as if the way to the first were closed for it alone
    for probe in (relay, across):
        probe.expect(LinkUp)
    press(across, relay, b"over the bridge")
    across.link.stop(WITHIN_S)
    press(panel, relay, b"both are well")
    one.kill()
    press(panel, relay, b"the first is dead")
    assert (port_of(panel), port_of(relay)) == (two.port, two.port)
    one.start()
    wait_until(lambda: (port_of(panel), port_of(relay)) == (one.port, one.port), within_s=WITHIN_S)
    press(panel, relay, b"the first is back")
    two.kill()
    press(panel, relay, b"the fallback is dead")
    for probe in (panel, relay):
        probe.link.stop(WITHIN_S)


def test_after_a_return_the_relay_ends_with_online_though_the_goodbye_at_the_fallback_comes_by_the_bridge(
    pair: tuple[PairedBroker, PairedBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doorbell.mqtt.ONLINE_AGAIN_S", 1.0)
    one, two = pair
    one.kill()
    panel = panel_at(one.port, two.port)
    panel.expect(LinkUp)
    relay = relay_at(one.port)
    one.start()
    wait_until(lambda: port_of(panel) == one.port, within_s=WITHIN_S)
    # Both come in whatever order the bridge has: the last word must be ``online``.
    relay.message(ONLINE, b"offline")
    relay.message(ONLINE, b"online")
    for probe in (panel, relay):
        probe.link.stop(WITHIN_S)
