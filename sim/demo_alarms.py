"""The open alarms as the demo's screen shows them: what the relay's journal has told, line by line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from relay.core.alarm import AlarmStage, NoteType
from relay.core.policy import Policy
from sim.demo_sightings import JournalLine, Sighting

SHOWN_AFTER_CLOSE_S = 8.0
"""A closed alarm stays on the screen for so long: time to read how it ended."""


@dataclass(frozen=True, slots=True)
class AlarmView:
    """One household's alarm. Times are the chronicle's seconds; ``until_s``: when the present wait ends."""

    id: str
    household: str
    raised_s: float
    stage: AlarmStage = AlarmStage.RINGING
    step: int = 1
    """As people count, from 1."""
    rounds: int = 0
    since_s: float = 0.0
    until_s: float | None = None
    presses: int = 1
    sounding: tuple[str, ...] = ()
    person: str | None = None
    outcome: str = ""


def alarms_from(sightings: Iterable[Sighting], policy: Policy, now_s: float) -> list[AlarmView]:
    """The alarms that are open, or were until a moment ago, in the order in which they were raised."""
    alarms: dict[str, AlarmView] = {}
    for sighting in sightings:
        if isinstance(sighting.what, JournalLine) and sighting.what.alarm is not None:
            _tell(alarms, sighting.what.alarm, sighting.what, sighting.at_s, policy)
    return [
        alarm
        for alarm in alarms.values()
        if alarm.stage is not AlarmStage.CLOSED or now_s - alarm.since_s < SHOWN_AFTER_CLOSE_S
    ]


def _tell(alarms: dict[str, AlarmView], alarm_id: str, line: JournalLine, at_s: float, policy: Policy) -> None:
    alarm = alarms.get(alarm_id)
    if alarm is None:
        if line.type == NoteType.RAISED:
            alarms[alarm_id] = AlarmView(alarm_id, line.household or "", raised_s=at_s, since_s=at_s)
        return
    data = line.data
    match line.type:
        case NoteType.STEP_STARTED | NoteType.STEP_REPEATED:
            rounds = alarm.rounds + (line.type == NoteType.STEP_REPEATED)
            until_s = at_s + int(data.get("wait_s", 0))
            alarm = replace(
                alarm,
                stage=AlarmStage.RINGING,
                step=int(data.get("step", 1)),
                rounds=rounds,
                since_s=at_s,
                until_s=until_s,
                person=None,
            )
        case NoteType.PRESSED_AGAIN:
            alarm = replace(alarm, presses=int(data.get("presses", alarm.presses + 1)))
        case NoteType.SOUNDING:
            alarm = replace(alarm, sounding=tuple(dict.fromkeys((*alarm.sounding, *data.get("bells", ())))))
        case NoteType.SILENT:
            alarm = replace(alarm, sounding=tuple(b for b in alarm.sounding if b not in data.get("bells", ())))
        case NoteType.ACCEPTED:
            until_s = at_s + policy.arrive_wait_s
            alarm = replace(
                alarm, stage=AlarmStage.ACCEPTED, since_s=at_s, until_s=until_s, person=str(data.get("person"))
            )
        case NoteType.ARRIVED:
            until_s = at_s + policy.done_wait_s
            alarm = replace(alarm, stage=AlarmStage.ARRIVED, since_s=at_s, until_s=until_s)
        case NoteType.CLOSED:
            alarm = replace(
                alarm, stage=AlarmStage.CLOSED, since_s=at_s, until_s=None, outcome=str(data.get("outcome", ""))
            )
        case _:
            return
    alarms[alarm_id] = alarm
