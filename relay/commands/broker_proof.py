"""Whether a broker on this machine has really read what lies in its folder."""

from __future__ import annotations

from doorbell.dial import ask_chain
from doorbell.errors import SetupError
from doorbell.settings import MqttSettings, TlsSettings
from relay.broker_files import BrokerFolder
from relay.broker_settings import BrokerSettings
from relay.commands.setting import Setting
from relay.issued import BROKER_ALIAS

ASK_S = 10.0
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
    from relay.adapters.authority import x509  # noqa: PLC0415 - the other commands need no cryptography

    try:
        shown = ask_chain(local_broker(setting, place), ASK_S)
    except (OSError, ValueError, SetupError):
        return False
    return x509.der_of(place.certificate()) != shown[0]
