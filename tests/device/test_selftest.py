"""The silent daily proof: what is proven, what is not, and that an alarm comes first."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from device.core.machine import Proof, Trouble
from device.core.role import ButtonName, Role
from device.ports import StoreError
from device.selftest import Lent, SelfTest
from doorbell.errors import PeerError
from doorbell.wire import AlarmKind, Event, EventType, Ring, Stage
from tests.device.doubles import ALARM, START, Bench


class BenchPins:
    """The bench's pins with a proof of life."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.is_healthy = True

    def level(self, button: ButtonName) -> bool | None:
        return self._bench.pins.level(button)

    def fitted(self) -> tuple[ButtonName, ...]:
        return tuple(self._bench.pins.fitted())

    def show(self, light: Any) -> None:
        raise AssertionError("a self-test shows nothing")

    def healthy(self) -> bool:
        return self.is_healthy


@dataclass
class Rig:
    """A bench whose relay receipts every event at once, and a self-test of it."""

    bench: Bench = field(default_factory=lambda: Bench(Role.PANEL))
    receipts: bool = True
    sound: str = "played"
    disk: Callable[[], None] = lambda: None
    receipt_takes_ms: int = 40

    def __post_init__(self) -> None:
        self.pins = BenchPins(self.bench)
        self.selftest = SelfTest(
            Lent(
                snapshot=self.bench.runtime.snapshot,
                state=lambda: self.bench.runtime.state,
                put=self._put,
                pins=self.pins,
                clock=self.bench.clock,
                prove_sound=lambda: self.sound,
                prove_disk=self._prove_disk,
                on_disk=lambda event_id: event_id in self.bench.store.rows,
                new_id=lambda: str(uuid.uuid4()),
            )
        )
        self.bench.connect()
        self.bench.desire(peers=("bell-peng",))
        self.bench.forget()

    def _put(self, proof: Proof) -> None:
        self.bench.turn()
        self.selftest.after_turn()  # a turn for another reason, before the probe is taken in
        self.bench.turn(proof)
        self.selftest.after_turn()
        if self.receipts and self.bench.link.up:
            self.bench.clock.advance(self.receipt_takes_ms)
            self.bench.desire(stored=(proof.event_id,), peers=("bell-peng",))
            self.selftest.after_turn()

    def _prove_disk(self) -> None:
        self.disk()

    def run(self, **request: Any) -> dict[str, Any]:
        return self.selftest.answer({"do": "selftest", "receipt_s": 1, **request})

    def codes(self) -> list[str]:
        return [f"{one['check']}.{one['code']}" for one in self.run()["findings"]]

    def tests(self) -> Iterator[Event]:
        return (one for one in self.bench.events() if one.type is EventType.TEST)


ALL_WELL = ["outbox.written", "button.readable", "button.readable", "light.alive", "sound.played", "clock.synced",
            "broker.link_up", "relay.receipted", "pair.known"]  # fmt: skip


def test_a_device_that_is_well_proves_everything_and_tells_the_relay() -> None:
    rig = Rig()
    answer = rig.run()
    assert [f"{one['check']}.{one['code']}" for one in answer["findings"]] == ALL_WELL
    assert {one["severity"] for one in answer["findings"]} == {"ok"}
    probe, result = rig.tests()
    assert probe.detail == {"of": "probe"}
    assert result.id == answer["event"]
    assert result.detail == {
        "of": "selftest",
        "proven": [*ALL_WELL[:1], "button.readable help", "button.readable ok", *ALL_WELL[3:]],
        "not_proven": [],
        "receipt_ms": rig.receipt_takes_ms,
    }


def test_nothing_is_sounded_shown_or_pressed() -> None:
    rig = Rig()
    rig.run()
    assert rig.bench.tones() == []
    assert rig.bench.lights() == []
    assert {event.type for event in rig.bench.events()} == {EventType.TEST}
    assert rig.bench.stage == "idle"
    assert rig.bench.store.rows == {}  # receipted, and gone


@pytest.mark.parametrize(
    ("break_it", "code", "severity"),
    [
        (lambda rig: rig.bench.pins.levels.update({ButtonName.OK: None}), "button.unreadable", "failure"),
        (lambda rig: rig.bench.pins.levels.update({ButtonName.OK: True}), "button.down", "warning"),
        (lambda rig: rig.bench.turn(Trouble("button_stuck", ButtonName.OK)), "button.stuck", "failure"),
        (lambda rig: setattr(rig.pins, "is_healthy", False), "light.dead", "failure"),
        (lambda rig: setattr(rig, "sound", "failed"), "sound.failed", "failure"),
        (lambda rig: setattr(rig, "sound", "overtaken"), "sound.overtaken", "note"),
        (lambda rig: setattr(rig, "sound", "no_player"), "sound.no_player", "note"),
        (lambda rig: setattr(rig.bench.clock, "is_synced", False), "clock.unsynced", "warning"),
        (lambda rig: setattr(rig.bench.clock, "wall_now", START.replace(year=1970)), "clock.lost", "failure"),
        (lambda rig: rig.bench.turn(Trouble("outbox_failed", "disk")), "outbox.not_written", "failure"),
        (lambda rig: setattr(rig, "receipts", False), "relay.no_receipt", "failure"),
    ],
)
def test_what_is_out_of_order_is_named_and_everything_else_still_proven(
    break_it: Callable[[Rig], object], code: str, severity: str
) -> None:
    rig = Rig()
    break_it(rig)
    answer = rig.run()
    wrong = {f"{one['check']}.{one['code']}": one["severity"] for one in answer["findings"] if one["severity"] != "ok"}
    assert wrong == {code: severity}
    (*_, result) = rig.tests()
    assert result.detail is not None
    assert [one.split()[0] for one in result.detail["not_proven"]] == [code]


def test_a_disk_that_refuses_is_told_with_its_reason() -> None:
    def refuse() -> None:
        raise StoreError("disk full")

    rig = Rig(disk=refuse)
    (finding,) = [one for one in rig.run()["findings"] if one["check"] == "outbox"]
    assert (finding["code"], finding["data"]) == ("refused", {"reason": "disk full"})


def test_without_a_link_the_results_wait_in_the_outbox_one_of_each_kind() -> None:
    rig = Rig()
    rig.bench.disconnect()
    for _day in range(3):
        assert rig.codes()[-3:-1] == ["broker.link_down", "relay.not_asked"]
    waiting = [one.row.detail for one in rig.bench.runtime.state.outbox.waiting]
    assert [detail["of"] for detail in waiting if detail is not None] == ["probe", "selftest"]


def test_before_the_first_desired_the_pair_is_unknown_and_without_peers_there_is_none() -> None:
    rig = Rig(receipts=False)
    rig.bench.desire()
    assert rig.codes()[-1] == "pair.none"
    rig.bench.boot()
    rig.bench.connect()
    again = Rig(bench=rig.bench, receipts=False)
    again.bench.boot()
    assert Rig.codes(again)[-1] == "pair.unknown"


@pytest.mark.parametrize("role", [Role.PANEL, Role.BELL])
def test_while_an_alarm_is_open_nothing_is_tried(role: Role) -> None:
    rig = Rig(Bench(role))
    if role is Role.PANEL:
        rig.bench.press(ButtonName.HELP)
    else:
        ring = Ring(
            alarm=ALARM, kind=AlarmKind.HELP, from_="button-liu", label="柳", raised_at=START, stage=Stage.RINGING
        )
        rig.bench.desire(rings=(ring,))
    assert rig.run() == {"busy": True, "stage": {Role.PANEL: "heard", Role.BELL: "ringing"}[role]}
    assert list(rig.tests()) == []


def test_two_at_once_are_one() -> None:
    inner: list[dict[str, Any]] = []
    rig = Rig()
    rig.disk = lambda: inner.append(rig.run())
    assert not rig.run()["busy"]
    assert inner == [{"busy": True, "stage": "selftest"}]


@pytest.mark.parametrize("receipt_s", [0, 301, "long", 1.5])
def test_a_receipt_is_waited_for_within_reason(receipt_s: object) -> None:
    with pytest.raises(PeerError, match="whole number from 1 to 300"):
        Rig().run(receipt_s=receipt_s)
