"""How far new devices are; and one that is lost or stolen is locked out."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from doorbell.wire import format_time
from relay.adapters.store import SqlStore
from relay.audit import AuditWord
from relay.commands.auditing import counts, write_line
from relay.commands.authority import revoke
from relay.commands.broker import FolderOption, open_authority
from relay.commands.provision_desk import whose
from relay.commands.provision_paper import chosen
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, JsonOption, Setting, enter
from relay.core.coverage import coverage_of
from relay.core.journal import LineType
from relay.core.register import Register
from relay.installation import Installation, Installations, InstallStage
from relay.issued import Why
from relay.texts import provisioning as say

AGAIN_S = 1.0
NOT_YET = 1

DevicesArgument = Annotated[list[str] | None, typer.Argument(help=say.DEVICES.en, metavar="[ID]...")]


def status(
    context: typer.Context,
    devices: DevicesArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    watch: Annotated[bool, typer.Option("--watch", help=say.WATCH.en)] = False,
    as_json: JsonOption = False,
) -> None:
    setting = enter(context, config)
    with setting.telling():
        made = _made_at(setting, folder)
        with setting.store() as store:
            board = _Board(setting, store, made, devices or [])
            if watch and setting.out.is_terminal:
                board.watch()
                return
            board.look()
    if as_json:
        typer.echo(json.dumps([_json(one, board.has_card(one)) for one in board.shown], ensure_ascii=False, indent=2))
    else:
        setting.out.print(board.table())
    if not board.all_installed:
        raise typer.Exit(NOT_YET)


def lock_out(
    context: typer.Context,
    device: Annotated[str, typer.Argument(help=say.DEVICE_ID.en, metavar="ID")],
    why: Annotated[Why, typer.Option("--why", help=say.WHY_OUT.en)],
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
) -> None:
    revoke(context, name=device, why=why, config=config, folder=folder)
    setting = enter(context, config)
    with setting.store() as store:
        _, register = store.load_register()
        known = register.devices.get(device)
        if known is None:
            return
        write_line(setting, store, AuditWord.HOUSEHOLDS_LISTED, counts(register))
        away = _offline(store) | {device}
    homes = [known.household] if known.household else register.households_of_volunteer.get(known.person or "", ())
    for home in homes:
        if home is not None:
            setting.out.print(_left(setting, register, home, away), soft_wrap=True)


# ---------------------------------------------------------------------------------------------------------------------


def _left(setting: Setting, register: Register, home: str, away: set[str]) -> str:
    """What a household has without the devices that are away."""
    name = f"{register.households[home].label} {register.households[home].place}".strip()
    if not any(panel not in away for panel in register.panels_of.get(home, ())):
        return setting.say(say.NO_PANEL_LEFT, home=name)
    bells = [bell for bell in register.volunteer_bells(home) if bell not in away]
    word = say.COVERAGES[coverage_of(register, home, frozenset(bells))]
    return setting.say(say.STILL_HEARD, home=name, coverage=word, bells=", ".join(bells) or say.NOBODY)


def _offline(store: SqlStore) -> set[str]:
    """Devices of which the newest that the journal says is that they went away."""
    kinds = (LineType.DEVICE_ONLINE.value, LineType.DEVICE_OFFLINE.value)
    newest = {line.device: line.type for line in store.journal(types=kinds) if line.device is not None}
    return {device for device, kind in newest.items() if kind == LineType.DEVICE_OFFLINE.value}


def _made_at(setting: Setting, folder: Any) -> dict[str, datetime] | None:
    """Since when each device has the identity that it has; None where there is no authority on this machine."""
    if not (folder or setting.settings.authority.directory).exists():
        return None
    now = datetime.now(UTC)
    issued = open_authority(setting, folder).register()
    return {one.name: one.certificates[0].at for one in issued if one.stands(now)}


class _Board:
    """The devices that are shown, as they are now."""

    def __init__(
        self, setting: Setting, store: SqlStore, made: Mapping[str, datetime] | None, names: list[str]
    ) -> None:
        self._setting, self._store, self._made = setting, store, made
        version, self._register = store.load_register()
        write_line(setting, store, AuditWord.HOUSEHOLDS_LISTED, {**counts(self._register), "version": version})
        self._names = [one.id for one in chosen(self._register, names)] if names else []
        self._found = Installations(self._register, made or {})

    @property
    def shown(self) -> Sequence[Installation]:
        """Those that were asked for, or all."""
        return [self._found.of(name) for name in self._names] or self._found.all()

    @property
    def all_installed(self) -> bool:
        """Whether nothing is left to do."""
        return all(one.stage is InstallStage.INSTALLED and self.has_card(one) for one in self.shown)

    def has_card(self, one: Installation) -> bool:
        """Whether a card was made; unknown on a machine without the authority, where one counts as made."""
        return self._made is None or one.made_at is not None

    def look(self) -> None:
        """Read what is new."""
        self._found.read(self._store)

    def watch(self) -> None:
        """Until Ctrl-C."""
        with Live(console=self._setting.out, auto_refresh=False) as live:
            try:
                while True:
                    self.look()
                    live.update(self.table(), refresh=True)
                    time.sleep(AGAIN_S)
            except KeyboardInterrupt:
                return

    def table(self) -> Table:
        """A line for each device."""
        say_ = self._setting.say
        table = Table(box=None, pad_edge=False)
        for column in (say.COL_DEVICE, say.COL_WHOSE, say.COL_STAGE, say.COL_SINCE, say.COL_NEXT):
            table.add_column(say_(column), overflow="fold")
        for one in self.shown:
            device = self._register.devices[one.device]
            has_card = self.has_card(one)
            since = f"{one.since.astimezone():%Y-%m-%d %H:%M}" if one.since is not None else ""
            told, fields = say.next_step(one, device.role, has_card)
            style = "green" if one.stage is InstallStage.INSTALLED else ""
            table.add_row(
                one.device,
                whose(self._register, device),
                say_(say.stage_word(one, has_card)),
                since,
                say_(told, **fields),
                style=style,
            )
        return table


def _json(one: Installation, has_card: bool) -> dict[str, Any]:
    def when(at: datetime | None) -> str | None:
        return format_time(at) if at is not None else None

    return {
        "device": one.device,
        "stage": one.stage.value,
        "has_card": has_card,
        "made_at": when(one.made_at),
        "registered_at": when(one.registered_at),
        "tested_at": when(one.tested_at),
        "not_proven": list(one.not_proven),
        "heard_at": when(one.heard_at),
        "heard_with": one.heard_with or None,
    }
