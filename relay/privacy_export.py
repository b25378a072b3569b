"""An export of one person or household: what is kept, as values that JSON can hold. Other people are ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from doorbell.wire import format_time
from relay.core.alarm import Alarm
from relay.core.register import Register
from relay.privacy import Subject, SubjectKind


def export_of(register: Register, subject: Subject, found: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is kept of them. ``found``: what ``SqlSubjects.export`` gives."""
    told: dict[str, Any] = {"subject": _registered(register, subject)}
    told["devices"] = [
        {"id": one.id, "role": one.role.value, "volume": one.volume, "report_interval_s": one.report_interval_s}
        for one in (register.devices[id_] for id_ in subject.devices)
    ]
    if subject.kind is SubjectKind.HOUSEHOLD:
        home = register.households[subject.id]
        told["volunteers"] = list(home.volunteers)
        told["policies"] = {kind.value: policy for kind, policy in home.policies}
    else:
        told["households"] = list(register.households_of_volunteer.get(subject.id, ()))
        told["groups"] = [group.id for group in register.groups.values() if subject.id in group.members]
    told["alarms"] = [_alarm(alarm, subject) for alarm in found["alarms"]]
    told["journal"] = [
        {"seq": line.seq, "at": format_time(line.at), "type": line.type, "alarm": line.alarm, "data": dict(line.data)}
        for line in found["journal"]
    ]
    told["events"] = [
        {"id": id_, "device": device, "at": format_time(at), "body": body.decode("utf-8", "backslashreplace")}
        for id_, device, at, body in found["events"]
    ]
    told["notes"] = [{"alarm": alarm, "note": note} for alarm, note in found["notes"]]
    told["notices"] = [{"id": id_, "alarm": alarm, "body": body} for id_, alarm, body in found["notices"]]
    told["rejected"] = [
        {"at": format_time(row.at), "topic": row.topic, "payload": row.payload.decode("utf-8", "backslashreplace")}
        for row in found["rejected"]
    ]
    told["shown_at"] = found["shown_at"]
    told["accesses"] = [{"at": format_time(at), "who": who, "what": what} for at, who, what in found["accesses"]]
    return told


def _registered(register: Register, subject: Subject) -> dict[str, Any]:
    if subject.kind is SubjectKind.HOUSEHOLD:
        home = register.households[subject.id]
        words = {"label": home.label, "place": home.place}
    else:
        person = register.people[subject.id]
        words = {"name": person.name, "phone": person.phone}
    return {"kind": subject.kind.value, "id": subject.id, "community": subject.community, **words}


def _alarm(alarm: Alarm, subject: Subject) -> dict[str, Any]:
    own = subject.kind is SubjectKind.HOUSEHOLD
    helped = [helper for helper in alarm.helpers if own or helper.person == subject.id]
    return {
        "id": alarm.id,
        "kind": alarm.kind.value,
        "raised_at": format_time(alarm.raised_at),
        "stage": alarm.stage.value,
        "outcome": alarm.outcome.value if alarm.outcome is not None else None,
        "presses": alarm.presses if own else None,
        "called": [bell for bell in alarm.called if own or bell in subject.devices],
        "helpers": [
            {"person": one.person, "accepted_at": format_time(one.accepted_at), "state": one.state.value}
            for one in helped
        ],
    }


def readable_lines(value: Any, indent: str = "  ") -> Iterable[str]:
    """A part of an export as lines of text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, (Mapping, list)) and inner:
                yield f"{indent}{key}:"
                yield from readable_lines(inner, indent + "  ")
            elif inner not in (None, "", [], {}):
                yield f"{indent}{key}: {inner}"
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, Mapping):
                yield f"{indent}- " + "  ".join(
                    f"{key}={one}" for key, one in inner.items() if one not in (None, "", [], {})
                )
            else:
                yield f"{indent}- {inner}"
    else:
        yield f"{indent}{value}"
