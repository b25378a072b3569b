"""The desk: which alarm does an event concern, and what does it mean there?

It looks at the event, the device that sent it and the open alarms, and gives a route; it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from doorbell.values import value
from doorbell.wire import AlarmKind, Event, EventType
from relay.core.alarm import Accepted, Alarm, AlarmEvent, Declined, DoneBy, OkPressed, Pressed
from relay.core.register import Device, DeviceRole, Register

OpenAlarms = Mapping[tuple[str, AlarmKind], Alarm]
"""The open alarms by household and kind: at most one each."""

_ROLE_OF = {
    EventType.HELP: DeviceRole.PANEL,
    EventType.OK: DeviceRole.PANEL,
    EventType.ACCEPT: DeviceRole.BELL,
    EventType.DECLINE: DeviceRole.BELL,
    EventType.DONE: DeviceRole.BELL,
}


@value(frozen=True, slots=True)
class RaiseAlarm:
    """A press with no open alarm: the event's id becomes the alarm's."""

    household: str
    kind: AlarmKind


@dataclass(frozen=True, slots=True)
class ToAlarm:
    """The event goes to this open alarm."""

    alarm: str
    event: AlarmEvent


@dataclass(frozen=True, slots=True)
class Early:
    """The event names an alarm that no relay has heard of: it waits for the press (wire contract, ``peer``)."""

    alarm: str


@dataclass(frozen=True, slots=True)
class Record:
    """The event is kept, receipted and changes no alarm; ``verdict`` says why or what it was."""

    verdict: str
    alarm: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """The event cannot be used until a person mends the register: kept for a technician, and not receipted."""

    reason: str
    detail: str


Route = RaiseAlarm | ToAlarm | Early | Record | Reject


def check_sender(register: Register, community: str, device_id: str, event: Event) -> Device | Reject:
    """The registered device behind a topic, or why its event cannot be taken."""
    device = register.devices.get(device_id)
    if device is None:
        return Reject("unknown_device", f"{device_id} is not in the register: register it, or take it off the network")
    if device.community != community:
        return Reject("wrong_community", f"{device_id} belongs to {device.community}, not to {community}")
    wanted = _ROLE_OF.get(event.type)
    if wanted is not None and device.role is not wanted:
        return Reject("wrong_role", f"{device_id} is a {device.role.value}: it cannot send {event.type.value}")
    if wanted is DeviceRole.PANEL and device.household not in register.households:
        return Reject("no_household", f"panel {device_id} belongs to no registered household")
    return device


def route_event(
    register: Register,
    device: Device,
    event: Event,
    at: datetime,
    *,
    open_alarms: OpenAlarms,
    find: Callable[[str], Alarm | None],
) -> Route:
    """Where an event of a checked device goes. ``find`` gives an alarm by its id or by the id of any of its presses."""
    match event.type:
        case EventType.HELP:
            household = device.household or ""
            alarm = open_alarms.get((household, AlarmKind.HELP))
            if alarm is None:
                return RaiseAlarm(household, AlarmKind.HELP)
            return ToAlarm(alarm.id, Pressed(device.id, at, event.seq))
        case EventType.OK:
            for kind in (AlarmKind.HELP, AlarmKind.CHECKIN):
                answered = open_alarms.get((device.household or "", kind))
                if answered is not None:
                    return ToAlarm(answered.id, OkPressed(device.id, at, event.seq))
            return Record("sign_of_life")
        case EventType.ACCEPT | EventType.DECLINE | EventType.DONE:
            return _route_answer(register, device, event, at, find)
        case EventType.TEST:
            return Record("test")
        case EventType.FAULT:
            return Record("fault")
        case EventType.RENEW:
            return Record("renewal")
        case _:
            assert_never(event.type)


def _route_answer(
    register: Register, device: Device, event: Event, at: datetime, find: Callable[[str], Alarm | None]
) -> Route:
    if event.alarm is None:
        return Record("no_alarm_named")
    alarm = find(event.alarm)
    if alarm is None:
        return Early(event.alarm)
    if not alarm.is_open:
        return Record("closed", alarm.id)
    if not is_asked(register, device, alarm):
        return Record("not_called", alarm.id)
    person = device.person or device.id
    match event.type:
        case EventType.ACCEPT:
            return ToAlarm(alarm.id, Accepted(person, device.id, at, event.seq))
        case EventType.DECLINE:
            return ToAlarm(alarm.id, Declined(person, device.id, at, event.seq))
        case _:
            return ToAlarm(alarm.id, DoneBy(person, device.id, at))


def is_asked(register: Register, device: Device, alarm: Alarm) -> bool:
    """Whether a bell may have something to do with an alarm: called by it, or rung directly by the panel (``peer``)."""
    if device.role is not DeviceRole.BELL or device.community != alarm.community:
        return False
    home = register.households.get(alarm.household)
    return device.id in alarm.called or (home is not None and (device.person or device.id) in home.volunteers)
