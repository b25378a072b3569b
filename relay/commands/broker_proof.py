"""Whether the broker on this machine has really read what lies in its folder: neither of them says so by itself.

* The certificate: the broker shows it in a TLS handshake.
* The rights: their *mark* is a topic named by what is in all the files, so being heard there takes these very files.
* The list of revoked certificates, for mosquitto: a certificate with the serial number of one that is in the list, made
  for this, must not be let in. With a list that it cannot read mosquitto lets everybody in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from doorbell.dial import ask_chain
from doorbell.errors import PeerError, SetupError
from doorbell.reasons import explain_error
from doorbell.settings import MqttSettings, TlsSettings
from relay.broker_files import BrokerFolder
from relay.broker_settings import BrokerKind, BrokerSettings
from relay.commands.setting import Setting
from relay.issued import BROKER_ALIAS, Identity, Issued
from relay.texts import renewing as say
from relay.texts.language import Text
from relay.texts.refusal import RefusalError

if TYPE_CHECKING:
    from relay.adapters.authority import Authority

ASK_S = 10.0
READ_WITHIN_S, AGAIN_S = 30.0, 0.25
"""A broker with 10,000 users needs some seconds to read its configuration."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}


def local_broker(setting: Setting, place: BrokerFolder) -> MqttSettings:
    """How the broker of this folder is reached from its own machine: by the name that all our brokers have."""
    settings: BrokerSettings = place.settings
    own = setting.settings.mqtt.tls
    certificate, key = (None, None) if own is None else (own.certificate, own.key)
    tls = TlsSettings(ca=place.folder / "ca.pem", certificate=certificate, key=key, server_name=BROKER_ALIAS)
    return MqttSettings(host=_ANY.get(settings.listen, settings.listen), port=settings.port, tls=tls)


def shows_another(setting: Setting, place: BrokerFolder) -> bool:
    """Whether it shows another certificate than lies in its folder. False if it cannot be asked."""
    try:
        return not _shows_its_own(place, local_broker(setting, place))
    except PeerError:
        return False


def prove_read(setting: Setting, authority: Authority, place: BrokerFolder, own: Identity) -> None:
    """See that the broker has read its folder, within half a minute. ``own``: the broker's identity.

    ``RefusalError`` if it has not; a warning if nobody answers on its port, so that nothing can be said.
    """
    from relay.adapters.broker_mark import is_heard  # noqa: PLC0415 - nothing else speaks to a broker
    from relay.adapters.eviction import is_admitted  # noqa: PLC0415 - as above

    broker, deadline = local_broker(setting, place), time.monotonic() + READ_WITHIN_S
    try:
        _shows_its_own(place, broker)
    except PeerError as error:
        setting.warn(say.NOT_PROVED, reason=error.detail)
        return
    try:
        _await(lambda: _shows_its_own(place, broker), deadline, say.SHOWS_ANOTHER)
        topic, passing = place.mark(), authority.passing(own)
        _await(lambda: is_heard(broker, passing, topic), deadline, say.OLD_RIGHTS)
        if place.settings.kind is BrokerKind.MOSQUITTO and (line := _newest_revoked(authority)) is not None:
            twin = authority.twin(line)
            _await(lambda: not is_admitted(broker, twin), deadline, say.OLD_LIST)
    except PeerError as error:
        raise RefusalError(say.NOT_READ, what=error.detail) from None
    setting.out.print(setting.say(say.PROVED))


def _await(proof: Callable[[], bool], deadline: float, otherwise: Text) -> None:
    while not proof():
        if time.monotonic() > deadline:
            raise RefusalError(otherwise)
        time.sleep(AGAIN_S)


def _shows_its_own(place: BrokerFolder, broker: MqttSettings) -> bool:
    """``PeerError`` if it cannot be asked."""
    from relay.adapters.authority import x509  # noqa: PLC0415 - the other commands need no cryptography

    try:
        shown = ask_chain(broker, ASK_S)
    except SetupError as error:
        raise PeerError("no_answer", str(error)) from None
    except (OSError, ValueError) as error:
        raise PeerError("no_answer", explain_error(error, broker, ASK_S)) from None
    return x509.der_of(place.certificate()) == shown[0]


def _newest_revoked(authority: Authority) -> Issued | None:
    """A certificate that is in the list, if there is any."""
    now = datetime.now(UTC)
    register = authority.register()
    taken = [found for one in authority.issuing if one.until > now for found in register.revoked_by(one.number, now)]
    return max(taken, key=lambda found: found[1].at)[0] if taken else None
