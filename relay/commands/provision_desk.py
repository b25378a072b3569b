"""What every way of making cards shares: the checks before, and register, identity and card in their order."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from doorbell.errors import SetupError
from relay.audit import AuditWord
from relay.card import Common, card_files, check_more
from relay.card_places import check_place, find_packages, write_card
from relay.commands.auditing import Told, import_detail, note, tell, write_if_made
from relay.commands.broker import make_effective, make_plan, open_authority, tell_written
from relay.commands.kept_registers import keep_register
from relay.commands.setting import Setting
from relay.core.register import Device, DeviceRole, Register
from relay.issued import Purpose, Why
from relay.provisioning import Mistake, Outcome, Wanted
from relay.register_changes import compare_registers
from relay.texts import provisioning as say
from relay.texts.refusal import RefusalError

if TYPE_CHECKING:
    from relay.adapters.authority import Authority

_KEY_WORDS = ("ssh-ed25519 ", "ssh-rsa ", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-")


@dataclass(frozen=True, slots=True)
class Desk:
    """Where cards are made."""

    setting: Setting
    authority: Authority
    common: Common

    def taken_names(self) -> set[str]:
        """Who has an identity now."""
        now = datetime.now(UTC)
        return {one.name for one in self.authority.register() if one.stands(now)}

    def refuse_mistakes(self, mistakes: Sequence[Mistake], path: Path | None = None) -> None:
        """Tell all of them, and end, if there is any."""
        setting = self.setting
        for one in mistakes:
            where = setting.say(say.LINE, path=path, line=one.line) if path is not None and one.line else ""
            told = setting.say(say.MISTAKE, where=where, key=one.key, what=setting.say(one.text, **one.fields))
            setting.err.print(told if one.key else told.replace("：", "", 1), style="red", soft_wrap=True)
        if mistakes:
            raise RefusalError(say.MISTAKES, count=len(mistakes))

    def make(self, outcome: Outcome, places: Sequence[Path], *, replacing: Why | None = None) -> None:
        """Register what is new, then issue an identity and write a card for each. Everything that can be checked was
        checked before; what fails now leaves devices that are registered and have no card, and is told so."""
        self.authority.check_signing()
        for place in places:
            check_place(place)
        if replacing is None:
            self._register(outcome.register)
        left = [one.device.id for one in outcome.wanted]
        now = datetime.now(UTC)
        try:
            for one, place in zip(outcome.wanted, places, strict=True):
                name = one.device.id
                why = replacing if self.authority.register().standing(name, now) is not None else None
                made = self.authority.issue(Purpose.DEVICE, name, replacing=why)
                instance = f"{name}-{made.line.number}"
                detail = {"for": Purpose.DEVICE.value, "name": name} | ({"replacing": why.value} if why else {})
                write_if_made(self.setting, AuditWord.IDENTITY_ISSUED, detail, device=name)
                write_card(place, card_files(one, made.files(), instance, self.common), self.common.packages)
                left.remove(name)
                self.setting.out.print(self.tell(outcome.register, one, place), soft_wrap=True)
        except SetupError:
            self.setting.warn(say.LEFT_WITHOUT, names=", ".join(left))
            raise
        self._tell_broker()

    def tell(self, register: Register, wanted: Wanted, place: Path) -> str:
        """A line about a card."""
        device = wanted.device
        role = say.ROLE_PANEL if device.role is DeviceRole.PANEL else say.ROLE_BELL
        facts = {"device": device.id, "role": role, "whose": whose(register, device), "path": place}
        return self.setting.say(say.WRITTEN, **facts)

    def _register(self, register: Register) -> None:
        with self.setting.store() as store:
            version, present = store.load_register()
            if version > 0:
                keep_register(self.setting, version, present, store.seal)

            def told(new_version: int, before: Register) -> Told:
                return tell(
                    AuditWord.REGISTER_IMPORTED, import_detail(new_version, compare_registers(before, register))
                )

            store.replace_register(register, (version, present), told)
            note(self.setting, store)

    def _tell_broker(self) -> None:
        setting = self.setting
        if setting.settings.broker is None:
            setting.out.print(setting.say(say.TELL_BROKER), soft_wrap=True)
            return
        try:
            plan = make_plan(setting, self.authority)
            tell_written(setting, plan, plan.place.write(plan.files))
            make_effective(setting, self.authority, plan)
        except RefusalError as refusal:
            setting.warn(say.BROKER_NOT_TOLD, reason=setting.say(refusal.text, **refusal.fields))


def open_desk(setting: Setting, folder: Path | None) -> Desk:
    """Read all that cards need. ``RefusalError`` for what is missing."""
    settings = setting.settings.provision
    hosts, port = _reached(setting)
    files = {DeviceRole.PANEL: settings.panel, DeviceRole.BELL: settings.bell}
    common = Common(
        settings=settings,
        hosts=hosts,
        port=port,
        prefix=setting.settings.mqtt.prefix,
        ssh_keys=_keys(settings.ssh_keys),
        more={role: check_more(path, _read(path)) for role, path in files.items() if path is not None},
        packages=find_packages(settings.packages),
    )
    return Desk(setting, open_authority(setting, folder), common)


def whose(register: Register, device: Device) -> str:
    """For a person at this terminal: the household's label and place, or the volunteer's name."""
    if device.household is not None:
        home = register.households[device.household]
        return f"{home.label} {home.place}".strip()
    return register.people[device.person].name if device.person is not None else ""


def _reached(setting: Setting) -> tuple[tuple[str, ...], int]:
    settings, mqtt = setting.settings.provision, setting.settings.mqtt
    if settings.hosts:
        return settings.hosts, settings.port
    hosts = tuple(broker.host for broker in mqtt.brokers())
    if mqtt.tls is None or any(_is_here(host) for host in hosts):
        raise RefusalError(say.NO_HOSTS)
    return hosts, mqtt.port


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _keys(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    found = []
    for number, line in enumerate(_read(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(_KEY_WORDS):
            raise RefusalError(say.BAD_KEYS, path=path, line=number)
        found.append(line.strip())
    return tuple(found)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusalError(say.CANNOT_READ, path=path, reason=error) from None
