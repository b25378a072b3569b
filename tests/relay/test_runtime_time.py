"""Deadlines, restarts, clocks that are set, and hooks that are told again."""

from datetime import timedelta

import pytest

from doorbell.link import LinkUp
from doorbell.wire import AlarmKind
from relay.core.alarm import AlarmStage, Due
from relay.core.notice import DEAF_AFTER_ATTEMPTS, MAX_ATTEMPTS
from relay.core.policy import OnMistake
from relay.ports import NoticeDelivered
from tests.relay.doubles import BOARD, CHAT, DOCTOR, OFFICE, PANEL, PENG, T0, WANG, House, neighbourhood, steps, uid


def heard_house() -> House:
    """Pressed, and Peng's bell sounds."""
    house = House()
    house.press(1)
    house.hear(house.report(PENG, 1))
    return house


def test_the_whole_escalation_by_the_second() -> None:
    house = heard_house()
    start = house.clock.wall
    house.advance(44_999)
    assert house.rings(WANG) == []
    house.advance(1)
    assert house.rings(WANG) == [(uid(1), "ringing")]
    house.hear(house.report(WANG, 1))
    house.advance(45_000)
    assert house.rings(DOCTOR) == house.rings(OFFICE) == [(uid(1), "ringing")]
    house.hear(house.report(OFFICE, 1))
    house.advance(120_000)
    house.advance(120_000)
    alarm = house.relay.book.by_id[uid(1)]
    assert alarm.nobody_has_come
    at = {line.type: (line.at - start).total_seconds() for line in house.store.journal(alarm=uid(1))}
    assert at["step_repeated"] == 45 + 45 + 120 + 120


def test_a_bell_that_does_not_sound_within_5_s_does_not_hold_up_the_next() -> None:
    house = House()
    house.press(1)
    house.advance(4_999)
    assert house.rings(WANG) == []
    house.advance(1)
    assert house.rings(WANG) == [(uid(1), "ringing")]
    assert house.rings(PENG) == [(uid(1), "ringing")], "deaf, and still asked: it may wake up"


def test_accepted_and_nobody_arrives_rings_again_and_keeps_the_first_helper_listed() -> None:
    house = heard_house()
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    house.advance(599_999)
    assert house.panel() == ("accepted", "彭小平")
    house.advance(1)
    assert house.panel() is not None
    assert house.panel() != ("accepted", "彭小平")
    alarm = house.relay.book.by_id[uid(1)]
    assert (alarm.stage, alarm.step) == (AlarmStage.RINGING, 1)
    assert [(helper.person, helper.state) for helper in alarm.helpers] == [("peng", "late")]


# ---------------------------------------------------------------------------------------------------------------------
# Restarts


@pytest.mark.parametrize("down_ms", [0, 1_000, 20_000, 44_000])
def test_a_restart_keeps_the_deadline(down_ms: int) -> None:
    house = heard_house()
    deadline = house.relay.book.by_id[uid(1)].deadline
    house.clock.advance(down_ms)
    house.boot()
    house.hear(LinkUp(1), house.report(PANEL), house.report(PENG, 1), house.report(WANG))
    assert house.relay.book.by_id[uid(1)].deadline == deadline
    house.advance(45_000 - down_ms - 1)
    assert house.rings(WANG) == []
    house.advance(1)
    assert house.rings(WANG) == [(uid(1), "ringing")]


def test_a_deadline_that_passed_while_the_relay_was_down_is_kept_at_once() -> None:
    house = heard_house()
    house.clock.advance(300_000)
    house.boot()
    house.hear(LinkUp(1), house.report(PENG, 1, retained=True), house.report(WANG, retained=True))
    assert house.rings(WANG) == [(uid(1), "ringing")]
    alarm = house.relay.book.by_id[uid(1)]
    assert alarm.deadline is not None
    assert alarm.deadline > house.clock.wall


@pytest.mark.parametrize("down_ms", [500, 3_000, 5_000, 10_000])
def test_a_restart_makes_no_step_deaf(down_ms: int) -> None:
    """The 5 s of a bell ended while the relay was down: it was held deaf before its retained report was heard."""
    house = House()
    house.press(1)
    house.advance(1_000)
    house.clock.advance(down_ms)
    house.boot()
    house.hear()
    house.advance(1_000)
    house.hear(LinkUp(1))
    house.hear(house.report(PENG, 1, retained=True), house.online(PENG, retained=True))
    house.advance(10_000)
    assert "step_deaf" not in house.journal()
    assert house.panel() == ("ringing", None)


def test_a_bell_that_stays_mute_after_a_restart_is_deaf_all_the_same() -> None:
    house = House()
    house.press(1)
    house.clock.advance(6_000)
    house.boot()
    house.hear(LinkUp(1), house.report(PENG, retained=True), house.report(WANG, retained=True))
    house.advance(10_000)
    assert "step_deaf" in house.journal()
    assert house.rings(WANG) == [(uid(1), "ringing")]


def test_without_a_broker_a_relay_that_starts_escalates_by_its_deadlines() -> None:
    """Bells cannot be asked, hooks can: nothing waits for the link."""
    house = House()
    house.press(1)
    house.boot()
    house.link.up = False
    house.advance(90_000)
    assert house.relay.book.by_id[uid(1)].step == 2
    assert {row.hook for row in house.notifier.sent} == {CHAT, BOARD}


def test_what_was_committed_and_not_published_is_published_at_the_start() -> None:
    house = House()
    house.link.up = False  # killed between commit and publish
    house.press(1)
    house.boot()
    house.hear(LinkUp(1), house.report(PENG, rev=1, retained=True), house.report(PANEL, rev=1, retained=True))
    assert house.rings(PENG) == [(uid(1), "ringing")]
    assert house.panel() is not None


def test_a_bell_that_sounded_before_the_restart_still_sounds_until_it_can_be_asked() -> None:
    house = heard_house()
    house.boot()
    house.hear(LinkUp(1))
    assert house.relay.book.by_id[uid(1)].sounding == (PENG,)
    house.advance(3_000)
    assert house.relay.book.by_id[uid(1)].sounding == ()


def test_the_state_can_be_rebuilt_from_the_journal() -> None:
    house = heard_house()
    house.advance(60_000)
    house.hear(house.event(WANG, "accept", 2, alarm=1))
    house.hear(house.event(PANEL, "test", 3))
    assert house.store.rebuild_alarms() == dict(house.relay.book.by_id)


# ---------------------------------------------------------------------------------------------------------------------
# Clocks


@pytest.mark.parametrize("step_ms", [3_600_000, -3_600_000, 86_400_000, 250])
def test_a_clock_that_is_set_moves_no_wait(step_ms: int) -> None:
    house = heard_house()
    house.advance(10_000)
    house.clock.step(step_ms)
    house.hear()
    house.advance(34_999)
    assert house.rings(WANG) == []
    house.advance(1)
    assert house.rings(WANG) == [(uid(1), "ringing")]
    assert house.relay.counts["clock.stepped"] == 1
    assert "clock_stepped" in house.journal()


@pytest.mark.parametrize("step_ms", [3_600_000, -3_600_000])
def test_a_clock_that_was_set_while_the_relay_was_down_moves_no_wait(step_ms: int) -> None:
    house = heard_house()
    house.clock.advance(5_000)
    house.clock.step(step_ms)
    house.boot()
    house.hear(LinkUp(1), house.report(PENG, 1), house.report(WANG))
    house.advance(39_999)
    assert house.rings(WANG) == []
    house.advance(1)
    assert house.rings(WANG) == [(uid(1), "ringing")]


@pytest.mark.parametrize("started_anew", [False, True])
@pytest.mark.parametrize("step_ms", [3_600_000, -3_600_000])
def test_an_answer_that_waits_for_its_press_moves_with_the_clock(step_ms: int, started_anew: bool) -> None:
    """Used to be: the bell's acceptance, in hours of the old clock, was late or put the deadline an hour away."""
    house = House()
    house.hear(LinkUp(1), house.report(PENG), house.report(WANG))
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    house.advance(5_000)
    house.clock.step(step_ms)
    house.hear()
    if started_anew:
        house.boot()
        house.hear(LinkUp(1), house.report(PENG), house.report(WANG))
    house.press(1, age_ms=20_000)
    alarm = house.relay.book.by_id[uid(1)]
    assert (alarm.stage, house.panel()) == (AlarmStage.ACCEPTED, ("accepted", "彭小平"))
    assert alarm.deadline == house.clock.wall + timedelta(seconds=600 - 5)


def test_an_answer_that_a_relay_with_another_clock_has_heard_is_no_later_than_now() -> None:
    house = House()
    house.hear(LinkUp(1), house.report(PENG))
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    house.clock.boot = "another machine"
    house.clock.step(-3_600_000)
    house.boot()
    house.hear(LinkUp(1), house.report(PENG))
    house.press(1, age_ms=20_000)
    assert house.relay.book.by_id[uid(1)].deadline == house.clock.wall + timedelta(seconds=600)


def test_another_boot_says_nothing_about_the_clock() -> None:
    house = heard_house()
    house.clock.boot, house.clock.mono_ms = "boot-2", 5_000
    house.boot()
    house.hear(LinkUp(1), house.report(PENG, 1), house.report(WANG))
    assert house.relay.counts["clock.stepped"] == 0
    house.advance(45_000)
    assert house.rings(WANG) == [(uid(1), "ringing")]


def test_a_clock_that_wanders_is_not_one_that_was_set() -> None:
    house = heard_house()
    house.clock.step(150)
    house.hear()
    assert house.relay.counts["clock.stepped"] == 0


# ---------------------------------------------------------------------------------------------------------------------
# Hooks

HOOK_FIRST = steps(("hook:board", 60), ("volunteers", 60))


def hooked() -> House:
    """A policy whose first step is a hook alone."""
    house = House(neighbourhood(help_steps=HOOK_FIRST))
    house.press(1)
    return house


def test_a_hook_is_told_what_a_program_and_a_person_need() -> None:
    house = hooked()
    (notice,) = house.notifier.sent
    assert notice.body["text"] == "【爱心门铃】柳奶奶（西湖山小区 3栋502）：求助，还没有人赶到"
    assert (notice.body["alarm"], notice.body["household"]) == (uid(1), "liu")
    house.hear(house.outcome(ok=True))
    (row,) = house.store.notices()
    assert (row.state, row.attempts, row.next_at) == ("sent", 1, None)


def test_a_hook_that_fails_is_told_again_and_counts_as_deaf_after_three_attempts() -> None:
    house = hooked()
    for attempt in range(1, DEAF_AFTER_ATTEMPTS + 1):
        assert len(house.notifier.sent) == attempt
        assert house.rings(PENG) == []
        house.hear(house.outcome())
        if attempt < DEAF_AFTER_ATTEMPTS:
            house.advance(2 ** (attempt - 1) * 1_000 - 1)
            assert len(house.notifier.sent) == attempt
            house.advance(1)
    assert house.rings(PENG) == [(uid(1), "ringing")]
    assert "hook_failed" in house.journal()
    house.advance(4_000)
    assert len(house.notifier.sent) == DEAF_AFTER_ATTEMPTS + 1, "it is tried further all the same"


def test_a_hook_that_refuses_for_good_is_deaf_at_once_and_told_no_more() -> None:
    house = hooked()
    house.hear(house.outcome(retryable=False))
    assert house.rings(PENG) == [(uid(1), "ringing")]
    house.advance(50_000)
    assert len(house.notifier.sent) == 1
    assert [row.state for row in house.store.notices()] == ["failed"]


def test_a_hook_that_fails_for_an_hour_is_given_up() -> None:
    house = hooked()
    house.hear(house.report(PENG, 1), house.event(PENG, "accept", 2, alarm=1))
    for _ in range(MAX_ATTEMPTS):
        house.hear(house.outcome(0))
        house.advance(60_000)
    rows = {row.id: row.state for row in house.store.notices()}
    assert rows[house.notifier.sent[0].id] == "failed"


def test_nobody_is_called_to_an_alarm_that_was_closed_meanwhile() -> None:
    house = hooked()
    house.hear(house.outcome())
    house.hear(house.event(PANEL, "ok", 2, age_ms=0))
    house.advance(500)
    house.hear(house.event(PANEL, "ok", 3))
    house.advance(5_000)
    assert len(house.notifier.sent) == 1
    assert [row.detail for row in house.store.notices()] == ["the alarm is closed"]


def test_pending_notices_are_told_again_after_a_restart() -> None:
    house = hooked()
    house.boot()
    house.hear()
    assert [row.hook for row in house.notifier.sent] == [BOARD]


def test_an_outcome_that_nobody_waits_for_changes_nothing() -> None:
    house = hooked()
    turn = house.hear(NoticeDelivered("nonsense", ok=False))
    assert not turn.batch


# ---------------------------------------------------------------------------------------------------------------------
# A mistake


def test_look_in_raises_a_checkin_when_the_elder_says_it_was_a_mistake() -> None:
    house = House(neighbourhood(on_mistake=OnMistake.LOOK_IN))
    house.press(1, seq=1)
    house.advance(2_000)
    house.hear(house.event(PANEL, "ok", 2, seq=2))
    (alarm,) = house.relay.book.by_id.values()
    assert (alarm.kind, alarm.called, alarm.due) == (AlarmKind.CHECKIN, (PENG,), Due.DEAF)
    assert [ring.kind for ring in house.shown(PENG).rings] == [AlarmKind.CHECKIN]
    assert house.clock.wall > T0
