"""``doorbell-relay alarms``: list, watch, show, close."""

from __future__ import annotations

import getpass
import json
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from relay.adapters.store import SqlStore
from relay.audit import AuditWord
from relay.commands.auditing import households_detail, note, tell, write_line
from relay.commands.setting import DEFAULT_CONFIG, SHORT_ID, ConfigOption, JsonOption, Setting, enter
from relay.commands.showing import Shower, alarm_json, line_json, local_time
from relay.commands.watching import Watcher, follow
from relay.core.alarm import Alarm, Outcome
from relay.register_shapes import hidden_character
from relay.texts import commands as say
from relay.texts.words import KINDS, OUTCOMES, STAGES

MAX_NOTE = 500
POLL_S = 0.5
RESULT_POLL_S = 0.1

app = typer.Typer(help=say.ALARMS.en, no_args_is_help=True)
IdArgument = Annotated[str, typer.Argument(help=say.ALARM_ID.en, metavar="ID")]


@app.command("list", help=say.ALARMS_LIST.en, epilog="doorbell-relay alarms list --all --limit 20")
def list_(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    all_: Annotated[bool, typer.Option("--all", help=say.ALL.en)] = False,
    limit: Annotated[int, typer.Option("--limit", help=say.LIMIT.en, min=1)] = 100,
    as_json: JsonOption = False,
) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        _, register = store.load_register()
        alarms = store.alarms(open_only=not all_, limit=limit)
        seen = households_detail([alarm.household for alarm in alarms])
        write_line(setting, store, AuditWord.ALARMS_LISTED, seen)
    if as_json:
        _print_json([alarm_json(alarm, register) for alarm in alarms])
    elif alarms:
        setting.out.print(Shower(setting, register).table(alarms, datetime.now(UTC)))
    else:
        setting.out.print(setting.say(say.NO_ALARMS if all_ else say.NO_OPEN_ALARMS))


@app.command(help=say.ALARMS_WATCH.en, epilog="doorbell-relay alarms watch --language en")
def watch(context: typer.Context, config: ConfigOption = DEFAULT_CONFIG) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        write_line(setting, store, AuditWord.ALARMS_WATCHED)
        watcher = Watcher(setting, store)
        try:
            with watcher:
                for lines in follow(store, since=datetime.now(UTC), pause=lambda: time.sleep(POLL_S)):
                    watcher.show(lines, datetime.now(UTC))
        except KeyboardInterrupt:
            return


@app.command(help=say.ALARMS_SHOW.en, epilog="doorbell-relay alarms show 01938f3c")
def show(
    context: typer.Context, alarm_id: IdArgument, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False
) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        _, register = store.load_register()
        alarm = setting.find_alarm(store, alarm_id)
        lines = list(store.journal(alarm=alarm.id))
        note = store.note_of(alarm.id)
        _write_seen(setting, store, alarm)
    if as_json:
        _print_json({**alarm_json(alarm, register), "note": note, "timeline": [line_json(line) for line in lines]})
        return
    shower = Shower(setting, register)
    facts = (
        (say.COL_ALARM, alarm.id),
        (say.COL_HOUSEHOLD, f"{shower.label(alarm.household)}  {shower.place(alarm.household)}  ({alarm.household})"),
        (say.COL_KIND, setting.say(KINDS[alarm.kind])),
        (say.COL_RAISED, local_time(alarm.raised_at)),
        (say.COL_STAGE, setting.say(STAGES[alarm.stage])),
        (say.COL_OUTCOME, setting.say(OUTCOMES[alarm.outcome]) if alarm.outcome is not None else ""),
        (say.COL_WHO, shower.helpers(alarm)),
        (say.COL_NEXT, local_time(alarm.deadline) if alarm.deadline is not None else ""),
        (say.COL_PRESSES, str(alarm.presses)),
        (say.COL_NOTE, note),
    )
    for word, value in facts:
        if value:
            setting.out.print(f"{setting.say(word)}: {value}")
    setting.out.print()
    setting.out.print(shower.timeline(alarm, lines))


@app.command(help=say.ALARMS_CLOSE.en, epilog='doorbell-relay alarms close 01938f3c --outcome helped --note "..."')
def close(
    context: typer.Context,
    alarm_id: IdArgument,
    outcome: Annotated[Outcome, typer.Option("--outcome", help=say.OUTCOME.en)],
    text: Annotated[str, typer.Option("--note", help=say.NOTE.en)] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=say.YES.en)] = False,
    wait_s: Annotated[float, typer.Option("--wait", help=say.WAIT_S.en, min=0, max=600)] = 5.0,
) -> None:
    setting = enter(context, config)
    if len(text) > MAX_NOTE or hidden_character(text) is not None:
        raise setting.refuse(say.BAD_NOTE)
    with setting.store() as store:
        _, register = store.load_register()
        alarm = setting.find_alarm(store, alarm_id)
        if not alarm.is_open:
            raise setting.refuse(say.ALREADY_CLOSED, id=alarm.id)
        if not yes:
            _write_seen(setting, store, alarm)
            if not _confirm(setting, Shower(setting, register), alarm, outcome):
                setting.out.print(setting.say(say.CLOSE_ABANDONED))
                raise typer.Exit(1)
        about = {"community": alarm.community, "household": alarm.household}
        told = tell(AuditWord.ALARM_CLOSE_ASKED, {"alarm": alarm.id, "outcome": outcome.value}, **about)
        command = store.add_command(alarm.id, outcome, text, _who(), told)
        note(setting, store)
        result = _await_result(store, command, wait_s)
    if result is None:
        setting.warn(say.CLOSE_PENDING, id=alarm.id[:SHORT_ID])
    elif result == "applied":
        setting.out.print(setting.say(say.CLOSED_NOW, id=alarm.id, outcome=OUTCOMES[outcome]))
    else:
        raise setting.refuse(say.CLOSE_REFUSED, id=alarm.id, reason=result)


def _write_seen(setting: Setting, store: SqlStore, alarm: Alarm) -> None:
    about = {"community": alarm.community, "household": alarm.household}
    write_line(setting, store, AuditWord.ALARM_SEEN, {"alarm": alarm.id}, **about)


def _confirm(setting: Setting, shower: Shower, alarm: Alarm, outcome: Outcome) -> bool:
    question = setting.say(
        say.CLOSE_ASK,
        household=shower.label(alarm.household),
        place=shower.place(alarm.household),
        id=alarm.id[:SHORT_ID],
        stage=STAGES[alarm.stage],
        outcome=OUTCOMES[outcome],
    )
    return typer.confirm(question)


def _who() -> str:
    """The account at this machine, not a person's name."""
    try:
        return f"cli:{getpass.getuser()}"[:64]
    except (KeyError, OSError):
        return "cli"


def _await_result(store: SqlStore, command: int, wait_s: float) -> str | None:
    deadline = time.monotonic() + wait_s
    while (result := store.command_result(command)) is None and time.monotonic() < deadline:
        time.sleep(RESULT_POLL_S)
    return result


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
