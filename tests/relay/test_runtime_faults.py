"""Clocks that are wrong at boot, a line that is down, and devices that leave or invent: what a review found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from doorbell.link import LinkDown, LinkUp
from doorbell.wire import Coverage
from doorbell.wire.messages import MAX_PRESSES
from relay.core.alarm import AlarmStage
from relay.engine import EARLY_KEPT, MAX_EARLY_OF_DEVICE
from tests.relay.doubles import BELLS, PANEL, PENG, WANG, House, neighbourhood, uid


@pytest.mark.parametrize("wall", [datetime(1970, 1, 1, 0, 0, 20, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)])
def test_a_boot_with_a_clock_that_is_behind_puts_no_deadline_away(wall: datetime) -> None:
    """The stored deadline lay years ahead, and the step to the right time moved it to 2083: nobody was called again."""
    house = House()
    house.press(1)
    house.hear(house.report(PENG, 1))
    house.clock.boot, house.clock.wall = "another boot", wall
    house.boot()
    house.hear(LinkUp(1))
    house.hear(*(house.report(device, retained=True) for device in (PANEL, WANG)), house.report(PENG, 1))
    house.advance(30_000)
    house.clock.wall = datetime(2026, 11, 23, 9, tzinfo=UTC)
    house.advance(14_999)
    assert house.rings(WANG) == []
    house.advance(1)
    assert house.rings(WANG) == [(uid(1), "ringing")], "45 s after the boot, whatever the clock said"


def test_the_relays_own_line_is_no_devices_silence() -> None:
    """Everybody was held offline after 150 s without a broker, and deaf for a while after it came back."""
    house = House()
    house.press(1)
    house.hear(*(house.report(device, next_in_s=60) for device in (PANEL, *BELLS)), house.report(PENG, 1, next_in_s=60))
    house.hear(LinkDown("cut"))
    house.link.up = False
    house.advance(400_000)
    assert "device_offline" not in house.journal(None)
    house.link.up = True
    house.hear(LinkUp(2))
    house.hear(house.report(PENG, 1, retained=True, next_in_s=60))
    assert house.panel() == ("ringing", None)
    house.advance(149_999)
    assert "device_offline" not in house.journal(None)
    house.advance(1)
    assert "device_offline" in house.journal(None), "with the line up again, silence is silence"


def test_a_report_that_the_broker_kept_counts_after_a_silence_but_not_after_a_will() -> None:
    house = House()
    house.hear(*(house.report(bell, next_in_s=60) for bell in (PENG, WANG)))
    house.advance(150_000)
    house.hear(house.online(WANG, "offline"))
    house.hear(house.report(PENG, retained=True), house.report(WANG, retained=True))
    house.press(1)
    assert house.relay.book.by_id[uid(1)].step == 0
    assert house.panel() == ("received", None)
    house.hear(house.report(PENG, 1), house.report(WANG, 1, retained=True))
    assert house.relay.book.by_id[uid(1)].sounding == (PENG,)


def test_what_a_full_queue_refused_is_said_again_at_the_next_turn() -> None:
    house = House()
    house.link.up = False
    house.press(1)
    assert house.rings(PENG) == []
    house.link.up = True
    house.hear()
    assert house.rings(PENG) == [(uid(1), "ringing")]


def test_a_bell_that_invents_alarms_takes_no_room_from_another() -> None:
    house = House()
    for number in range(MAX_EARLY_OF_DEVICE + 5):
        house.hear(house.event(PENG, "accept", 1_000 + number, alarm=5_000 + number))
    assert house.journal(None).count("early") == MAX_EARLY_OF_DEVICE
    house.hear(house.event(WANG, "accept", 2, alarm=1))
    house.press(1)
    assert house.relay.book.by_id[uid(1)].stage is AlarmStage.ACCEPTED


def test_answers_to_alarms_that_were_never_raised_make_room_after_a_day() -> None:
    house = House()
    for number in range(MAX_EARLY_OF_DEVICE):
        house.hear(house.event(PENG, "accept", 1_000 + number, alarm=5_000 + number))
    house.advance(EARLY_KEPT // timedelta(milliseconds=1))
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    assert house.store.events[uid(1_000)].verdict == "never_raised"
    house.press(1)
    assert house.relay.book.by_id[uid(1)].stage is AlarmStage.ACCEPTED


def test_a_device_that_is_registered_no_more_is_told_to_be_silent() -> None:
    """The broker would go on showing it the label and place of an elder, and it would ring for ever."""
    house = House()
    house.press(1)
    rev = house.rev(PENG)
    register = neighbourhood()
    house.store.replace_register(
        replace(register, devices={name: device for name, device in register.devices.items() if name != PENG})
    )
    house.advance(1_000)
    assert house.rings(PENG) == []
    assert house.rev(PENG) == rev + 1


def test_a_bell_that_comes_back_into_the_register_is_not_heard_to_sound_from_before() -> None:
    """It was gone from the relay's memory, and what it had sounded was not: the panel said that a bell rings."""
    house = House()
    house.press(1)
    house.hear(house.report(PENG, 1, next_in_s=60))
    house.store.replace_register(neighbourhood(without=[PENG]))
    house.advance(151_000)
    house.store.replace_register(neighbourhood())
    house.advance(120_000)
    assert house.relay.book.by_id[uid(1)].sounding == ()
    assert house.panel() == ("received", None)


def test_it_is_told_so_also_if_the_broker_is_away_just_then() -> None:
    house = House()
    house.press(1)
    house.link.up = False
    house.hear(LinkDown("cut"))
    house.store.replace_register(neighbourhood(without=[PENG]))
    house.advance(2_000)
    house.link.up = True
    house.hear(LinkUp(2))
    assert house.rings(PENG) == []
    house.store.replace_register(neighbourhood())
    house.advance(2_000)
    assert house.rings(PENG) == [(uid(1), "ringing")], "and it is registered again"


def test_a_stage_that_began_before_1970_by_a_clock_that_is_behind_is_told_all_the_same() -> None:
    """The panel refused the whole state, and with it every receipt."""
    house = House()
    house.press(1)
    house.clock.advance(60_000)
    house.hear(house.event(PENG, "accept", 2, alarm=1), house.event(PANEL, "ok", 3))
    house.advance(3 * 3_600_000)
    house.clock.boot, house.clock.wall = "another boot", datetime(1970, 1, 1, 0, 0, 20, tzinfo=UTC)
    house.boot()
    house.hear(LinkUp(1))
    house.advance(3_000)
    assert house.panel() == ("arrived", "彭小平")


def test_presses_without_end_silence_no_bell() -> None:
    """It refuses a state with a number that the contract does not know, and everything else that it should ring."""
    house = House()
    house.press(1)
    house.relay.book.put(replace(house.relay.book.by_id[uid(1)], presses=MAX_PRESSES))
    house.press(2)
    assert house.shown(PENG).rings[0].presses == MAX_PRESSES


def test_deadlines_that_come_all_at_once_keep_no_press_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a city's were one turn, and a press had to wait for its end."""
    monkeypatch.setattr("relay.engine.LOOK_SIZE", 1)
    house = House()
    house.press(1)
    house.press(2, device="button-chen")
    house.clock.advance(3_600_000)
    for left in (1, 0):
        turn = house.hear()
        assert len(turn.lags_s) == 1
        assert (house.relay.next_wake_ms() == house.clock.monotonic_ms()) is bool(left)


def test_a_deadline_is_looked_at_once_however_often_it_moved_to_and_fro() -> None:
    house = House()
    house.press(1)
    for _ in range(20):
        house.hear(house.report(PENG, 1))
        house.hear(house.report(PENG))
    house.hear(house.report(PENG, 1))
    house.clock.advance(45_000)
    assert len(house.hear().lags_s) == 1


def test_a_relay_that_has_just_started_promises_nobody_whom_it_has_not_heard() -> None:
    """For 3 s after a start, bells of which nothing was known counted as listening: the light said covered."""
    house = House(settled=False)
    house.hear(LinkUp(1))
    house.hear(house.report(PANEL), house.report(PENG))
    panel = house.shown(PANEL).panel
    assert panel is not None
    assert panel.coverage is Coverage.THIN
