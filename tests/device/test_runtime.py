"""The shell on virtual time: the order of effects, resends, restarts, and a disk that refuses."""

from __future__ import annotations

from typing import Any

import pytest

from device.core.machine import Trouble
from device.core.role import ButtonName, Role
from device.core.signals import Call, Light, Tone
from doorbell.link import LinkDied
from doorbell.wire import (
    AlarmKind,
    Channel,
    ClockState,
    Coverage,
    DeviceSettings,
    EventType,
    Panel,
    PanelAlarm,
    Ring,
    Stage,
)
from tests.device.doubles import ALARM, OTHER, START, Bench, Published

HELP, ANSWER, DECLINE = ButtonName.HELP, ButtonName.ANSWER, ButtonName.DECLINE


def panel(stage: Stage | None, alarm: str = ALARM, coverage: Coverage = Coverage.COVERED) -> Panel:
    shown = None if stage is None else PanelAlarm(id=alarm, stage=stage, since=START)
    return Panel(alarm=shown, coverage=coverage)


def ring(stage: Stage = Stage.RINGING, alarm: str = ALARM, **more: Any) -> Ring:
    fields = {"kind": AlarmKind.HELP, "from_": "button-liu", "label": "柳奶奶", "raised_at": START, **more}
    return Ring(alarm=alarm, stage=stage, **fields)


def kinds(trail: list[Any]) -> list[str]:
    """The trail's order in words."""
    return [
        one[0] if isinstance(one, tuple) else one.topic.rpartition("/")[2] if isinstance(one, Published) else one.value
        for one in trail
    ]


def test_a_press_is_committed_then_published_then_answered() -> None:
    bench = Bench()
    bench.connect()
    bench.desire(panel=panel(None))
    bench.forget()
    bench.down(HELP)
    bench.advance(25)
    assert kinds(bench.trail) == ["commit", "event", Light.HEARD.value, Tone.HEARD.value]
    (event,) = bench.events()
    assert (event.type, event.age_ms, event.clock) == (EventType.HELP, 25, ClockState.SYNCED)
    assert event.at == START.replace(microsecond=50_000)
    assert event.id in bench.store.rows


def test_the_story_of_a_press_shows_every_stage_and_nothing_before_it_is_desired() -> None:
    bench = Bench()
    bench.connect()
    bench.desire(panel=panel(None))
    bench.press(HELP)
    (event,) = bench.events()
    stages = [bench.stage]
    for stage in (Stage.RECEIVED, Stage.RINGING, Stage.ACCEPTED, Stage.ARRIVED, None):
        bench.desire(stored=(event.id,), panel=panel(stage))
        stages.append(bench.stage)
    bench.advance(5_000)
    stages.append(bench.stage)
    assert stages == ["heard", "received", "ringing", "coming", "arrived", "closed", "idle"]
    assert bench.tones() == [
        Tone.HEARD, Tone.RECEIVED, Tone.RINGING, Tone.COMING, Tone.ARRIVED, Tone.CLOSED,
    ]  # fmt: skip
    assert not bench.store.rows


def test_a_press_while_offline_is_unreachable_after_10_s_and_goes_out_at_once_when_the_link_is_up() -> None:
    bench = Bench()
    bench.press(HELP)
    assert bench.stage == "heard"
    bench.advance(9_900)
    assert bench.stage == "unreachable"
    bench.advance(3_600_000)
    bench.connect()
    (event,) = bench.events()
    assert event.age_ms == pytest.approx(3_610_100, abs=1_000)
    bench.desire(stored=(event.id,), panel=panel(Stage.RECEIVED))
    assert bench.stage == "received"


def test_an_event_is_sent_again_after_2_4_8_16_and_then_every_30_s_within_20_per_cent() -> None:
    bench = Bench()
    bench.connect()
    bench.press(HELP)
    sent_at: list[int] = []
    for _ in range(1500):
        before = len(bench.events())
        bench.advance(100)
        sent_at += [bench.clock.now_ms] * (len(bench.events()) - before)
    waits = [b - a for a, b in zip([100_050, *sent_at], sent_at, strict=False)]
    for wait, wanted in zip(waits, (2, 4, 8, 16, 30, 30), strict=False):
        assert wait == pytest.approx(wanted * 1000, rel=0.2, abs=150)
    ages = [event.age_ms for event in bench.events()]
    assert ages == sorted(ages)
    assert len({event.id for event in bench.events()}) == 1


def test_a_press_survives_the_death_of_the_process_with_its_age_and_number() -> None:
    bench = Bench()
    bench.press(HELP)
    seq = next(iter(bench.store.rows.values())).seq
    bench.clock.advance(60_000)
    bench.boot()
    assert bench.stage == "heard"
    bench.connect()
    (event,) = bench.events()
    assert event.seq == seq
    assert event.age_ms >= 60_000
    bench.press(HELP)
    assert all(e.seq is not None and e.seq > seq for e in bench.events() if e.id != event.id)
    assert len({e.id for e in bench.events()}) == 2


@pytest.mark.parametrize(
    ("synced_then", "synced_now", "age_ms"),
    [(True, True, 3_600_000), (True, False, 9_000), (False, True, 9_000), (False, False, 9_000)],
)
def test_the_age_over_a_reboot_needs_two_synced_clocks_else_it_is_the_time_since_boot(
    *, synced_then: bool, synced_now: bool, age_ms: int
) -> None:
    bench = Bench()
    bench.clock.is_synced = synced_then
    bench.press(HELP)
    bench.clock.advance(3_600_000)
    bench.reboot(synced=synced_now)
    bench.connect()
    (event,) = bench.events()
    assert event.age_ms == pytest.approx(age_ms, abs=500)
    assert event.clock is (ClockState.SYNCED if synced_then else ClockState.UNSYNCED)


def test_a_full_disk_stops_nothing_and_is_told_and_taken_back() -> None:
    bench = Bench()
    bench.connect()
    bench.store.failing = True
    bench.forget()
    bench.press(HELP)
    help_event, fault = bench.events()
    assert help_event.type is EventType.HELP
    assert fault.detail == {
        "code": "outbox_failed", "subject": "disk", "text": "the disk is full", "cleared": False,
    }  # fmt: skip
    assert bench.lights()[-1] is Light.HEARD
    bench.advance(60_000)
    assert [e for e in bench.events() if e.type is EventType.FAULT and e.id != fault.id] == []
    bench.store.failing = False
    bench.forget()
    bench.advance(5_000)
    assert help_event.id in bench.store.rows
    cleared = [row for row in bench.store.rows.values() if row.type is EventType.FAULT]
    assert [row.detail["cleared"] for row in cleared if row.detail] == [True]


def test_what_was_receipted_while_the_disk_refused_is_not_written_afterwards() -> None:
    bench = Bench()
    bench.connect()
    bench.store.failing = True
    bench.press(HELP)
    help_event = bench.events()[0]
    bench.desire(stored=(help_event.id,), panel=panel(Stage.RECEIVED))
    bench.store.failing = False
    bench.forget()
    bench.advance(5_000)
    written = [
        one for commit in bench.trail if isinstance(commit, tuple) and commit[0] == "commit" for one in commit[1]
    ]
    assert written
    assert help_event.id not in written


def test_what_lay_on_a_disk_that_could_not_be_read_at_start_is_sent_when_it_can() -> None:
    bench = Bench()
    bench.press(HELP)
    bench.store.failing = True
    bench.boot()
    bench.connect()
    assert {e.type for e in bench.events()} == {EventType.FAULT}
    bench.store.failing = False
    bench.advance(5_000)
    assert EventType.HELP in {e.type for e in bench.events()}
    assert bench.stage == "heard"


def test_a_desired_is_acknowledged_after_the_commit_and_the_receipt_is_on_disk() -> None:
    bench = Bench()
    bench.connect()
    bench.press(HELP)
    (event,) = bench.events()
    bench.forget()
    bench.desire(stored=(event.id,), panel=panel(Stage.RECEIVED))
    assert kinds(bench.trail) == ["commit", "ack", "reported", Light.RECEIVED.value, Tone.RECEIVED.value]
    assert bench.reports()[-1].outbox == 0


@pytest.mark.parametrize(
    ("topic", "payload", "counter"),
    [
        (None, b"not json", "desired_not_json"),
        (None, b'{"rev": -1}', "desired_invalid"),
        (None, b"x" * 9_000, "desired_too_large"),
        ("doorbell/v1/west-lake/other/desired", b'{"rev": 5}', "peer_bad_topic"),
    ],
)
def test_rubbish_is_acknowledged_and_counted_and_changes_nothing(
    topic: str | None, payload: bytes, counter: str
) -> None:
    bench = Bench()
    bench.connect()
    before = bench.runtime.state
    bench.deliver_raw(topic or bench.topic(Channel.DESIRED), payload)
    assert bench.runtime.counters[counter] == 1
    assert len(bench.link.acked) == 1
    assert bench.runtime.state == before


def test_a_bell_rings_and_reports_only_what_really_sounds() -> None:
    bench = Bench(Role.BELL)
    bench.connect()
    bench.sound.broken = True
    bench.desire(rings=(ring(),))
    assert bench.reports()[-1].ringing == ()
    assert bench.stage == "ringing"
    bench.sound.broken = False
    bench.sound.chime((Call(ALARM),))
    bench.turn()
    assert bench.reports()[-1].ringing == (ALARM,)
    bench.desire(rings=())
    assert bench.reports()[-1].ringing == ()
    assert bench.stage == "idle"


def test_accept_stops_the_chime_when_it_is_on_disk_and_the_receipt_lets_desired_decide_again() -> None:
    bench = Bench(Role.BELL)
    bench.connect()
    bench.desire(rings=(ring(),))
    bench.press(ANSWER)
    (event,) = bench.events()
    assert (event.type, event.alarm) == (EventType.ACCEPT, ALARM)
    assert bench.reports()[-1].ringing == ()
    assert bench.stage == "answering"
    bench.desire(rings=(ring(presses=2),))  # a newer state, but from before the accept was committed
    assert bench.reports()[-1].ringing == ()
    bench.desire(stored=(event.id,), rings=(ring(presses=2),))
    assert bench.reports()[-1].ringing == (ALARM,)


def test_an_accept_of_before_a_restart_keeps_the_bell_silent_until_its_receipt() -> None:
    bench = Bench(Role.BELL)
    bench.connect()
    bench.desire(rings=(ring(),))
    bench.press(ANSWER)
    (event,) = bench.events()
    bench.boot()
    bench.connect()
    bench.rev -= 1
    bench.desire(rings=(ring(),))
    assert bench.sound.sounding == ()
    assert bench.stage == "answering"
    bench.desire(stored=(event.id,), rings=(ring(Stage.ACCEPTED, mine=True),))
    assert bench.stage == "mine"


def test_the_most_urgent_ring_is_accepted_then_the_next() -> None:
    bench = Bench(Role.BELL)
    bench.connect()
    bench.desire(rings=(ring(), ring(alarm=OTHER)))
    bench.press(ANSWER)
    assert bench.sound.sounding == (OTHER,)
    bench.press(ANSWER)
    assert [e.alarm for e in bench.events()] == [ALARM, OTHER]
    bench.press(ANSWER)
    assert len(bench.events()) == 2
    assert bench.runtime.counters["already_answered"] == 1


def test_hold_means_done_for_what_is_mine_but_not_for_the_press_that_accepted() -> None:
    bench = Bench(Role.BELL)
    bench.connect()
    bench.desire(rings=(ring(),))
    bench.press(ANSWER, ms=3_500)
    assert [e.type for e in bench.events() if e.type is not EventType.ACCEPT] == []
    accept = bench.events()[0]
    bench.desire(stored=(accept.id,), rings=(ring(Stage.ACCEPTED, mine=True),))
    bench.press(ANSWER, ms=3_500)
    done = [e for e in bench.events() if e.type is EventType.DONE]
    assert {e.alarm for e in done} == {ALARM}
    assert len({e.id for e in done}) == 1


def test_a_report_comes_with_every_change_every_connect_and_as_heartbeat() -> None:
    bench = Bench(Role.BELL)
    bench.advance(600_000)
    assert bench.reports() == []
    bench.connect()
    assert [r.rev for r in bench.reports()] == [0]
    bench.desire()
    assert [r.rev for r in bench.reports()] == [0, 1]
    bench.advance(180_000)
    assert len(bench.reports()) == 5
    bench.desire(settings=DeviceSettings(report_interval_s=5, volume=70))
    assert bench.reports()[-1].next_in_s == 5
    assert bench.sound.percent == 70
    bench.forget()
    bench.advance(50_000)
    assert len(bench.reports()) == 10


def test_a_stuck_button_is_one_press_and_one_fault() -> None:
    bench = Bench()
    bench.connect()
    bench.down(HELP)
    bench.advance(600_000)
    unique = {e.id: e for e in bench.events()}.values()
    assert [e.type for e in unique] == [EventType.HELP, EventType.FAULT]
    bench.up(HELP)
    bench.advance(100)
    faults = [e.detail for e in {e.id: e for e in bench.events()}.values() if e.type is EventType.FAULT]
    assert [(f["code"], f["subject"], f["cleared"]) for f in faults if f] == [
        ("button_stuck", "help", False),
        ("button_stuck", "help", True),
    ]


def test_a_line_that_is_active_at_start_is_no_press_until_it_was_released() -> None:
    bench = Bench(down_at_start=(HELP,))
    bench.advance(30_000)
    assert not bench.store.rows
    bench.up(HELP)
    bench.advance(100)
    bench.press(HELP)
    assert [row.type for row in bench.store.rows.values()] == [EventType.HELP]


def test_a_missed_edge_is_found_by_the_poll() -> None:
    bench = Bench()
    bench.connect()
    bench.pins.levels[HELP] = True
    bench.advance(2_100)
    assert [e.type for e in bench.events()] == [EventType.HELP]


def test_trouble_is_told_once_and_its_end_once() -> None:
    bench = Bench(Role.BELL)
    bench.connect()
    for trouble in (Trouble("player_failed", "sound"),) * 3 + (Trouble("player_failed", "sound", cleared=True),) * 3:
        bench.turn(trouble)
    faults = {e.id: e for e in bench.events()}.values()
    assert [e.detail["cleared"] for e in faults if e.detail] == [False, True]
    assert len(bench.store.rows) == 1  # the second has overtaken the first


def test_a_dead_link_is_fatal() -> None:
    bench = Bench()
    bench.turn(LinkDied("oops"))
    assert bench.runtime.fatal == "the link died: oops"
