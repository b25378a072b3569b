"""``doorbell-relay store``: is the database sound, copy it, put a copy back, forget what is old."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from doorbell.wire import format_time
from relay.adapters.store import SqlStore
from relay.audit import AuditWord
from relay.audit_head import read_head
from relay.commands.auditing import head_path, note, whoever_runs_this, write_line
from relay.commands.kept_registers import kept_registers
from relay.commands.privacy import erase_again, erased_subjects
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, JsonOption, Setting, enter, make_folder
from relay.commands.showing import local_time
from relay.retention import Kept, Retained
from relay.texts import Text
from relay.texts import audit as say_audit
from relay.texts import commands as say
from relay.texts import privacy as say_privacy
from relay.texts.words import FAULTS, KEPT
from relay.verdict import Finding, Verdict

UNSOUND = 1
"""The exit code of ``verify`` and ``backup`` when something is wrong with what is in the database."""
MAX_SHOWN = 50
_STAMPED = f"relay-{'[0-9]' * 8}T{'[0-9]' * 6}Z.sqlite3"
"""The names that ``backup`` gives, in the order of their times."""

app = typer.Typer(help=say.STORE.en, no_args_is_help=True)


@app.command(help=say.STORE_VERIFY.en, epilog=f"{say.STORE_VERIFY_EXITS.en}\n\ndoorbell-relay store verify")
def verify(context: typer.Context, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    setting = enter(context, config)
    with setting.store() as store, _counting(setting, say.COMPARING) as count:
        verdict = store.verify(count)
    if as_json:
        findings = [{"fault": f.fault.value, "subject": f.subject, "detail": f.detail} for f in verdict.findings]
        told = {"alarms": verdict.alarms, "open": verdict.open_alarms, "lines": verdict.lines, "findings": findings}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        _tell(setting, verdict)
    if verdict.findings:
        raise typer.Exit(UNSOUND)


@app.command(
    help=say.STORE_BACKUP.en,
    epilog="doorbell-relay store backup /var/backups/love-doorbell/\n\n"
    "doorbell-relay store backup /var/backups/love-doorbell/ --keep 14",
)
def backup(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help=say.BACKUP_FILE.en, metavar="FILE")],
    config: ConfigOption = DEFAULT_CONFIG,
    force: Annotated[bool, typer.Option("--force", help=say.FORCE.en)] = False,
    keep: Annotated[int | None, typer.Option("--keep", help=say.KEEP.en, min=1, metavar="N")] = None,
) -> None:
    from relay.adapters.store_copies import back_up  # noqa: PLC0415 - of no use to the other commands

    setting = enter(context, config)
    if keep is not None and not target.is_dir():
        raise setting.refuse(say.KEEP_IN_FOLDER, path=target)
    path = target / f"relay-{_stamp()}.sqlite3" if target.is_dir() else target
    if path.exists() and not force:
        raise setting.refuse(say.FILE_EXISTS, path=path)
    with setting.store() as store, setting.err.status(setting.say(say.COPYING)):
        write_line(setting, store, AuditWord.STORE_BACKED_UP, {"file": path.name})
        verdict = back_up(store, path)
    size = path.stat().st_size / 1_000_000
    setting.out.print(
        setting.say(say.BACKED_UP, path=path, size=f"{size:.1f}", alarms=verdict.alarms, open=verdict.open_alarms),
        soft_wrap=True,
    )
    if verdict.findings:
        _tell(setting, verdict)
        if keep is not None:
            setting.warn(say.OLDER_STAY)
        raise typer.Exit(UNSOUND)
    if keep is not None:
        older = sorted(copy for copy in target.glob(_STAMPED) if copy != path)  # whatever the clock says of this one
        _let_go(setting, older[: max(0, len(older) + 1 - keep)])


@app.command(help=say.STORE_RESTORE.en, epilog="doorbell-relay store restore relay-20261125T020000Z.sqlite3")
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help=say.RESTORE_FILE.en, metavar="FILE")],
    config: ConfigOption = DEFAULT_CONFIG,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=say.YES.en)] = False,
    force: Annotated[bool, typer.Option("--force", help=say.RESTORE_FORCE.en)] = False,
) -> None:
    from relay.adapters.store_copies import restore as put_back  # noqa: PLC0415 - of no use to the other commands

    setting = enter(context, config)
    if not file.is_file():
        raise setting.refuse(say.NO_FILE, path=file)
    if not yes and not typer.confirm(setting.say(say.RESTORE_ASK, path=file, database=setting.database)):
        setting.out.print(setting.say(say.NOT_RESTORED))
        raise typer.Exit(1)
    make_folder(setting.database)

    def refuse(verdict: Verdict) -> None:
        if verdict.findings:
            _tell(setting, verdict)
            if not force:
                raise setting.refuse(say.BACKUP_UNSOUND, path=file)

    base = setting.beside_the_database
    kept = base.with_name(f"{base.name}-before-restore-{_stamp()}.sqlite3")
    erased = erased_subjects(setting)
    done = put_back(setting.database, file, kept, refuse, setting.seal)
    _tell_restored(setting, file)
    again = erase_again(setting, erased)
    setting.out.print(
        setting.say(say.RESTORED, path=file, alarms=done.verdict.alarms, open=done.verdict.open_alarms), soft_wrap=True
    )
    if again:
        setting.out.print(setting.say(say_privacy.ERASED_AGAIN, ids=" ".join(again)), soft_wrap=True)
    if done.kept is not None:
        setting.out.print(setting.say(say.KEPT_BEFORE, path=done.kept), soft_wrap=True)


@app.command(help=say.STORE_RETAIN.en, epilog="doorbell-relay store retain --dry-run")
def retain(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say.DRY_RUN.en)] = False,
    as_json: JsonOption = False,
) -> None:
    setting = enter(context, config)
    now, periods = datetime.now(UTC), setting.settings.retention
    before = {kind: now - timedelta(days=periods.days(kind)) for kind in Kept}
    with setting.store() as store:
        rows = [
            _Row(kind.value, KEPT[kind], periods.days(kind), one, 0) for kind, one in store.count_old(before).items()
        ]
        of_audit = now - timedelta(days=periods.audit_days)
        rows.append(_Row("audit", say_audit.COL_AUDIT, periods.audit_days, store.audit.count_old(of_audit), 0))
        of_register = now - timedelta(days=periods.register_days)
        copies = kept_registers(setting, of_register)
        found = Retained(of_register, len(copies), len(kept_registers(setting)) - len(copies))
        rows.append(_Row("registers", say_privacy.KEPT_REGISTERS, periods.register_days, found, 0))
        if not dry_run:
            with _counting(setting, say.FORGETTING) as count:
                gone: dict[str, int] = {kind.value: rows for kind, rows in store.forget_old(before, count).items()}
                for copy in copies:
                    copy.unlink(missing_ok=True)
                gone["registers"] = len(copies)
                gone["audit"] = store.audit.cut(of_audit, whoever_runs_this(), now, count)
            rows = [replace(row, gone=gone[row.key]) for row in rows]
            write_line(setting, store, AuditWord.STORE_RETAINED, {row.key: row.gone for row in rows})
    if as_json:
        told = {
            row.key: {
                "before": format_time(row.found.before),
                "old": row.found.going,
                "staying": row.found.staying,
                "gone": row.gone,
            }
            for row in rows
        }
        typer.echo(json.dumps(told, indent=2))
        return
    table = Table()
    for column in (say.WHAT, say.COL_PERIOD, say.COL_BEFORE, say.COL_OLD if dry_run else say.REMOVED, say.COL_STAYING):
        table.add_column(setting.say(column), justify="left" if column in (say.WHAT, say.COL_BEFORE) else "right")
    for row in rows:
        days = setting.say(say.DAYS, days=row.days)
        going = row.found.going if dry_run else row.gone
        table.add_row(setting.say(row.text), days, local_time(row.found.before), str(going), str(row.found.staying))
    setting.out.print(table)
    setting.out.print(setting.say(say.DRY_RUN_DONE if dry_run else say.FORGOTTEN), soft_wrap=True)


# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """What is kept for so many days, what was found of it, and how much is gone."""

    key: str
    text: Text
    days: int
    found: Retained
    gone: int


def _tell_restored(setting: Setting, file: Path) -> None:
    """The log is the back-up's now; what it was before is told by the head that was noted, which goes back with it."""
    try:
        noted = read_head(head_path(setting))
    except (OSError, ValueError):
        noted = None
    with closing(SqlStore.open(setting.database, seal=setting.seal)) as store:
        write_line(setting, store, AuditWord.STORE_RESTORED, {"file": file.name, "head_before": str(noted or "")})
        note(setting, store, whatever_was=True)


def _let_go(setting: Setting, copies: Sequence[Path]) -> None:
    """Delete back-ups. ``SetupError`` if one cannot be: a disk that fills up must be noticed."""
    for copy in copies:
        try:
            copy.unlink(missing_ok=True)
        except OSError as error:
            raise setting.refuse(say.NOT_DELETED, path=copy, reason=error.strerror) from None
    if copies:
        setting.out.print(setting.say(say.OLDER_GONE, count=len(copies)))


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


@contextmanager
def _counting(setting: Setting, text: Text) -> Iterator[Callable[[int], None]]:
    """Say on a terminal how far it has come."""
    with setting.err.status(setting.say(text, count=0)) as status:
        yield lambda count: status.update(setting.say(text, count=count))


def _tell(setting: Setting, verdict: Verdict) -> None:
    if not verdict.findings:
        told = setting.say(say.SOUND, alarms=verdict.alarms, open=verdict.open_alarms, lines=verdict.lines)
        setting.out.print(told, soft_wrap=True)
        return
    counts = Counter(finding.fault for finding in verdict.findings)
    for finding in verdict.findings[:MAX_SHOWN]:
        setting.out.print(_line(setting, finding), style="red", soft_wrap=True)
    if len(verdict.findings) > MAX_SHOWN:
        setting.out.print(setting.say(say.MORE_FINDINGS, count=len(verdict.findings) - MAX_SHOWN))
    setting.out.print(setting.say(say.UNSOUND, count=counts.total(), alarms=verdict.alarms), soft_wrap=True)


def _line(setting: Setting, finding: Finding) -> str:
    detail = f" ({finding.detail})" if finding.detail else ""
    return f"{finding.subject}: {setting.say(FAULTS[finding.fault])}{detail}"
