"""What a device needs its connection for: what it answers before the link changes brokers."""

from __future__ import annotations

from device.core.machine import Trouble
from device.core.role import ButtonName, Role
from doorbell.broker_order import Need
from doorbell.wire import AlarmKind, Coverage, EventType, Panel, PanelAlarm, Ring, Stage
from tests.device.doubles import ALARM, START, Bench

HELP, ANSWER = ButtonName.HELP, ButtonName.ANSWER
QUIET = Panel(alarm=None, coverage=Coverage.COVERED)


def ring(stage: Stage = Stage.RINGING) -> Ring:
    return Ring(alarm=ALARM, stage=stage, kind=AlarmKind.HELP, from_="button-liu", label="柳奶奶", raised_at=START)


def test_a_panel_needs_it_from_the_press_to_its_receipt_and_while_its_alarm_is_open_and_for_no_fault() -> None:
    bench = Bench()
    bench.connect()
    bench.desire(panel=QUIET)
    assert bench.runtime.need() is Need.NONE
    bench.turn(Trouble("player_failed", "player", "no sound"))
    assert bench.runtime.snapshot().outbox == 1
    assert bench.runtime.need() is Need.NONE
    bench.press(HELP)
    assert bench.runtime.need() is Need.RECEIPT
    help_id = next(event.id for event in bench.events() if event.type is EventType.HELP)
    for stage in (Stage.RECEIVED, Stage.RINGING, Stage.ACCEPTED, Stage.ARRIVED):
        alarm = PanelAlarm(id=help_id, stage=stage, since=START, who="彭小平")
        bench.desire(stored=(help_id,), panel=Panel(alarm=alarm, coverage=Coverage.COVERED))
        assert bench.runtime.need() is Need.ALARM
    bench.desire(stored=(help_id,), panel=QUIET)
    assert bench.runtime.need() is Need.NONE


def test_a_bell_needs_it_while_it_shows_an_alarm_and_until_its_answer_has_a_receipt() -> None:
    bench = Bench(Role.BELL)
    bench.connect()
    bench.desire(rings=())
    assert bench.runtime.need() is Need.NONE
    bench.desire(rings=(ring(),))
    assert bench.runtime.need() is Need.ALARM
    bench.press(ANSWER)
    assert bench.runtime.need() is Need.RECEIPT
    (accept,) = [event for event in bench.events() if event.type is EventType.ACCEPT]
    bench.desire(stored=(accept.id,), rings=(ring(Stage.ACCEPTED),))
    assert bench.runtime.need() is Need.ALARM
    bench.desire(stored=(accept.id,), rings=())
    assert bench.runtime.need() is Need.NONE
