"""How alarms and journal lines look to a person at a terminal, and as JSON to a program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table

from doorbell.wire import format_time
from relay.adapters.store_rows import JournalLine
from relay.commands.setting import SHORT_ID, Setting
from relay.core.alarm import Alarm
from relay.core.register import Register
from relay.texts import commands as say
from relay.texts.timeline import tell_line
from relay.texts.words import HELPER_STATES, KINDS, OUTCOMES, STAGES, line_word

_IN_ONE_LINE = (say.COL_ALARM, say.COL_KIND, say.COL_HOUSEHOLD, say.COL_AGE, say.COL_STEP)
_DATE_WIDTH = 10


def local_time(at: datetime, *, date: bool = True) -> str:
    """The time on this machine's clocks, with milliseconds."""
    form = "%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S"
    return f"{at.astimezone():{form}}.{at.microsecond // 1000:03d}"


def seconds_since(start: datetime, at: datetime) -> str:
    """``+12.345 s``: how long after the press."""
    return f"{(at - start) / timedelta(seconds=1):+.3f} s"


def lasting(start: datetime, now: datetime) -> str:
    """``1:02:03``, or ``2:03`` under an hour: how long it has been."""
    seconds = max(0, (now - start) // timedelta(seconds=1))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class Shower:
    """Turns ids into what this person may see: the office's terminal shows names and addresses."""

    def __init__(self, setting: Setting, register: Register) -> None:
        self._setting = setting
        self._register = register

    def person(self, person: str) -> str:
        """A name; the id of somebody who is not registered any more."""
        known = self._register.people.get(person)
        return known.name if known is not None else person

    def label(self, household: str) -> str:
        """How the elder is called."""
        known = self._register.households.get(household)
        return known.label if known is not None else household

    def place(self, household: str) -> str:
        """Where the household is."""
        known = self._register.households.get(household)
        return known.place if known is not None else ""

    def line(self, line: JournalLine) -> str:
        """A journal line as a sentence."""
        return tell_line(line.type, line.data, self._setting.language, device=line.device, name_of=self.person)

    def helpers(self, alarm: Alarm) -> str:
        """Who said "coming", and what became of it."""
        say_ = self._setting.say
        return ", ".join(f"{self.person(h.person)} ({say_(HELPER_STATES[h.state])})" for h in alarm.helpers)

    def stage(self, alarm: Alarm) -> str:
        """The stage, or the outcome once closed; loud when everybody was called in vain."""
        if alarm.outcome is not None:
            return self._setting.say(OUTCOMES[alarm.outcome])
        stage = self._setting.say(STAGES[alarm.stage])
        return f"{stage} ! {self._setting.say(say.NOBODY_HAS_COME)}" if alarm.nobody_has_come else stage

    def table(self, alarms: Iterable[Alarm], now: datetime) -> Table:
        """The alarms as a table, as they are given."""
        columns = (
            say.COL_ALARM,
            say.COL_KIND,
            say.COL_STAGE,
            say.COL_HOUSEHOLD,
            say.COL_PLACE,
            say.COL_RAISED,
            say.COL_AGE,
            say.COL_STEP,
            say.COL_PRESSES,
            say.COL_WHO,
        )
        # At 80 columns too: who and where may take two lines, and no word of it is cut off.
        table = Table(box=None, pad_edge=False, collapse_padding=True)
        for column in columns:
            wide = _DATE_WIDTH if column is say.COL_RAISED else None
            one_line = column in _IN_ONE_LINE
            table.add_column(self._setting.say(column), overflow="fold", no_wrap=one_line, min_width=wide)
        for alarm in alarms:
            table.add_row(
                alarm.id[:SHORT_ID],
                self._setting.say(KINDS[alarm.kind]),
                self.stage(alarm),
                self.label(alarm.household),
                self.place(alarm.household),
                f"{alarm.raised_at.astimezone():%Y-%m-%d %H:%M:%S}",
                lasting(alarm.raised_at, now if alarm.is_open else alarm.since),
                f"{alarm.step + 1}/{len(alarm.policy.steps)}",
                str(alarm.presses),
                self.helpers(alarm),
                style="bold red" if alarm.nobody_has_come else "",
            )
        return table

    def timeline(self, alarm: Alarm, lines: Sequence[JournalLine]) -> Table:
        """Everything that happened to an alarm, with local times and the seconds since the press."""
        columns = (say.COL_TIME, say.COL_AFTER, say.COL_TYPE, say.COL_WHAT)
        table = Table(box=None, pad_edge=False)
        for column in columns:
            table.add_column(self._setting.say(column), justify="right" if column is say.COL_AFTER else "left")
        for line in lines:
            table.add_row(
                local_time(line.at),
                seconds_since(alarm.raised_at, line.at),
                line_word(line.type, self._setting.language),
                self.line(line),
            )
        return table


def alarm_json(alarm: Alarm, register: Register) -> dict[str, Any]:
    """An alarm for programs: stable English keys, RFC 3339 times in UTC."""
    home = register.households.get(alarm.household)
    return {
        "id": alarm.id,
        "community": alarm.community,
        "household": alarm.household,
        "label": home.label if home is not None else None,
        "place": home.place if home is not None else None,
        "kind": alarm.kind.value,
        "source": alarm.source,
        "raised_at": format_time(alarm.raised_at),
        "stage": alarm.stage.value,
        "since": format_time(alarm.since),
        "deadline": _time(alarm.deadline),
        "due": alarm.due.value if alarm.due is not None else None,
        "policy": alarm.policy.id,
        "step": alarm.step + 1,
        "steps": len(alarm.policy.steps),
        "round": alarm.round,
        "nobody_has_come": alarm.nobody_has_come,
        "presses": alarm.presses,
        "called": list(alarm.called),
        "sounding": list(alarm.sounding),
        "declined": list(alarm.declined),
        "helpers": [
            {
                "person": helper.person,
                "device": helper.device,
                "accepted_at": format_time(helper.accepted_at),
                "state": helper.state.value,
            }
            for helper in alarm.helpers
        ],
        "outcome": alarm.outcome.value if alarm.outcome is not None else None,
    }


def line_json(line: JournalLine) -> dict[str, Any]:
    """A journal line for programs: stable English keys, RFC 3339 times in UTC."""
    return {
        "seq": line.seq,
        "at": format_time(line.at),
        "community": line.community,
        "type": line.type,
        "household": line.household,
        "alarm": line.alarm,
        "device": line.device,
        "event": line.event,
        "data": dict(line.data),
    }


def _time(at: datetime | None) -> str | None:
    return format_time(at) if at is not None else None
