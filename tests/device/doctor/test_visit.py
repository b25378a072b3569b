"""A visit: in which order, what is asked first, and that a stopped device runs again whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from device.adapters.control import ControlError
from device.core.role import ButtonName, Role
from device.doctor import line, visit
from device.doctor.running import Running
from device.doctor.visit import Asked, Finger, Instruments, Visit
from device.options import CHECKS, HANDS_ON
from device.ports import UnavailableError
from device.settings import DaemonSettings
from doorbell.settings import MqttSettings
from doorbell.wire import Health
from tests.device.doctor.showing import ScriptedConsole, codes
from tests.device.doctor.test_condition import FakeNetwork
from tests.device.doctor.test_hands import ScriptedBench, press
from tests.device.doctor.test_speaker import FakeLoudspeaker
from tests.device.doubles import VirtualClock


class FakeHealth:
    """A Pi that is well."""

    def read(self) -> Health:
        return Health(undervoltage=False, disk_free_mb=5_000)


@dataclass
class Ward:
    """A device and everything around it; ``trail`` is what happened to its service, in order."""

    path: Path
    active: bool = False
    state: dict[str, Any] | None = None
    refuses_stop: str | None = None
    refuses_start: str | None = None
    pins_taken: bool = False
    console: ScriptedConsole = field(default_factory=ScriptedConsole)
    trail: list[str] = field(default_factory=list)
    network: FakeNetwork = field(default_factory=lambda: FakeNetwork(error=ConnectionRefusedError(111, "refused")))
    at_the_bench: Callable[[], None] = lambda: None

    def is_active(self) -> bool:
        return self.active

    def stop(self) -> str | None:
        self.trail.append("stop")
        self.active = self.refuses_stop is not None
        return self.refuses_stop

    def start(self) -> str | None:
        self.trail.append("start")
        self.active = self.refuses_start is None
        return self.refuses_start

    def find(self) -> Running | None:
        return None if self.state is None or (self.trail and not self.active) else Running(self.path, self.state)

    @contextmanager
    def pins(self) -> Iterator[tuple[ScriptedBench, Finger | None]]:
        self.trail.append("pins")
        if self.pins_taken:
            raise UnavailableError("held by another")
        self.at_the_bench()
        try:
            yield ScriptedBench(*press(ButtonName.HELP, 5_000), *press(ButtonName.OK, 9_000)), None
        finally:
            self.trail.append("pins released")

    def visit(self, *only: str, **asked: Any) -> Visit:
        settings = DaemonSettings(device="panel-liu", community="xihushan", role=Role.PANEL, state_dir=self.path)
        return Visit(
            settings,
            Asked(**{"checks": frozenset(only or CHECKS), "hands": True, **asked}),
            Instruments(
                console=self.console,
                service=self,
                network=self.network,
                clock=VirtualClock(),
                health=FakeHealth(),
                loud=FakeLoudspeaker(),
                find=self.find,
                pins=self.pins,
                pause=lambda _s: None,
            ),
        )

    def found(self, *only: str, **asked: Any) -> list[str]:
        return codes(self.visit(*only, **asked).findings())


IDLE = {"device": "panel-liu", "stage": "idle", "sounding": [], "outbox": 0, "link": True, "rev": 7, "faults": [],
        "peers": ["bell-peng"], "coverage": "covered"}  # fmt: skip


def test_a_whole_visit_of_a_device_that_does_not_run(tmp_path: Path) -> None:
    ward = Ward(tmp_path, console=ScriptedConsole(*[True] * 20))
    found = ward.found()
    lights = ["light.seen"] * 10
    assert found == [
        "button.good", "button.good", *lights, "buzzer.not_fitted", "speaker.heard",
        "clock.synced", *[one for one in found if one in ("clock.rtc", "clock.rtc_off", "clock.no_rtc")],
        "disk.good", "power.good", "service.not_running", "network.unresolved", "broker.refused", "certificate.no_tls",
        "relay.not_asked", "pair.not_asked",
    ]  # fmt: skip
    assert ward.trail == ["pins", "pins released"]


def test_only_what_was_asked_for_is_looked_at(tmp_path: Path) -> None:
    for check in CHECKS:
        ward = Ward(tmp_path, console=ScriptedConsole(*[True] * 20))
        checks = {one.partition(".")[0] for one in ward.found(check)} - {"service"}
        assert checks <= {check}, check
        assert ("pins" in ward.trail) == (check in {"button", "light", "buzzer"})


# --- the service ----------------------------------------------------------------------------------------------------


def test_a_running_device_is_stopped_only_when_a_person_agrees_and_started_again(tmp_path: Path) -> None:
    ward = Ward(tmp_path, active=True, state=IDLE, console=ScriptedConsole(True))
    assert ward.found("button") == ["button.good", "button.good", "service.started", "service.running"]
    assert ward.trail == ["stop", "pins", "pins released", "start"]
    for answer in (False, None):
        ward = Ward(tmp_path, active=True, state=IDLE, console=ScriptedConsole(answer))
        assert ward.found("button") == ["service.left_running", "service.running"]
        assert ward.trail == []


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"stage": "ringing"}, "service.alarm_open"),
        ({"sounding": ["01938f3c"]}, "service.alarm_open"),
        ({"outbox": 2}, "service.outbox_waiting"),
    ],
)
def test_an_open_alarm_or_events_that_wait_forbid_it_unless_told(
    tmp_path: Path, state: dict[str, Any], code: str
) -> None:
    ward = Ward(tmp_path, active=True, state={**IDLE, **state}, console=ScriptedConsole(True))
    assert ward.found("button") == [code, "service.running"]
    assert ward.trail == []
    ward = Ward(tmp_path, active=True, state={**IDLE, **state}, console=ScriptedConsole(True))
    assert "service.started" in ward.found("button", force=True)


def test_a_device_that_systemd_has_not_started_is_left_alone(tmp_path: Path) -> None:
    ward = Ward(tmp_path, active=False, state=IDLE, console=ScriptedConsole(True))
    assert ward.found("button") == ["service.by_hand", "service.running"]
    assert ward.trail == []


def test_a_device_that_cannot_be_asked_whether_an_alarm_is_open_is_not_stopped_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visit, "BACK_WITHIN_S", 0.1)  # it never comes back here
    ward = Ward(tmp_path, active=True, console=ScriptedConsole(True))
    assert ward.found("button") == ["service.unasked"]
    assert (ward.trail, ward.console.asked) == ([], [])
    ward = Ward(tmp_path, active=True, console=ScriptedConsole(True))
    assert "service.started" in ward.found("button", force=True)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_whatever_ends_the_visit_the_device_runs_again(tmp_path: Path, error: type[BaseException]) -> None:
    def interrupt() -> None:
        raise error

    ward = Ward(tmp_path, active=True, state=IDLE, console=ScriptedConsole(True), at_the_bench=interrupt)
    with pytest.raises(error):
        ward.found("button")
    assert ward.trail == ["stop", "pins", "start"]


def test_a_visit_that_is_dropped_half_way_starts_the_device_again(tmp_path: Path) -> None:
    """Ctrl-C while a finding is printed: the visit is closed from outside, between two of its steps."""
    ward = Ward(tmp_path, active=True, state=IDLE, console=ScriptedConsole(True))
    with closing(ward.visit("button").findings()) as findings:
        assert next(findings).code == "good"
        assert ward.trail == ["stop", "pins"]
    assert ward.trail == ["stop", "pins", "pins released", "start"]


def test_a_start_that_fails_is_the_worst_that_can_be_found(tmp_path: Path) -> None:
    ward = Ward(tmp_path, active=True, state=IDLE, console=ScriptedConsole(True), refuses_start="masked")
    found = list(ward.visit("button").findings())
    assert codes(found)[-2:] == ["service.not_started", "service.not_running"]
    assert any("masked" in line for line in ward.console.said)


def test_a_stop_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    ward = Ward(tmp_path, active=True, state=IDLE, console=ScriptedConsole(True), refuses_stop="not allowed")
    assert ward.found("button") == ["service.not_stopped", "service.running"]
    assert ward.trail == ["stop"]


def test_pins_that_another_holds_do_not_end_the_visit(tmp_path: Path) -> None:
    ward = Ward(tmp_path, pins_taken=True, console=ScriptedConsole(True))
    assert ward.found("button", "speaker", "power") == [
        "pins.unavailable", "speaker.heard", "power.good", "service.not_running",
    ]  # fmt: skip


def test_without_a_person_nothing_is_asked_moved_or_played(tmp_path: Path) -> None:
    ward = Ward(tmp_path, active=True, state=IDLE)
    assert ward.found(*HANDS_ON, hands=False) == [
        "button.not_asked", "light.not_asked", "buzzer.not_asked", "speaker.not_asked", "service.running",
    ]  # fmt: skip
    assert (ward.trail, ward.console.asked) == ([], [])
    assert "speaker.recorded" in ward.found("speaker", hands=False, recorder="mic")


# --- the running device ---------------------------------------------------------------------------------------------


def selftest_says(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | ControlError) -> None:
    def ask(_running: Running, _receipt_s: int) -> dict[str, Any]:
        if isinstance(answer, ControlError):
            raise answer
        return answer

    monkeypatch.setattr(line, "ask_selftest", ask)


def finding(check: str, code: str, severity: str, **data: Any) -> dict[str, Any]:
    return {"check": check, "code": code, "severity": severity, "data": data}


LINE = ("broker", "relay", "pair")
PROVEN = {
    "busy": False,
    "findings": [
        finding("sound", "played", "ok"),
        finding("broker", "link_up", "ok"),
        finding("relay", "receipted", "ok", waited_ms=40),
    ],
}


def test_a_running_device_is_asked_instead_of_using_its_identity_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selftest_says(monkeypatch, PROVEN)
    ward = Ward(tmp_path, active=True, state=IDLE, network=FakeNetwork())
    assert ward.found(*LINE) == [
        "service.running", "broker.reachable", "broker.link_up", "relay.receipted", "relay.desired", "pair.known",
        "pair.covered",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "state", "last"),
    [
        (PROVEN, {"rev": 0}, ["relay.no_desired"]),
        (PROVEN, {"peers": [], "coverage": "uncovered"}, ["pair.none", "pair.uncovered"]),
        (PROVEN, {"coverage": "thin"}, ["pair.known", "pair.thin"]),
        (PROVEN, {"coverage": None}, ["relay.desired", "pair.known"]),
        ({"busy": True, "stage": "ringing"}, {}, ["relay.busy"]),
    ],
)
def test_what_the_running_device_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], state: dict[str, Any], last: list[str]
) -> None:
    selftest_says(monkeypatch, answer)
    ward = Ward(tmp_path, active=True, state={**IDLE, **state}, network=FakeNetwork())
    assert ward.found(*LINE)[-len(last) :] == last


def test_faults_that_the_device_tells_are_repeated_with_their_remedy(tmp_path: Path) -> None:
    ward = Ward(tmp_path, active=True, state={**IDLE, "faults": ["button_stuck help", "new_code part"]})
    found = [one for one in ward.visit("power").findings() if one.code == "fault"]
    assert [dict(one.data) for one in found] == [
        {"fault": "button_stuck", "subject": "help"},
        {"fault": "new_code", "subject": "part"},
    ]
    assert codes(found[:1]) == ["service.fault"]


@pytest.mark.parametrize(("reason", "code"), [("silent", "silent"), ("forbidden", "forbidden"), ("invalid", "refused")])
def test_a_device_that_does_not_answer_is_a_failure_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, code: str
) -> None:
    ward = Ward(tmp_path, active=True, state=IDLE)
    error = ControlError(reason, "control.sock: hangs")

    def find() -> Running | None:
        raise error

    ward.find = find  # type: ignore[method-assign]
    assert ward.found("power")[0] == f"service.{code}"
    selftest_says(monkeypatch, error)
    ward = Ward(tmp_path, active=True, state=IDLE, network=FakeNetwork())
    assert ward.found("relay")[-1] == f"service.{code}"


# --- several brokers ------------------------------------------------------------------------------------------------


class HalfDead(FakeNetwork):
    """The first broker is down."""

    def connect(self, host: str, port: int, within_s: float) -> None:
        if host == "first.test":
            raise ConnectionRefusedError(111, "refused")


def test_a_first_broker_that_is_down_is_a_warning_while_another_can_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = (MqttSettings(host="first.test"), MqttSettings(host="second.test"))
    monkeypatch.setattr(line, "brokers_of", lambda _settings: both)
    for network, wanted in (
        (HalfDead(), ["warning", "ok"]),
        (FakeNetwork(error=TimeoutError()), ["failure", "failure"]),
        (FakeNetwork(), ["ok", "ok"]),
    ):
        selftest_says(monkeypatch, {"busy": False, "findings": []})
        ward = Ward(tmp_path, active=True, state=IDLE, network=network)
        found = [one for one in ward.visit("broker").findings() if one.check == "broker"]
        assert [one.severity.value for one in found] == wanted
        codes(found)
