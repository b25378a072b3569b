"""``doorbell-relay authority renew``: the certificates of the relay and the broker whose files are on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from doorbell.errors import PeerError
from doorbell.settings import MqttSettings
from relay.audit import AuditWord
from relay.broker_files import CERTIFICATE, KEY
from relay.commands.broker import FolderOption, make_effective, make_plan, open_authority, tell_written
from relay.commands.broker_proof import shows_another
from relay.commands.identities import local_date, warn_of_end, write_identity
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, Setting, enter
from relay.identity_files import IdentityFiles
from relay.issued import Identity, Issued, Purpose
from relay.texts import renewing as say
from relay.texts.refusal import RefusalError

if TYPE_CHECKING:
    from relay.adapters.authority import Authority, Credential

BEGIN = 2 / 3
"""Of its life, as devices do: a year's certificate is renewed in its last four months and a half."""
LEAST_GAIN = timedelta(days=30)
"""Near the issuing authority's end a new certificate ends with it: a new key each day would be for nothing."""


@dataclass(frozen=True, slots=True)
class OwnIdentity:
    """An identity whose files are on this machine, and the certificate that is in them."""

    files: IdentityFiles
    identity: Identity
    line: Issued
    brokers: tuple[MqttSettings, ...] = ()
    """To which it is shown, if it is a relay's."""

    def is_due(self, now: datetime) -> bool:
        """Whether two thirds of the certificate's life are over."""
        return now >= self.line.since + BEGIN * (self.line.until - self.line.since)


def renew(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    folder: FolderOption = None,
    force: Annotated[bool, typer.Option("--force", help=say.FORCE.en)] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say.DRY_RUN.en)] = False,
) -> None:
    setting = enter(context, config)
    with setting.telling():
        authority = open_authority(setting, folder)
        warn_of_end(setting, authority)
        found = _own_identities(setting, authority)
        due = [one for one in found if _is_to_be_renewed(setting, authority, one, force=force)]
        if dry_run:
            return
        if due:
            authority.check_signing()
        for one in due:
            if one.identity.purpose is Purpose.BROKER:
                _replace(setting, one, authority.reissue(one.identity))
        failure = None
        if setting.settings.broker is not None:
            try:
                # First: a relay's new certificate may be signed by an authority that the broker has yet to hear of.
                _bring_to_the_broker(setting, authority, due)
            except RefusalError as refusal:
                failure = refusal
        for one in due:
            if one.identity.purpose is not Purpose.BROKER:
                made = authority.reissue(one.identity)
                _ask_brokers(setting, one, made)
                _replace(setting, one, made)
                setting.out.print(setting.say(say.RELAY_TAKES_IT))
        if failure is not None:
            raise failure


def _own_identities(setting: Setting, authority: Authority) -> list[OwnIdentity]:
    """The broker's comes first."""
    places: dict[IdentityFiles, list[MqttSettings]] = {}
    if (broker := setting.settings.broker) is not None:
        places[IdentityFiles(broker.directory / CERTIFICATE, broker.directory / KEY)] = []
    for mqtt in setting.settings.mqtt.brokers():
        if mqtt.tls is not None and (certificate := mqtt.tls.certificate) is not None:
            places.setdefault(IdentityFiles(certificate, mqtt.tls.key or certificate), []).append(mqtt)
    if not places:
        raise RefusalError(say.NOTHING_HERE)
    issued = list(authority.register())
    found = []
    for files, shown_to in places.items():
        try:
            chain = files.chain()
        except OSError as error:
            raise RefusalError(say.CANNOT_READ, path=files.certificate, reason=error.strerror) from None
        own = next((one for one in issued if one.revoked is None and authority.is_of(one, chain)), None)
        if own is None:
            setting.warn(say.NOT_OURS, path=files.certificate)
        else:
            found.append(OwnIdentity(files, own, authority.line_of(own, chain), tuple(shown_to)))
    return found


def _is_to_be_renewed(setting: Setting, authority: Authority, one: OwnIdentity, *, force: bool) -> bool:
    now, until = datetime.now(UTC), local_date(one.line.until)
    if not force and not one.is_due(now):
        setting.out.print(setting.say(say.NOT_DUE, name=one.identity.name, until=until))
        return False
    if not force and authority.would_last(now) - one.line.until < LEAST_GAIN:
        issuing = local_date(authority.issuing[-1].until)
        setting.warn(say.NO_GAIN, name=one.identity.name, until=until, issuing=issuing)
        return False
    setting.out.print(setting.say(say.IS_DUE, name=one.identity.name, until=until))
    return True


def _replace(setting: Setting, one: OwnIdentity, made: Credential) -> None:
    name, path = made.line.name, one.files.certificate
    try:
        one.files.replace(made.chain, made.key or b"")
    except OSError as error:
        raise RefusalError(say.NOT_WRITTEN, name=name, path=path, reason=error.strerror) from None
    setting.out.print(setting.say(say.RENEWED, name=name, until=local_date(made.line.until), path=path), soft_wrap=True)
    write_identity(setting, AuditWord.IDENTITY_ISSUED, made.line.purpose, name, {"renewing": True})


def _bring_to_the_broker(setting: Setting, authority: Authority, renewed: list[OwnIdentity]) -> None:
    """Have it read its files, if it was given other ones: now, or by a run of this that did not come so far."""
    plan = make_plan(setting, authority)
    new = any(one.identity.purpose is Purpose.BROKER for one in renewed)
    outdated = bool(renewed) and bool(plan.place.outdated(plan.files))
    if new or outdated or shows_another(setting, plan.place):
        tell_written(setting, plan, plan.place.write(plan.files))
        make_effective(setting, authority, plan)


def _ask_brokers(setting: Setting, one: OwnIdentity, made: Credential) -> None:
    from relay.adapters.eviction import is_admitted  # noqa: PLC0415 - nothing else speaks to a broker

    for broker in one.brokers:
        try:
            if not is_admitted(broker, made):
                raise RefusalError(say.NEW_REFUSED, name=made.line.name, host=broker.host)
        except PeerError as error:
            if made.line.issuer != one.line.issuer:  # it may not know who has signed it
                raise RefusalError(say.NOT_ASKED, host=broker.host, reason=error.detail) from None
            setting.warn(say.NOT_ASKED, host=broker.host, reason=error.detail)
