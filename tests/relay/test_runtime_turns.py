"""A turn of the relay: commit, then acknowledge, then publish; and what happens when a part of it fails."""

import json

import pytest
import structlog
from structlog.testing import capture_logs

from doorbell.errors import DoorbellBug
from doorbell.link import LinkDied, LinkDown, LinkUp
from doorbell.wire import MAX_PAYLOAD_BYTES
from relay.core.alarm import Outcome
from relay.news import POLL_MS
from relay.ports import StoreError
from tests.relay.doubles import (
    BOARD,
    CHAT,
    DOCTOR,
    OFFICE,
    PANEL,
    PENG,
    WANG,
    House,
    neighbourhood,
    steps,
    uid,
)


def test_commit_comes_before_the_ack_and_the_ack_before_any_publish() -> None:
    house = House()
    turn = house.press(1)
    kinds = [kind for kind, _ in house.trace]
    assert kinds == ["commit", "ack", "publish", "publish"]
    assert house.trace[1] == ("ack", turn.acks[0].mid)


def test_bells_are_told_before_panels() -> None:
    house = House()
    house.press(1)
    house.press(2)
    house.trace.clear()
    house.press(3)  # three presses: everybody is called
    assert [who for kind, who in house.trace if kind == "publish"] == [PENG, WANG, DOCTOR, OFFICE, PANEL]


def test_hooks_are_told_after_everything_is_published() -> None:
    house = House()
    house.press(1)
    house.press(2)
    house.trace.clear()
    house.press(3)
    assert [kind for kind, _ in house.trace] == ["commit", "ack", *["publish"] * 5, "tell", "tell"]
    assert {hook for kind, hook in house.trace if kind == "tell"} == {CHAT, BOARD}


def test_a_failing_commit_publishes_nothing_and_the_same_turn_tried_again_does() -> None:
    house = House()
    house.store.fail_commits = 2
    turn = house.relay.decide([house.event(PANEL, "help", 1)])
    for _ in range(2):
        with pytest.raises(StoreError):
            house.relay.perform(turn)
        assert house.trace == []
    house.relay.perform(turn)
    assert [kind for kind, _ in house.trace] == ["commit", "ack", "publish", "publish"]
    assert house.panel() == ("received", None)
    assert uid(1) in house.shown(PANEL).stored


def test_a_failing_read_has_changed_nothing_and_the_same_inputs_do_their_work_later() -> None:
    house = House()
    press = house.event(PANEL, "help", 1)
    house.store.fail_reads = 1
    with pytest.raises(StoreError):
        house.relay.decide([press])
    assert (house.relay.book.by_id, house.trace) == ({}, [])
    house.hear(press)
    assert house.panel() == ("received", None)


def test_a_failing_poll_is_made_up_for() -> None:
    """Commands and registers are asked for again at once, not a second later."""
    house = House()
    house.press(1)
    command = house.store.add_command(uid(1), Outcome.HOSPITAL, "", "office")
    house.clock.advance(POLL_MS)
    house.store.fail_reads = 1
    with pytest.raises(StoreError):
        house.relay.decide([])
    house.hear()
    assert house.store.command_result(command) == "applied"


def test_a_turn_in_which_nothing_happened_commits_nothing() -> None:
    house = House()
    house.hear()
    assert house.trace == []


def test_a_press_twice_in_one_turn_is_one_press() -> None:
    house = House()
    press = house.event(PANEL, "help", 1)
    turn = house.hear(press, press)
    assert len(turn.acks) == 2
    assert house.relay.book.by_id[uid(1)].presses == 1
    assert house.relay.counts["event.duplicate"] == 1


def test_everything_that_a_second_press_writes_can_be_logged() -> None:
    """The journal's facts held `device`, as the log line does: the relay died at every second press and acceptance."""
    house = House()
    with capture_logs() as logs:
        house.press(1)
        house.advance(1_000)
        house.press(2)
        house.hear(house.event(WANG, "decline", 3, alarm=1))
        house.hear(house.event(PENG, "accept", 4, alarm=1))
    assert structlog.is_configured()
    told = {line["event"]: line for line in logs}
    assert told["alarm.pressed_again"]["presses"] == 2
    assert told["alarm.accepted"]["device"] == PENG
    assert told["alarm.accepted"]["alarm"] == uid(1)


def test_every_transition_is_one_line_that_says_where_it_led() -> None:
    house = House()
    with capture_logs() as logs:
        house.press(1)
        house.hear(house.report(PENG, 1))
        house.advance(46_000)
        house.hear(house.event(WANG, "decline", 2, alarm=1), house.event(PENG, "accept", 3, alarm=1))
        house.hear(house.event(PANEL, "ok", 4))
        house.hear(house.event(PENG, "done", 5, alarm=1))
    lines = [line for line in logs if line["event"].startswith("alarm.")]
    assert [(line["event"], line["stage"], line.get("step")) for line in lines] == [
        ("alarm.raised", "ringing", 1),
        ("alarm.sounding", "ringing", None),
        ("alarm.step_started", "ringing", 2),
        ("alarm.declined", "ringing", None),
        ("alarm.accepted", "accepted", None),
        ("alarm.arrived", "arrived", None),
        ("alarm.closed", "closed", None),
    ]
    for line in lines:
        where = {key: line[key] for key in ("alarm", "community", "household", "kind")}
        assert where == {"alarm": uid(1), "community": "xihu", "household": "liu", "kind": "help"}
        assert (line["deadline"] is None) == (line["stage"] == "closed")
        assert json.loads(json.dumps(line)) == line, "nothing in it that JSON has no words for"


def test_logs_name_no_person_and_no_place() -> None:
    house = House()
    with capture_logs() as logs:
        house.press(1)
        house.hear(house.event(PENG, "accept", 2, alarm=1))
        house.hear(house.event(PENG, "decline", 3, alarm=1))
    text = str(logs)
    assert "alarm.handed_back" in text
    assert not any(name in text for name in ("柳", "彭", "西湖山"))


# ---------------------------------------------------------------------------------------------------------------------
# Receipts


def test_a_repeat_gets_its_receipt_again_without_a_new_revision() -> None:
    house = House()
    press = house.event(PANEL, "help", 1)
    house.hear(press)
    rev = house.rev(PANEL)
    house.link.retained.clear()
    house.trace.clear()
    house.hear(press)
    assert [kind for kind, _ in house.trace] == ["ack", "publish"]
    assert (house.shown(PANEL).rev, house.shown(PANEL).stored) == (rev, (uid(1),))


def test_the_newest_32_receipts_stay_and_a_repeat_of_an_older_event_takes_its_place_again() -> None:
    house = House()
    house.hear(*(house.event(PANEL, "test", n) for n in range(1, 41)))
    assert house.shown(PANEL).stored == tuple(uid(n) for n in range(9, 41))
    house.hear(house.event(PANEL, "test", 3))
    assert house.shown(PANEL).stored == (*(uid(n) for n in range(10, 41)), uid(3))
    assert house.relay.counts["event.duplicate"] == 1


def test_receipts_stand_in_the_state_that_shows_what_the_event_did() -> None:
    """A device never sees a receipt without the alarm that it stands for."""
    house = House()
    house.press(1)
    shown = house.shown(PANEL)
    assert shown.stored == (uid(1),)
    assert shown.panel is not None
    assert shown.panel.alarm is not None


# ---------------------------------------------------------------------------------------------------------------------
# What cannot be used


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xfe", "not_json"),
        (b"{", "not_json"),
        (b"{}", "invalid"),
        (b" " * (1 << 20), "too_large"),
        (b"[" * MAX_PAYLOAD_BYTES, "not_json"),
    ],
    ids=["not-utf8", "half", "empty", "1-MB", "deep"],
)
def test_rubbish_is_acknowledged_counted_kept_once_and_stops_nothing(payload: bytes, reason: str) -> None:
    house = House()
    rubbish = house.delivery("event", payload, device=PANEL)
    again = house.delivery("event", payload, device=PANEL)
    turn = house.hear(rubbish, again, house.event(PANEL, "help", 1))
    assert [delivery.mid for delivery in turn.acks] == [rubbish.mid, again.mid, again.mid + 1]
    assert house.relay.counts[f"rejected.{reason}"] == 2
    (kept,) = house.store.rejected()
    assert (kept.reason, kept.topic) == (reason, f"doorbell/v1/xihu/{PANEL}/event")
    assert kept.payload == payload[:MAX_PAYLOAD_BYTES]
    assert house.panel() == ("received", None)
    assert house.shown(PANEL).stored == (uid(1),)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "doorbell/v1",
        "doorbell/v1/xihu/button-liu/peer/bell-peng",
        "doorbell/v2/xihu/a/event",
        "a\ud800b",
        "x" * 9000,
    ],
    ids=["empty", "root", "peer", "version", "surrogate", "long"],
)
def test_a_strange_topic_is_kept_for_a_technician(topic: str) -> None:
    house = House()
    house.hear(house.delivery(topic, b"{}"), house.delivery(topic, b"{}"))
    (kept,) = house.store.rejected()
    assert kept.reason in ("bad_topic", "not_for_relay")
    assert len(kept.topic) <= 1000


@pytest.mark.parametrize(
    ("device", "type_", "reason"),
    [
        ("button-new", "help", "unknown_device"),
        ("bell-far", "accept", "wrong_community"),
        (PENG, "help", "wrong_role"),
        (PANEL, "accept", "wrong_role"),
    ],
)
def test_a_sender_that_may_not_say_it_gets_no_receipt_and_is_kept_once(device: str, type_: str, reason: str) -> None:
    house = House()
    event = house.event(device, type_, 7)
    house.hear(event)
    house.hear(event)
    assert house.relay.counts[f"rejected.{reason}"] == 2
    assert [row.reason for row in house.store.rejected()] == [reason]
    assert uid(7) not in house.store.events
    assert not any(uid(7).encode() in payload for payload in house.link.retained.values())


def test_reports_of_an_unknown_device_are_kept_once_however_often_they_come() -> None:
    house = House()
    for uptime_s in range(5):
        house.hear(house.report("bell-new", rev=0, uptime_s=uptime_s))
    assert house.relay.counts["rejected.unknown_device"] == 5
    assert len(house.store.rejected()) == 1


def test_a_press_of_a_device_that_is_registered_later_rings_at_the_resend() -> None:
    house = House(neighbourhood(without=[PANEL]))
    press = house.event(PANEL, "help", 1)
    house.hear(press)
    assert house.relay.book.by_id == {}
    house.store.replace_register(neighbourhood())
    house.advance(2_000)
    house.hear(press)
    assert house.panel() == ("received", None)
    assert house.rings(PENG) == [(uid(1), "ringing")]
    assert house.shown(PANEL).stored == (uid(1),)


# ---------------------------------------------------------------------------------------------------------------------
# The link


def test_what_could_not_be_said_while_the_link_was_down_is_said_when_it_is_up() -> None:
    house = House()
    press = house.event(PANEL, "help", 1)
    house.link.up = False
    house.hear(press, LinkDown("gone"))
    assert house.rings(PENG) == []
    assert house.relay.counts["link.down"] == 1
    house.link.up = True
    house.hear(LinkUp(2))
    assert house.rings(PENG) == [(uid(1), "ringing")]
    assert house.panel() == ("received", None)


def test_what_is_said_late_is_what_is_true_by_then() -> None:
    house = House()
    house.link.up = False
    house.press(1)
    house.advance(1_000)
    house.hear(house.event(PANEL, "ok", 2))
    house.link.up = True
    house.hear(LinkUp(2))
    assert house.rings(PENG) == []
    assert house.panel() is None


def test_a_dead_link_thread_is_our_bug() -> None:
    house = House()
    with pytest.raises(DoorbellBug):
        house.hear(LinkDied("boom"))


# ---------------------------------------------------------------------------------------------------------------------
# Commands and the register


def test_the_office_closes_an_alarm_by_command() -> None:
    house = House()
    house.press(1)
    command = house.store.add_command(uid(1), Outcome.HOSPITAL, "120 took her", "office")
    house.advance(POLL_MS)
    assert house.store.command_result(command) == "applied"
    (alarm,) = house.store.alarms(open_only=False)
    assert (alarm.outcome, alarm.deadline) == (Outcome.HOSPITAL, None)
    assert house.store.note_of(uid(1)) == "120 took her"
    assert (house.panel(), house.rings(PENG)) == (None, [])


def test_a_command_for_an_alarm_that_is_not_open_says_so() -> None:
    house = House()
    command = house.store.add_command(uid(9), Outcome.CANCELLED, "", "office")
    house.advance(POLL_MS)
    assert house.store.command_result(command) == "not_open"


def test_a_new_register_changes_what_is_shown_and_no_policy_of_an_alarm_that_runs() -> None:
    house = House()
    house.press(1)
    house.store.replace_register(neighbourhood(help_steps=steps(("office", 1)), without=[WANG]))
    house.advance(POLL_MS)
    assert house.shown(PANEL).peers == (PENG,)
    assert [step.wait_s for step in house.relay.book.by_id[uid(1)].policy.steps] == [45, 45, 120, 120]


def test_a_register_without_a_household_that_has_an_alarm_keeps_the_alarm_and_its_deadlines() -> None:
    house = House()
    house.press(1)
    house.hear(house.report(PENG, 1))
    bare = neighbourhood()
    bare.households.pop("liu")  # type: ignore[attr-defined]
    house.store.replace_register(bare)
    house.advance(600_000)
    alarm = house.relay.book.by_id[uid(1)]
    assert alarm.deadline is not None
    assert alarm.deadline > house.clock.wall
    assert house.rings(PENG) == [(uid(1), "ringing")]
