"""A disk that hangs, as a worn card does before it fails: a press is felt, sent and kept all the same.

The whole device used to wait for it: no light, nothing sent, no bell rung until the card had answered.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from device.core.effects import OutboxRow
from device.core.role import ButtonName
from device.core.signals import Light
from device.ports import StoredOutbox, StoreError
from device.timely import TimelyOutbox
from doorbell.wire import EventType, Panel, PanelAlarm, Stage
from tests.device.doubles import START, Bench, MemoryStore
from tests.device.test_outbox_store import id_of, row
from tests.device.waiting import wait_until


class SlowStore(MemoryStore):
    """Does what it is asked when ``moves`` is set, and never before."""

    def __init__(self) -> None:
        super().__init__()
        self.moves = threading.Event()
        self.moves.set()
        self.asked = 0

    def load(self) -> StoredOutbox:
        self._wait()
        return super().load()

    def commit(self, keep: Sequence[OutboxRow], forget: Sequence[str]) -> None:
        self._wait()
        super().commit(keep, forget)

    def _wait(self) -> None:
        self.asked += 1
        assert self.moves.wait(30)


@pytest.fixture
def slow() -> Iterator[SlowStore]:
    store = SlowStore()
    yield store
    store.moves.set()


@pytest.fixture
def panel(slow: SlowStore) -> Iterator[Bench]:
    bench = Bench()
    bench.store = timely = TimelyOutbox(slow, answer_s=0.05, load_s=0.05)  # type: ignore[assignment]
    bench.boot()
    bench.connect()
    bench.forget()
    yield bench
    slow.moves.set()
    timely.close()
    wait_until(lambda: not timely.alive())


def kinds(bench: Bench) -> list[EventType]:
    """Every event that was sent, once."""
    return list({event.id: event.type for event in bench.events()}.values())


def answered(slow: SlowStore, commits: int) -> None:
    """Let the disk move, and wait until it has done so many commits."""
    slow.moves.set()
    wait_until(lambda: slow.commits >= commits)


def test_a_press_is_shown_and_sent_while_the_disk_hangs_and_kept_when_it_moves_again(
    panel: Bench, slow: SlowStore
) -> None:
    slow.moves.clear()
    for _ in range(3):
        panel.press(ButtonName.HELP)
    assert panel.lights() == [Light.HEARD]
    assert kinds(panel) == [EventType.HELP, EventType.FAULT, EventType.HELP, EventType.HELP]
    assert slow.asked == 2  # loaded, and one commit that hangs: nobody waits for it a second time
    answered(slow, 1)
    panel.advance(11_000)
    assert {one.type for one in slow.rows.values()} == {EventType.HELP, EventType.FAULT}
    waiting = {one.row.id for one in panel.runtime.state.outbox.waiting}
    assert set(slow.rows) == waiting
    assert [one.detail["cleared"] for one in slow.rows.values() if one.detail] == [True]


def test_what_was_receipted_before_the_disk_had_written_it_does_not_come_back_after_a_restart(
    panel: Bench, slow: SlowStore
) -> None:
    """The late commit puts it there: it used to stay for ever, and to call the bells at the next start."""
    slow.moves.clear()
    panel.press(ButtonName.HELP)
    press = panel.events()[0].id
    alarm = PanelAlarm(id=press, stage=Stage.RECEIVED, since=START)
    panel.desire(stored=(press,), panel=Panel(alarm=alarm))
    answered(slow, 1)
    assert press in slow.rows
    panel.advance(11_000)
    assert press not in slow.rows


def test_a_disk_that_hangs_at_the_start_keeps_no_panel_from_arming_and_is_read_later(
    panel: Bench, slow: SlowStore
) -> None:
    panel.press(ButtonName.HELP)
    wait_until(lambda: slow.rows)
    slow.moves.clear()
    panel.boot()
    panel.connect()
    assert panel.stage == "idle"
    slow.moves.set()

    def found() -> bool:
        panel.advance(5_000)
        return panel.stage == "heard"

    wait_until(found)
    assert EventType.HELP in kinds(panel)


def test_what_the_store_refuses_is_refused_and_a_hanging_one_can_be_left(slow: SlowStore) -> None:
    timely = TimelyOutbox(slow, answer_s=0.05)
    slow.failing = True
    with pytest.raises(StoreError, match="full"):
        timely.commit((row(1),), ())
    slow.failing = False
    timely.commit((row(1),), ())
    assert set(slow.rows) == {id_of(1)}
    slow.moves.clear()
    with pytest.raises(StoreError, match=r"within 0\.05 s"):
        timely.commit((row(2),), ())
    with pytest.raises(StoreError, match="not answered yet"):
        timely.reserve(9)
    timely.close()
    assert timely.alive()
    slow.moves.set()
    wait_until(lambda: not timely.alive())
    assert set(slow.rows) == {id_of(1), id_of(2)}
