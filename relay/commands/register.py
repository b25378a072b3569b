"""``doorbell-relay register``: check a file, import it, export what is there."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from relay.adapters.store import SqlStore
from relay.audit import AuditWord
from relay.commands.auditing import Told, counts, import_detail, note, tell, write_line
from relay.commands.kept_registers import keep_register, open_kept_register
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, Setting, enter
from relay.core.register import Register
from relay.register_changes import KINDS, Change, compare_registers
from relay.register_check import Severity
from relay.register_file import Problem, load_register_file, parse_register, write_register
from relay.settings import RelaySettings
from relay.texts import Language, Text
from relay.texts import commands as say
from relay.texts.words import STAGES

MAX_SHOWN_PROBLEMS = 200
MAX_SHOWN_IDS = 8

_KIND_WORDS: dict[str, Text] = {
    "communities": say.COMMUNITIES,
    "households": say.HOUSEHOLDS,
    "people": say.PEOPLE,
    "devices": say.DEVICES,
    "groups": say.GROUPS,
    "hooks": say.HOOKS,
    "policies": say.POLICIES,
}

app = typer.Typer(help=say.REGISTER.en, no_args_is_help=True)
FileArgument = Annotated[Path, typer.Argument(help=say.FILE.en, metavar="FILE")]


@app.command(help=say.REGISTER_CHECK.en, epilog="doorbell-relay register check config/neighbourhood.example.toml")
def check(context: typer.Context, file: FileArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    if config == DEFAULT_CONFIG and not config.exists():
        # A file can be checked anywhere, also where no relay is set up.
        language = context.obj if isinstance(context.obj, Language) else Language.ZH
        setting = Setting(config, RelaySettings(name="check", database=Path(os.devnull)), language)
    else:
        setting = enter(context, config)
    register = _read(setting, file)
    if register is None:
        raise typer.Exit(2)
    setting.out.print(setting.say(say.REGISTER_WELL, counts=_counts(setting, register)))


@app.command(
    "import",
    help=say.REGISTER_IMPORT.en,
    epilog="doorbell-relay register import my-neighbourhood.toml --dry-run",
)
def import_(
    context: typer.Context,
    file: FileArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say.DRY_RUN.en)] = False,
) -> None:
    setting = enter(context, config)
    register = _read(setting, file)
    if register is None:
        raise setting.refuse(say.NOTHING_IMPORTED)
    if dry_run and not SqlStore.is_made(setting.database):
        setting.out.print(_table(setting, compare_registers(Register(), register)))
        setting.out.print(setting.say(say.DRY_RUN_DONE))
        return
    with setting.store(make=True) as store:
        version, present = store.load_register()
        changes = compare_registers(present, register)
        if not any(changes.values()):
            setting.out.print(setting.say(say.NO_CHANGES))
            return
        setting.out.print(_table(setting, changes))
        _mind_open_alarms(setting, store, register, changes["households"])
        if dry_run:
            setting.out.print(setting.say(say.DRY_RUN_DONE))
            return
        kept = keep_register(setting, version, present, store.seal) if version > 0 else None
        with setting.err.status(setting.say(say.IMPORTING)):

            def told(new_version: int, before: Register) -> Told:
                found = changes if before is present else compare_registers(before, register)
                return tell(AuditWord.REGISTER_IMPORTED, import_detail(new_version, found))

            version = store.replace_register(register, (version, present), told)
            note(setting, store)
    setting.out.print(setting.say(say.IMPORTED, version=version))
    if kept is not None:
        command = f"doorbell-relay register import {kept} --config {setting.config}"
        setting.out.print(setting.say(say.GO_BACK, command=command), soft_wrap=True)


@app.command(help=say.REGISTER_EXPORT.en, epilog="doorbell-relay register export my-neighbourhood.toml")
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help=say.EXPORT_FILE.en, metavar="FILE")],
    config: ConfigOption = DEFAULT_CONFIG,
    force: Annotated[bool, typer.Option("--force", help=say.FORCE.en)] = False,
) -> None:
    setting = enter(context, config)
    with setting.store() as store:
        _, register = store.load_register()
        write_line(setting, store, AuditWord.REGISTER_EXPORTED, counts(register))
    if str(file) == "-":
        write_register(register, sys.stdout)
        return
    _write(setting, file, register, overwrite=force)
    setting.out.print(setting.say(say.EXPORTED, path=file, counts=_counts(setting, register)), soft_wrap=True)


# ---------------------------------------------------------------------------------------------------------------------


def _read(setting: Setting, file: Path) -> Register | None:
    """The register in a file; its problems are printed, errors and warnings, in the form ``file:line: …``."""
    with setting.err.status(setting.say(say.CHECKING)):
        kept = open_kept_register(setting, file)
        register, problems = load_register_file(file) if kept is None else parse_register(kept)
    errors = [p for p in problems if p.severity is Severity.ERROR]
    shown = (errors + [p for p in problems if p.severity is Severity.WARNING])[:MAX_SHOWN_PROBLEMS]
    for problem in sorted(shown, key=lambda p: p.line):
        _print_problem(setting, file, problem)
    if len(problems) > len(shown):
        setting.err.print(setting.say(say.MORE_PROBLEMS, count=len(problems) - len(shown)))
    if problems:
        warnings = len(problems) - len(errors)
        setting.err.print(setting.say(say.PROBLEM_COUNT, errors=len(errors), warnings=warnings))
    return register


def _print_problem(setting: Setting, file: Path, problem: Problem) -> None:
    is_error = problem.severity is Severity.ERROR
    severity = setting.say(say.ERROR if is_error else say.WARNING)
    where = f" {problem.key}:" if problem.key else ""
    line = f"{file}:{problem.line}: {severity}:{where} {problem.message(setting.language)}"
    setting.err.print(line, style="red" if is_error else "yellow", soft_wrap=True)


def _counts(setting: Setting, register: Register) -> str:
    counts = ((_KIND_WORDS[kind], len(getattr(register, kind))) for kind in KINDS)
    separator = "，" if setting.language is Language.ZH else ", "
    return separator.join(f"{setting.say(word)} {count}" for word, count in counts if count)


def _table(setting: Setting, changes: dict[str, Change]) -> Table:
    columns = (say.WHAT, say.ADDED, say.CHANGED, say.REMOVED, say.WHICH)
    table = Table(title=setting.say(say.CHANGES), title_justify="left")
    for column in columns:
        table.add_column(setting.say(column), justify="right" if column in columns[1:4] else "left")
    for kind, change in changes.items():
        if change:
            counts = (str(len(ids)) for ids in (change.added, change.changed, change.removed))
            table.add_row(setting.say(_KIND_WORDS[kind]), *counts, _which(change))
    return table


def _which(change: Change) -> str:
    """Some of the ids: what is removed first, because that is where a mistake hurts."""
    marked = [(sign, ids) for sign, ids in (("-", change.removed), ("~", change.changed), ("+", change.added)) if ids]
    return "  ".join(f"{sign}{' '.join(ids[:MAX_SHOWN_IDS])}{_more(ids)}" for sign, ids in marked)


def _more(ids: Sequence[str]) -> str:
    return f" … ({len(ids)})" if len(ids) > MAX_SHOWN_IDS else ""


def _mind_open_alarms(setting: Setting, store: SqlStore, register: Register, households: Change) -> None:
    """An open alarm stays with the community in which it was raised: bells that have moved away could not answer it,
    and of several relays the one that serves the new community knows nothing of it."""
    gone, changed = set(households.removed), set(households.changed)
    if not gone and not changed:
        return
    for alarm in store.alarms(open_only=True, limit=1_000_000):
        facts = {"household": alarm.household, "alarm": alarm.id, "stage": STAGES[alarm.stage]}
        if alarm.household in gone:
            setting.warn(say.OPEN_ALARM_REMOVED, **facts)
        elif alarm.household in changed:
            community = register.households[alarm.household].community
            if community != alarm.community:
                raise setting.refuse(say.OPEN_ALARM_MOVED, community=community, **facts)


def _write(setting: Setting, path: Path, register: Register, *, overwrite: bool) -> None:
    """Whole or not at all, and for its owner's eyes only: there are names and addresses in it."""
    if path.exists() and not overwrite:
        raise setting.refuse(say.FILE_EXISTS, path=path)
    part = path.with_name(f"{path.name}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:  # noqa: PTH123
            write_register(register, stream)
        part.replace(path)
    except OSError as error:
        raise setting.refuse(say.CANNOT_WRITE, path=path, reason=error.strerror) from None
