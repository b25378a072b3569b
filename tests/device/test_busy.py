"""When a device would rather not be interrupted: what it answers before the link changes brokers."""

from __future__ import annotations

from device.core.machine import Trouble
from device.core.role import ButtonName, Role
from doorbell.wire import AlarmKind, Coverage, EventType, Panel, Ring, Stage
from tests.device.doubles import ALARM, START, Bench

HELP, ANSWER = ButtonName.HELP, ButtonName.ANSWER
QUIET = Panel(alarm=None, coverage=Coverage.COVERED)


def ring(stage: Stage = Stage.RINGING) -> Ring:
    return Ring(alarm=ALARM, stage=stage, kind=AlarmKind.HELP, from_="button-liu", label="柳奶奶", raised_at=START)


def test_a_panel_is_busy_from_the_press_to_its_receipt_and_no_fault_keeps_it_so() -> None:
    """While it is, the link does not change brokers."""
    bench = Bench()
    bench.connect()
    bench.desire(panel=QUIET)
    assert not bench.runtime.busy()
    bench.turn(Trouble("player_failed", "player", "no sound"))
    assert bench.runtime.snapshot().outbox == 1
    assert not bench.runtime.busy()
    bench.press(HELP)
    assert bench.runtime.busy()
    help_id = next(event.id for event in bench.events() if event.type is EventType.HELP)
    bench.desire(stored=(help_id,), panel=QUIET)
    assert not bench.runtime.busy()


def test_a_bell_is_busy_while_it_should_ring_and_until_its_answer_has_a_receipt() -> None:
    bench = Bench(Role.BELL)
    bench.connect()
    bench.desire(rings=())
    assert not bench.runtime.busy()
    bench.desire(rings=(ring(),))
    assert bench.runtime.busy()
    bench.press(ANSWER)
    assert bench.runtime.busy()
    (accept,) = [event for event in bench.events() if event.type is EventType.ACCEPT]
    bench.desire(stored=(accept.id,), rings=(ring(Stage.ACCEPTED),))
    assert not bench.runtime.busy()
