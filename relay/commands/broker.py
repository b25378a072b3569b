"""``doorbell-relay broker``: write its configuration, and make it take effect."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doorbell.errors import PeerError
from doorbell.settings import MqttSettings
from doorbell.wire import Topics
from relay.broker_files import BrokerFolder
from relay.broker_rights import Access, access_of
from relay.broker_settings import BrokerKind, BrokerSettings
from relay.commands.broker_proof import prove_read
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, Setting, enter
from relay.issued import Identity, Purpose
from relay.texts import authority as say_authority
from relay.texts import broker as say
from relay.texts.refusal import RefusalError

if TYPE_CHECKING:
    from relay.adapters.authority import Authority, Credential

OUTDATED = 1
"""The exit code of ``config --check`` when something is not as it should be."""
SOON_DAYS = 60
MAX_SHOWN = 12
SPARE_FILES = 1_000
"""Beside those of its connections."""
SYSTEMCTL_S = 60
RELOADED_WITHIN_S, AGAIN_S = 30.0, 0.25
"""A NATS server with 10,000 users needs 3 s to read its configuration (seen on two busy cores)."""

PlaceArgument = Annotated[Path | None, typer.Argument(help=say.FOLDER.en, metavar="[FOLDER]", file_okay=False)]
FolderOption = Annotated[Path | None, typer.Option("--folder", help=say_authority.FOLDER.en, file_okay=False)]
KindOption = Annotated[BrokerKind | None, typer.Option("--for", help=say.KIND.en)]

app = typer.Typer(help=say.BROKER.en, no_args_is_help=True)


@app.command(
    help=say.CONFIG.en,
    epilog=f"{say.CONFIG_EXITS.en}\n\ndoorbell-relay broker config --for mosquitto /etc/mosquitto/love-doorbell",
)
def config(
    context: typer.Context,
    folder: PlaceArgument = None,
    kind: KindOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    authority_folder: FolderOption = None,
    check: Annotated[bool, typer.Option("--check", help=say.CHECK.en)] = False,
) -> None:
    setting = enter(context, config)
    with setting.telling():
        plan = make_plan(setting, open_authority(setting, authority_folder), kind, folder)
        if check:
            outdated = plan.place.outdated(plan.files)
            if outdated:
                setting.out.print(setting.say(say.OUTDATED, folder=plan.place.folder, files=", ".join(outdated)))
                raise typer.Exit(OUTDATED)
            setting.out.print(setting.say(say.CURRENT, folder=plan.place.folder), soft_wrap=True)
            return
        first = plan.place.is_new
        written = plan.place.write(plan.files)
    tell_written(setting, plan, written)
    if first:
        tell_how_to_begin(setting, plan.place)
    elif written:
        setting.out.print(setting.say(say.THEN_RELOAD))


@app.command(help=say.RELOAD.en, epilog="doorbell-relay broker reload --systemd mosquitto.service")
def reload(
    context: typer.Context,
    folder: PlaceArgument = None,
    kind: KindOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    authority_folder: FolderOption = None,
    unit: Annotated[str | None, typer.Option("--systemd", help=say.UNIT.en, metavar="UNIT")] = None,
    pid_file: Annotated[Path | None, typer.Option("--pid-file", help=say.PID_FILE.en, dir_okay=False)] = None,
) -> None:
    setting = enter(context, config)
    with setting.telling():
        authority = open_authority(setting, authority_folder)
        plan = make_plan(setting, authority, kind, folder)
        if plan.place.outdated(plan.files):
            raise RefusalError(say.NOT_CURRENT, folder=plan.place.folder)
        make_effective(setting, authority, plan, unit, pid_file)


# ---------------------------------------------------------------------------------------------------------------------


def tell_how_to_begin(setting: Setting, place: BrokerFolder) -> None:
    """What a person does once."""
    settings, folder = place.settings, place.folder.absolute()
    match settings.kind:
        case BrokerKind.MOSQUITTO:
            text, unit = say.BEGIN_MOSQUITTO, "mosquitto.service"
        case BrokerKind.NATS:
            text, unit = say.BEGIN_NATS, "nats-server.service"
    setting.out.print(setting.say(text, folder=folder), soft_wrap=True)
    files = settings.max_connections + SPARE_FILES
    setting.out.print(setting.say(say.OPEN_FILES, unit=settings.unit or unit, files=files), soft_wrap=True)


def open_authority(setting: Setting, folder: Path | None) -> Authority:
    """The authority of the settings, or of another folder."""
    from relay.adapters.authority import Authority  # noqa: PLC0415 - the other commands need no cryptography

    settings = setting.settings.authority
    return Authority(folder or settings.directory, settings.passphrase)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a broker's folder should have in it."""

    place: BrokerFolder
    files: dict[str, bytes]
    access: Access
    own: Identity
    """The broker's."""


def make_plan(
    setting: Setting, authority: Authority, kind: BrokerKind | None = None, folder: Path | None = None
) -> Plan:
    """What follows from the settings, the register and what was issued."""
    settings = setting.settings.broker or BrokerSettings()
    if kind is not None:
        settings = settings.model_copy(update={"kind": kind})
    place = BrokerFolder(settings, folder or settings.directory)
    now = datetime.now(UTC)
    issued, certificate = authority.register(), place.certificate()
    own = next((one for one in issued if one.purpose is Purpose.BROKER and authority.is_of(one, certificate)), None)
    if own is None or not own.stands(now):
        raise RefusalError(say.OTHER_CERTIFICATE, path=place.folder / "certificate.pem")
    with setting.store() as store:
        _, register = store.load_register()
    access = access_of(register, issued, Topics(setting.settings.mqtt.prefix), now)
    files = place.wanted(own, access, authority.ca, authority.revocation_list())
    return Plan(place, files, access, own)


def tell_written(setting: Setting, plan: Plan, written: list[str]) -> None:
    """What was written, who is let in, and what somebody should look after."""
    what = setting.say(say.WRITTEN, folder=plan.place.folder, files=", ".join(written))
    setting.out.print(what if written else setting.say(say.CURRENT, folder=plan.place.folder), soft_wrap=True)
    access = plan.access
    able = [one.identity for one in access.rights if one.says]
    counts = {kind: sum(one.purpose is kind for one in able) for kind in (Purpose.DEVICE, Purpose.RELAY)}
    facts = {"devices": counts[Purpose.DEVICE], "relays": counts[Purpose.RELAY]}
    setting.out.print(setting.say(say.ALLOWED, **facts))
    for text, names in ((say.WITHOUT_IDENTITY, access.without_identity), (say.UNREGISTERED, access.unregistered)):
        if names:
            setting.warn(text, count=len(names), names=_some(names))
    ends_in_days = (plan.own.until - datetime.now(UTC)).days
    if ends_in_days < SOON_DAYS:
        setting.warn(say.CERTIFICATE_ENDS, days=ends_in_days)


def make_effective(
    setting: Setting, authority: Authority, plan: Plan, unit: str | None = None, pid_file: Path | None = None
) -> None:
    """Have the broker read its files, see that it has, and end the connections of those who were taken back since."""
    settings = plan.place.settings
    if unit is not None or (pid_file is None and settings.unit is not None):
        _reload_unit(unit or settings.unit or "")
    elif (pid_file := pid_file or settings.pid_file) is not None:
        _reload_process(pid_file)
    else:
        raise RefusalError(say.NO_WAY_TO_RELOAD)
    setting.out.print(setting.say(say.RELOADED))
    prove_read(setting, authority, plan.place, plan.own)
    _cut(setting, authority, plan)


def _cut(setting: Setting, authority: Authority, plan: Plan) -> None:
    now = datetime.now(UTC)
    issued = authority.register()
    done = plan.place.cut()
    open_still = [
        one
        for one in issued
        if one.revoked is not None and one.until >= now and one.purpose is not Purpose.BROKER and one.number not in done
    ]
    if open_still and setting.settings.mqtt.tls is None:
        raise RefusalError(say.NO_TLS)
    for one in open_still:
        passing, forget = authority.passing(one), issued.standing(one.name, now) is None
        for broker in setting.settings.mqtt.brokers():
            _throw_out(plan.place.settings.kind, broker, passing, forget=forget)
        done |= {one.number}
        plan.place.note_cut(done)
    names = sorted({one.name for one in open_still})
    setting.out.print(setting.say(say.CUT, names=_some(names)) if names else setting.say(say.NOBODY_TO_CUT))


def _throw_out(kind: BrokerKind, broker: MqttSettings, passing: Credential, *, forget: bool) -> None:
    """``RefusalError`` unless who was taken back is surely out of this broker."""
    from relay.adapters.eviction import show  # noqa: PLC0415 - nothing else speaks to a broker

    def not_cut(reason: object) -> RefusalError:
        return RefusalError(say.NOT_CUT, name=passing.line.name, host=broker.host, reason=reason)

    deadline = time.monotonic() + RELOADED_WITHIN_S
    try:
        match kind:
            case BrokerKind.MOSQUITTO:
                if not show(broker, passing, forget=forget):
                    raise not_cut(say.REFUSED)
            case BrokerKind.NATS:
                while show(broker, passing, forget=forget):
                    if time.monotonic() > deadline:
                        raise not_cut(say.STILL_IN)
                    time.sleep(AGAIN_S)
    except PeerError as error:
        raise not_cut(error.detail) from None


def _reload_unit(unit: str) -> None:
    command = ["systemctl", "reload", "--", unit]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SYSTEMCTL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RefusalError(say.RELOAD_FAILED, unit=unit, reason=error) from None
    if done.returncode != 0:
        raise RefusalError(say.RELOAD_FAILED, unit=unit, reason=done.stderr.strip() or done.returncode)


def _reload_process(pid_file: Path) -> None:
    try:
        pid = int(pid_file.read_text("ascii"))
        if pid <= 1:
            raise ValueError(pid)
        os.kill(pid, signal.SIGHUP)
    except (OSError, ValueError) as error:
        raise RefusalError(say.BAD_PID_FILE, path=pid_file, reason=error) from None


def _some(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:MAX_SHOWN]) + (f" … ({len(shown)})" if len(shown) > MAX_SHOWN else "")
