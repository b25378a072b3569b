"""What a device should show: the content of its desired state, from the register and the open alarms.

Nothing here promises more than the alarms given in say, and the shell gives in committed ones only.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

from doorbell.wire import (
    MAX_PAYLOAD_BYTES,
    MAX_RINGS,
    STORED_COUNT,
    AlarmKind,
    Desired,
    DeviceSettings,
    Neighbour,
    Panel,
    PanelAlarm,
    Ring,
    Stage,
)
from doorbell.wire.messages import MAX_PEERS, MAX_PRESSES, WireModel
from relay.core.alarm import Alarm, AlarmStage
from relay.core.coverage import coverage_of
from relay.core.register import Device, DeviceRole, Register
from relay.core.timing import EARLIEST

_URGENCY = {kind: rank for rank, kind in enumerate(AlarmKind)}
_SHOWN_ON_PANEL = (AlarmKind.HELP, AlarmKind.CHECKIN)
_STAGES: Mapping[AlarmStage, Stage] = {
    stage: Stage(stage.value) for stage in AlarmStage if stage is not AlarmStage.CLOSED
}
_PANEL, _RINGS = TypeAdapter(Panel), TypeAdapter(tuple[Ring, ...])
_M = TypeVar("_M", bound=WireModel)


def desired_for(
    register: Register,
    device: Device,
    alarms: Iterable[Alarm],
    online: Container[str],
    certificate: str | None = None,
) -> Desired:
    """The desired state of a device, without ``rev`` and ``stored``.

    ``alarms``: for a panel the open alarms of its household, for a bell those that call it; others are left out.
    ``certificate``: the one that it has asked for and not taken yet, PEM.
    """
    if device.role is DeviceRole.PANEL and device.household is not None:
        return Desired(
            rev=0,
            panel=Panel(
                alarm=panel_alarm(register, device.household, alarms),
                coverage=coverage_of(register, device.household, online),
            ),
            peers=(bells := _bells_of_household(register, device.household)),
            neighbours=_volunteers(register, bells),
            settings=_settings(register, device),
            cert=certificate,
        )
    return Desired(
        rev=0,
        rings=rings_for(register, device, alarms),
        peers=(panels := _panels_of_volunteer(register, device)),
        neighbours=_homes(register, panels),
        settings=_settings(register, device),
        cert=certificate,
    )


def panel_alarm(register: Register, household: str, alarms: Iterable[Alarm]) -> PanelAlarm | None:
    """The household's open alarm as its panel may show it: help before all others."""
    shown = [a for a in alarms if a.household == household and a.is_open and a.kind in _SHOWN_ON_PANEL]
    if not shown:
        return None
    alarm = min(shown, key=lambda a: (_URGENCY[a.kind], a.raised_at, a.id))
    match alarm.stage:
        case AlarmStage.ACCEPTED:
            stage = Stage.ACCEPTED
        case AlarmStage.ARRIVED:
            stage = Stage.ARRIVED
        case _:
            stage = Stage.RINGING if alarm.sounding else Stage.RECEIVED
    return _made(
        PanelAlarm, id=alarm.id, stage=stage, who=_holder_name(register, alarm), since=max(alarm.since, EARLIEST)
    )


def rings_for(register: Register, bell: Device, alarms: Iterable[Alarm]) -> tuple[Ring, ...]:
    """What a bell should show: ringing first, then the most urgent kind and the oldest; ``MAX_RINGS`` at most."""
    shown = [ring for alarm in alarms if (ring := _ring(register, bell, alarm)) is not None]
    shown.sort(key=lambda r: (r.stage is not Stage.RINGING, not r.mine, _URGENCY[r.kind], r.raised_at, r.alarm))
    return tuple(shown[:MAX_RINGS])


def _ring(register: Register, bell: Device, alarm: Alarm) -> Ring | None:
    if not alarm.is_open or bell.id not in alarm.called:
        return None
    holder = alarm.holder
    mine = holder is not None and holder.person == bell.person
    if (alarm.stage is AlarmStage.ARRIVED and not mine) or (bell.person in alarm.declined and not mine):
        return None
    home = register.households.get(alarm.household)
    return _made(
        Ring,
        alarm=alarm.id,
        kind=alarm.kind,
        from_=alarm.source,
        label=home.label if home is not None else alarm.household[:40],
        place=home.place if home is not None else "",
        raised_at=alarm.raised_at,
        stage=_STAGES[alarm.stage],
        presses=min(alarm.presses, MAX_PRESSES),
        who=_holder_name(register, alarm),
        mine=mine,
    )


def _made(model: type[_M], **fields: Any) -> _M:
    """``model_construct`` with every field given, in their order: an eighth of its time, and a press needs three."""
    made = model.__new__(model)
    put = object.__setattr__
    put(made, "__dict__", fields)
    put(made, "__pydantic_fields_set__", set(fields))
    put(made, "__pydantic_extra__", None)
    put(made, "__pydantic_private__", None)
    return made


def rings_alike(before: Alarm, after: Alarm) -> bool:
    """Whether two states of one alarm are the same to every bell, so that none need be told anything new."""
    return (
        before.called == after.called
        and before.stage is after.stage
        and before.raised_at == after.raised_at
        and before.presses == after.presses
        and before.holder == after.holder
        and before.declined == after.declined
    )


def _holder_name(register: Register, alarm: Alarm) -> str | None:
    holder = alarm.holder
    if holder is None:
        return None
    person = register.people.get(holder.person)
    return person.name if person is not None else holder.person[:40]


def _bells_of_household(register: Register, household: str) -> tuple[str, ...]:
    return register.volunteer_bells(household)[:MAX_PEERS] if household in register.households else ()


def _panels_of_volunteer(register: Register, bell: Device) -> tuple[str, ...]:
    homes = register.households_of_volunteer.get(bell.person or "", ())
    return tuple(panel for home in homes for panel in register.panels_of.get(home, ()))[:MAX_PEERS]


def _volunteers(register: Register, bells: Iterable[str]) -> tuple[Neighbour, ...]:
    """Who answers at these bells, by name."""
    people = ((bell, register.people.get(register.devices[bell].person or "")) for bell in bells)
    return tuple(
        _made(Neighbour, device=bell, label=person.name, place="") for bell, person in people if person is not None
    )


def _homes(register: Register, panels: Iterable[str]) -> tuple[Neighbour, ...]:
    """Who lives at these panels, and where."""
    homes = ((panel, register.households.get(register.devices[panel].household or "")) for panel in panels)
    return tuple(
        _made(Neighbour, device=panel, label=home.label, place=home.place) for panel, home in homes if home is not None
    )


def _settings(register: Register, device: Device) -> DeviceSettings:
    community = register.communities.get(device.community)
    language = community.language if community is not None else None
    return _shared_settings(device.volume, language, device.report_interval_s)


@lru_cache(maxsize=1024)
def _shared_settings(volume: int | None, language: str | None, interval_s: int | None) -> DeviceSettings:
    return DeviceSettings(volume=volume, language=language, report_interval_s=interval_s)


MAX_CONTENT_BYTES = MAX_PAYLOAD_BYTES - STORED_COUNT * len('"",' + "x" * 36) - len(str(2**53))
"""What is left for the content beside the receipts and the revision."""
_HEAD = b'{"rev":0,"stored":[],'
_REGISTERED = b',"peers":['
"""Where the part of a content begins that alarms do not change. No text can hold it: in JSON its quotes would
stand behind backslashes."""


def content_for(
    register: Register,
    device: Device,
    alarms: Iterable[Alarm],
    online: Container[str],
    known: bytes = b"",
    certificate: str | None = None,
) -> tuple[bytes, int]:
    """``content_of(desired_for(…))``, and the length of its end that alarms do not change.

    ``known``: that end, from an earlier content of the same device by the same register and with the same certificate,
    so that it need not be made anew for every press. 0 instead of its length if something had to be left out for want
    of room.
    """
    alarms = list(alarms)
    if not known:
        return _made_anew(register, device, alarms, online, certificate)
    if device.role is DeviceRole.PANEL and device.household is not None:
        alarm = panel_alarm(register, device.household, alarms)
        panel = _made(Panel, alarm=alarm, coverage=coverage_of(register, device.household, online))
        content = b'{"panel":%b,"rings":[]%b' % (_PANEL.serializer.to_json(panel), known)
    else:
        rings = rings_for(register, device, alarms)
        content = b'{"panel":null,"rings":%b%b' % (_RINGS.serializer.to_json(rings) if rings else b"[]", known)
    if len(content) > MAX_CONTENT_BYTES:
        return _made_anew(register, device, alarms, online, certificate)
    return content, len(known)


def _made_anew(
    register: Register, device: Device, alarms: Iterable[Alarm], online: Container[str], certificate: str | None
) -> tuple[bytes, int]:
    desired = desired_for(register, device, alarms, online, certificate)
    fitting, content = _fitted(desired)
    return content, len(content) - content.index(_REGISTERED) if fitting is desired else 0


def content_of(desired: Desired) -> bytes:
    """The JSON of a desired state without ``rev`` and ``stored``: what is compared to see whether anything changed.

    What does not fit into a payload is left out: first a certificate, which can wait, then neighbours, without whom a
    direct ring has no name to speak, then rings (labels of rare characters take four bytes each), which wait like those
    beyond ``MAX_RINGS``. A state that is too large would be refused by the bell, and no ring of it heard.
    """
    return _fitted(desired)[1]


def _fitted(desired: Desired) -> tuple[Desired, bytes]:
    payload = desired.model_dump_json().encode()
    if len(payload) > MAX_CONTENT_BYTES and desired.cert is not None:
        desired = desired.model_copy(update={"cert": None})
        payload = desired.model_dump_json().encode()
    while len(payload) > MAX_CONTENT_BYTES and desired.neighbours:
        desired = desired.model_copy(update={"neighbours": desired.neighbours[:-1]})
        payload = desired.model_dump_json().encode()
    while len(payload) > MAX_CONTENT_BYTES and desired.rings:
        desired = desired.model_copy(update={"rings": desired.rings[:-1]})
        payload = desired.model_dump_json().encode()
    assert payload.startswith(_HEAD), payload[:40]  # noqa: S101 - our own encoder's order of fields
    return desired, b"{" + payload[len(_HEAD) :]


def payload_of(rev: int, stored: Iterable[str], content: bytes) -> bytes:
    """The payload to publish: the content with its ``rev`` and receipts in front."""
    receipts = ",".join(f'"{event_id}"' for event_id in stored)
    return f'{{"rev":{rev},"stored":[{receipts}],'.encode() + content[1:]
