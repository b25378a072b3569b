"""The daemon as a process: over real MQTT, on mock pins, killed and started again."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device.adapters.clock import SystemClock
from device.adapters.control import ask
from device.daemon import _link
from device.loop import Inbox
from device.settings import DaemonSettings
from doorbell.broker_order import Need
from doorbell.link import Delivery, LinkEvent, LinkUp
from doorbell.mqtt import MqttLink, as_the_settings_say
from doorbell.service import ExitCode
from doorbell.settings import MqttSettings
from doorbell.wire import (
    AlarmKind,
    Channel,
    Coverage,
    Desired,
    Event,
    EventType,
    Panel,
    PanelAlarm,
    Reported,
    Ring,
    Stage,
    Topics,
    decode,
    encode,
)
from tests.device.doubles import START
from tests.device.waiting import wait_until
from tests.system.brokers import Broker, make_broker

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
COMMUNITY, DEVICE = "xihushan", "dev-1"


class Relay:
    """The other end, by hand: notes what the device says, and tells it what to show."""

    def __init__(self, port: int) -> None:
        self.topics = Topics()
        self.events: queue.Queue[Event] = queue.Queue()
        self.reports: queue.Queue[Reported] = queue.Queue()
        self.presence: list[bytes] = []
        self._up = queue.Queue[LinkUp]()
        self.link = MqttLink(
            MqttSettings(port=port),
            client_id="relay-test",
            subscriptions=[
                (self.topics.all_of(COMMUNITY, c), 1) for c in (Channel.EVENT, Channel.REPORTED, Channel.ONLINE)
            ],
            sink=self._take,
            clean_session=True,
            presence_topic=None,
        )
        self.link.start()
        self._up.get(timeout=20)

    def _take(self, event: LinkEvent) -> None:
        if isinstance(event, LinkUp):
            self._up.put(event)
        elif isinstance(event, Delivery):
            match self.topics.parse(event.topic).channel:
                case Channel.EVENT:
                    self.events.put(decode(Event, event.payload))
                case Channel.REPORTED:
                    self.reports.put(decode(Reported, event.payload))
                case _:
                    self.presence.append(event.payload)
            self.link.ack(event)

    def desire(self, desired: Desired) -> None:
        topic = self.topics.of(COMMUNITY, DEVICE, Channel.DESIRED)
        assert self.link.publish(topic, encode(desired), qos=1, retain=True)

    def event(self, kind: EventType) -> Event:
        """The next event of this type; resends of earlier ones are passed over."""
        while (event := self.events.get(timeout=20)).type is not kind:
            pass
        return event


class Device:
    """The daemon, and its control line."""

    def __init__(self, directory: Path, role: str, port: int) -> None:
        self.directory = directory
        self.config = directory / "device.toml"
        self.socket = directory / "state" / "pins.sock"
        player = directory / "player"
        player.write_text('#!/bin/sh\nexec cat "$1" > /dev/null\n')
        player.chmod(0o755)
        self.config.write_text(
            f'device = "{DEVICE}"\ncommunity = "{COMMUNITY}"\nrole = "{role}"\nstate_dir = "state"\n'
            f'[mqtt]\nport = {port}\nbackoff_min_s = 0.05\nbackoff_max_s = 0.2\n[sound]\nplayer = ["{player}"]\n'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> None:
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "device", "run", "--config", str(self.config), "--pins", "mock"],
                cwd=ROOT,
                env={**os.environ, **environment},
                stderr=log,
            )
        wait_until(lambda: self.running() and self.answers(), within_s=30)

    def running(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "log").read_text()
        return True

    def answers(self) -> bool:
        if not self.socket.exists():
            return False
        with socket.socket(socket.AF_UNIX) as sock:
            return sock.connect_ex(str(self.socket)) == 0 and bool(self.state())

    def state(self) -> dict[str, Any]:
        (state,) = ask(self.socket, {"do": "state"})
        return state

    def press(self, pin: str, ms: int = 60) -> None:
        list(ask(self.socket, {"do": "press", "pin": pin, "ms": ms}))

    def shows(self, **wanted: Any) -> None:
        wait_until(lambda: {key: self.state().get(key) for key in wanted} == wanted, within_s=20)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(20)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = make_broker("mosquitto", tmp_path / "broker")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def relay(broker: Broker) -> Iterator[Callable[[], Relay]]:
    made: list[Relay] = []

    def connect() -> Relay:
        made.append(Relay(broker.port))
        return made[-1]

    yield connect
    for one in made:
        one.link.stop()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Callable[[str, int], Device]]:
    made: list[Device] = []

    def make(role: str, port: int) -> Device:
        made.append(Device(tmp_path, role, port))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait(20)


def panel(rev: int, stage: Stage | None, help_id: str) -> Desired:
    alarm = None if stage is None else PanelAlarm(id=help_id, stage=stage, since=START)
    return Desired(rev=rev, stored=(help_id,), panel=Panel(alarm=alarm, coverage=Coverage.COVERED))


def test_a_press_goes_through_its_stages_over_real_mqtt(
    broker: Broker, relay: Callable[[], Relay], device: Callable[[str, int], Device]
) -> None:
    office, one = relay(), device("panel", broker.port)
    one.start()
    assert office.reports.get(timeout=20).rev == 0
    one.press("help")
    help_event = office.event(EventType.HELP)
    assert help_event.age_ms < 5_000
    one.shows(stage="heard", outbox=1, link=True)
    stages = [(Stage.RECEIVED, "received"), (Stage.RINGING, "ringing"), (Stage.ACCEPTED, "coming"),
              (Stage.ARRIVED, "arrived"), (None, "closed")]  # fmt: skip
    for rev, (stage, shown) in enumerate(stages, 1):
        office.desire(panel(rev, stage, help_event.id))
        one.shows(stage=shown, outbox=0, rev=rev)
    assert one.end() == ExitCode.OK
    wait_until(lambda: office.presence[-1:] == [b"offline"])


def test_a_bell_rings_by_a_real_player_and_answers(
    broker: Broker, relay: Callable[[], Relay], device: Callable[[str, int], Device]
) -> None:
    office, one = relay(), device("bell", broker.port)
    one.start()
    alarm = "01938f3c-0000-4000-8000-000000000001"

    def ring(stage: Stage, **more: Any) -> Ring:
        fields = {"from_": "button-liu", "label": "柳奶奶", "raised_at": START, **more}
        return Ring(alarm=alarm, kind=AlarmKind.HELP, stage=stage, **fields)

    office.desire(Desired(rev=1, rings=(ring(Stage.RINGING),)))
    one.shows(stage="ringing", sounding=[alarm])
    wait_until(lambda: office.reports.get(timeout=20).ringing == (alarm,))
    one.press("answer")
    accept = office.event(EventType.ACCEPT)
    assert accept.alarm == alarm
    one.shows(stage="answering", sounding=[])
    office.desire(Desired(rev=2, stored=(accept.id,), rings=(ring(Stage.ACCEPTED, mine=True),)))
    one.shows(stage="mine", outbox=0)
    one.press("answer", ms=3_200)
    assert office.event(EventType.DONE).alarm == alarm
    assert one.end(signal.SIGINT) == ExitCode.OK


def test_kill_9_right_after_a_press_loses_nothing(
    broker: Broker, relay: Callable[[], Relay], device: Callable[[str, int], Device]
) -> None:
    """The press is committed when the light says so; without a broker, killed, started again, it arrives."""
    port = broker.port
    broker.stop()
    one = device("panel", port)
    one.start()
    one.press("help")
    one.shows(stage="heard")
    one.end(signal.SIGKILL)
    broker.start()
    office = relay()
    one.start()
    first = office.event(EventType.HELP)
    office.desire(panel(1, Stage.RECEIVED, first.id))
    one.shows(stage="received", outbox=0)
    one.press("help")
    second = office.event(EventType.HELP)
    assert first.seq is not None
    assert second.seq is not None
    assert second.seq > first.seq
    one.end()


def test_ready_is_told_when_armed_and_the_watchdog_fed(
    broker: Broker, device: Callable[[str, int], Device], tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        one = device("panel", broker.port)
        one.start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="200000")
        told = [manager.recv(200) for _ in range(4)]
        assert told[0] == b"READY=1\nSTATUS=panel dev-1"
        assert told[1:] == [b"WATCHDOG=1"] * 3
        one.end()
        while (last := manager.recv(200)) == b"WATCHDOG=1":
            pass
        assert last == b"STOPPING=1"


def test_two_daemons_do_not_share_an_outbox(broker: Broker, device: Callable[[str, int], Device]) -> None:
    one = device("panel", broker.port)
    one.start()
    again = subprocess.run(
        [sys.executable, "-m", "device", "run", "--config", str(one.config), "--pins", "mock", "--log-format", "json"],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "en_US"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert again.returncode == ExitCode.UNAVAILABLE  # started again until the other has gone
    assert b"another device is running in this state_dir" in again.stderr
    one.end()


def test_without_pins_the_service_manager_tries_again(tmp_path: Path) -> None:
    one = Device(tmp_path, "panel", 1)
    done = subprocess.run(
        [sys.executable, "-m", "device", "run", "--config", str(one.config)],
        cwd=ROOT,
        env={**os.environ, "GPIOZERO_PIN_FACTORY": "native", "LC_ALL": "en_US"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == ExitCode.UNAVAILABLE
    assert b"no GPIO pins here" in done.stderr


_FAILS = """
import sys
import device.daemon
from device.command import main
from doorbell.errors import DoorbellBug
def run_daemon(*_, **__):
    raise {error}("a rule is broken")
device.daemon.run_daemon = run_daemon
sys.exit(main(["run", "--config", sys.argv[1], "--pins", "mock", "--log-format", "json"]))
"""


@pytest.mark.parametrize("error", ["DoorbellBug", "KeyError", "BrokenPipeError"])
def test_a_bug_ends_with_70_and_one_line_that_says_where(tmp_path: Path, error: str) -> None:
    one = Device(tmp_path, "panel", 1)
    done = subprocess.run(
        [sys.executable, "-c", _FAILS.format(error=error), str(one.config)],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == ExitCode.BUG
    (line,) = [json.loads(one) for one in done.stderr.splitlines()]
    assert (line["event"], line["level"], line["device"]) == ("device.bug", "error", DEVICE)
    assert "run_daemon" in line["exception"]
    assert error in line["exception"]


def test_the_log_is_json_lines_with_stable_names(broker: Broker, device: Callable[[str, int], Device]) -> None:
    one = device("panel", broker.port)
    one.start()
    one.press("help")
    one.shows(stage="heard")
    one.end()
    lines = [json.loads(line) for line in (one.directory / "log").read_text().splitlines()]
    assert {"device.armed", "button.pressed", "device.light", "device.stopping"} <= {line["event"] for line in lines}


_NAMES_HEAVY = """
import sys
import device.__main__
try:
    device.__main__.main()
except SystemExit:
    import device.daemon
heavy = "rich typer pydantic_settings cryptography sqlalchemy httpx2".split()
print([name for name in heavy if sys.modules.get(name)])
"""


def test_nothing_heavy_is_in_the_daemons_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _NAMES_HEAVY, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize(("mqtt", "qos"), [({}, 1), ({"receive_qos": 0}, 0)])
def test_a_device_subscribes_with_the_qos_of_its_settings(mqtt: dict[str, int], qos: int, tmp_path: Path) -> None:
    settings = DaemonSettings.model_validate(
        {"device": DEVICE, "community": COMMUNITY, "role": "bell", "state_dir": tmp_path, "mqtt": mqtt}
    )
    link = _link(settings, Inbox(), SystemClock(), need=lambda: Need.NONE, papers=as_the_settings_say)
    root = f"doorbell/v1/{COMMUNITY}"
    assert list(link._introduction.subscriptions) == [
        (f"{root}/{DEVICE}/desired", qos),
        (f"{root}/+/peer/{DEVICE}", qos),
    ]
