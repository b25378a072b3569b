"""Where events go: every type, from every role, in every situation of the alarm."""

from dataclasses import replace
from datetime import timedelta

import pytest

from doorbell.wire import AlarmKind, Event, EventType
from relay.core.alarm import Accepted, Alarm, Declined, DoneBy, OkPressed, Pressed
from relay.core.desk import Early, RaiseAlarm, Record, Reject, Route, ToAlarm, check_sender, is_asked, route_event
from tests.relay.core.situations import SITUATIONS
from tests.relay.doubles import DOCTOR, OFFICE, PANEL, PENG, T0, WANG, C, neighbourhood, uid

REGISTER = neighbourhood()
FOUND_AT = T0 + timedelta(seconds=9)
PANEL_EVENTS = {EventType.HELP, EventType.OK}
BELL_EVENTS = {EventType.ACCEPT, EventType.DECLINE, EventType.DONE}


def event(type_: EventType, alarm: int | None = None) -> Event:
    return Event.model_validate(
        {
            "id": uid(9),
            "type": type_,
            "at": T0,
            "age_ms": 0,
            "clock": "synced",
            "alarm": None if alarm is None else uid(alarm),
            "seq": 40,
        }
    )


def route(device: str, type_: EventType, alarms: list[Alarm], *, names: int | None = None) -> Route:
    return route_event(
        REGISTER,
        REGISTER.devices[device],
        event(type_, names),
        FOUND_AT,
        open_alarms={(a.household, a.kind): a for a in alarms if a.is_open},
        find=lambda alarm_id: next((a for a in alarms if a.id == alarm_id), None),
    )


def ringing() -> Alarm:
    return SITUATIONS["fresh"]().alarm


def closed() -> Alarm:
    return SITUATIONS["closed"]().alarm


def checkin() -> Alarm:
    return replace(ringing(), id=uid(2), kind=AlarmKind.CHECKIN)


# ---------------------------------------------------------------------------------------------------------------------
# Who may say what


@pytest.mark.parametrize("type_", EventType)
@pytest.mark.parametrize("device", [PANEL, PENG])
def test_each_role_says_only_what_is_its_own(device: str, type_: EventType) -> None:
    others = BELL_EVENTS if device == PANEL else PANEL_EVENTS
    checked = check_sender(REGISTER, C, device, event(type_))
    if type_ in others:
        assert isinstance(checked, Reject)
        assert checked.reason == "wrong_role"
    else:
        assert checked == REGISTER.devices[device]


@pytest.mark.parametrize("type_", EventType)
@pytest.mark.parametrize(
    ("community", "device", "reason"),
    [(C, "button-gone", "unknown_device"), ("far", PANEL, "wrong_community"), (C, "bell-far", "wrong_community")],
)
def test_strangers_say_nothing(community: str, device: str, reason: str, type_: EventType) -> None:
    checked = check_sender(REGISTER, community, device, event(type_))
    assert isinstance(checked, Reject)
    assert checked.reason == reason
    assert device in checked.detail


@pytest.mark.parametrize("type_", EventType)
def test_a_panel_without_a_household_cannot_ask_for_help(type_: EventType) -> None:
    register = neighbourhood()
    register.households.pop("liu")  # type: ignore[attr-defined]
    checked = check_sender(register, C, PANEL, event(type_))
    if type_ in PANEL_EVENTS:
        assert isinstance(checked, Reject)
        assert checked.reason == "no_household"
    elif type_ not in BELL_EVENTS:
        assert checked == register.devices[PANEL]


# ---------------------------------------------------------------------------------------------------------------------
# The elder's buttons


def test_a_press_raises_an_alarm_or_is_counted_to_the_open_one() -> None:
    assert route(PANEL, EventType.HELP, []) == RaiseAlarm("liu", AlarmKind.HELP)
    assert route(PANEL, EventType.HELP, [closed()]) == RaiseAlarm("liu", AlarmKind.HELP)
    assert route(PANEL, EventType.HELP, [checkin()]) == RaiseAlarm("liu", AlarmKind.HELP)
    pressed = Pressed(PANEL, FOUND_AT, 40)
    assert route(PANEL, EventType.HELP, [ringing()]) == ToAlarm(uid(1), pressed)
    assert route("button-chen", EventType.HELP, [ringing()]) == RaiseAlarm("chen", AlarmKind.HELP)


def test_ok_answers_what_is_open_in_this_household_or_says_i_am_well() -> None:
    said = OkPressed(PANEL, FOUND_AT, 40)
    assert route(PANEL, EventType.OK, []) == Record("sign_of_life")
    assert route(PANEL, EventType.OK, [closed()]) == Record("sign_of_life")
    assert route(PANEL, EventType.OK, [ringing()]) == ToAlarm(uid(1), said)
    assert route(PANEL, EventType.OK, [checkin()]) == ToAlarm(uid(2), said)
    assert route(PANEL, EventType.OK, [checkin(), ringing()]) == ToAlarm(uid(1), said)
    assert route("button-chen", EventType.OK, [ringing()]) == Record("sign_of_life")


def test_technical_alarms_are_not_answered_by_the_elder() -> None:
    technical = replace(ringing(), kind=AlarmKind.TECHNICAL)
    assert route(PANEL, EventType.OK, [technical]) == Record("sign_of_life")


# ---------------------------------------------------------------------------------------------------------------------
# Answers

ANSWERS = [
    (EventType.ACCEPT, Accepted("peng", PENG, FOUND_AT, 40)),
    (EventType.DECLINE, Declined("peng", PENG, FOUND_AT, 40)),
    (EventType.DONE, DoneBy("peng", PENG, FOUND_AT)),
]


@pytest.mark.parametrize(("type_", "said"), ANSWERS, ids=lambda value: getattr(value, "value", ""))
@pytest.mark.parametrize("situation", SITUATIONS)
def test_an_answer_goes_to_the_alarm_that_it_names(
    situation: str, type_: EventType, said: Accepted | Declined | DoneBy
) -> None:
    alarm = SITUATIONS[situation]().alarm
    expected = ToAlarm(uid(1), said) if alarm.is_open else Record("closed", uid(1))
    assert route(PENG, type_, [alarm], names=1) == expected


@pytest.mark.parametrize("type_", sorted(BELL_EVENTS))
def test_an_answer_without_an_alarm_or_to_one_that_nobody_knows(type_: EventType) -> None:
    assert route(PENG, type_, [ringing()]) == Record("no_alarm_named")
    assert route(PENG, type_, [ringing()], names=77) == Early(uid(77))


@pytest.mark.parametrize("type_", sorted(BELL_EVENTS))
def test_an_answer_of_somebody_who_was_not_called(type_: EventType) -> None:
    assert route(OFFICE, type_, [ringing()], names=1) == Record("not_called", uid(1))
    assert isinstance(route(WANG, type_, [ringing()], names=1), ToAlarm), "volunteers may be rung by the panel itself"
    assert isinstance(route(DOCTOR, type_, [SITUATIONS["third_step"]().alarm], names=1), ToAlarm)


def test_who_has_something_to_do_with_an_alarm() -> None:
    alarm = ringing()
    asked = {device.id for device in REGISTER.devices.values() if is_asked(REGISTER, device, alarm)}
    assert asked == {PENG, WANG}
    everybody = SITUATIONS["last_step"]().alarm
    assert {d.id for d in REGISTER.devices.values() if is_asked(REGISTER, d, everybody)} == {PENG, WANG, DOCTOR, OFFICE}
    far = replace(everybody, called=("bell-far", PANEL))
    assert {d.id for d in REGISTER.devices.values() if is_asked(REGISTER, d, far)} == {PENG, WANG}


@pytest.mark.parametrize("device", [PANEL, PENG])
def test_tests_and_faults_are_recorded(device: str) -> None:
    assert route(device, EventType.TEST, [ringing()], names=1) == Record("test")
    assert route(device, EventType.FAULT, [ringing()]) == Record("fault")
