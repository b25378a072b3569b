"""A complete configuration of mosquitto 2.0: TLS, who may do what, limits. Text only, no I/O.

Seen with 2.0.11: the user name is the common name, and with ``use_username_as_clientid`` the client id too, whatever a
client calls itself; a last will needs the same right as a message; a SUBSCRIBE is granted and the ACL filters what is
delivered. SIGHUP reads ``acl_file``, ``certfile``, ``keyfile`` and ``crlfile`` again, and who is connected stays so.
What cannot be read then only the log tells: by a list that is broken everybody comes in who was taken back, by a key
that is not the certificate's nobody does.

So the rights have a *mark*: a topic, named by what is in all the files, that only the broker's own name may use. Who is
heard there has proved that the broker has read them (``relay.broker_rights``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from relay.broker_rights import CONFIGURATION, MAX_PACKET_BYTES, Rights, mark_topic
from relay.broker_settings import BrokerSettings
from relay.issued import Identity

ACL = "acl"
QUEUED_MESSAGES, QUEUED_BYTES = 200_000, 128 * 1024 * 1024
"""Of one session, which is a relay's that is down: a thousand devices for three hours. What comes after that is dropped
by the broker despite its PUBACK, counted in ``$SYS/broker/publish/messages/dropped``, and sent again by its device,
which waits for the relay's receipt and not for the broker's."""
INFLIGHT_MESSAGES = 2_000
"""A storm of presses goes to the relay without waiting for each acknowledgement; the embedded broker has the same."""


def mosquitto_files(
    settings: BrokerSettings, folder: Path, rights: Iterable[Rights], own: Identity, beside: Mapping[str, bytes]
) -> dict[str, bytes]:
    """The files that make it, by name. ``own``: the broker's identity; ``beside``: what comes with them, the
    authority's certificate and the list of revoked ones."""
    files = {CONFIGURATION: _configuration(settings, folder).encode(), ACL: _acl(rights).encode(), **beside}
    topic = mark_topic(files)
    mark = _acl([Rights(own, says=(topic,), hears=(topic,))])
    return files | {ACL: files[ACL] + b"\n" + mark.encode()}


def _configuration(settings: BrokerSettings, folder: Path) -> str:
    data = settings.data or Path("/var/lib/mosquitto")
    user = f"user {settings.user}\n" if settings.user is not None else ""
    return f"""\
# 由 doorbell-relay broker config 生成，请勿手改：改登记表或设置后重新生成。
# Written by doorbell-relay broker config. Do not edit: change the register or the settings, and write it again.
per_listener_settings false
{user}
listener {settings.port} {settings.listen}
max_connections {settings.max_connections}
set_tcp_nodelay true

# Nobody without a certificate of the community's authority; who they are is what it says, and so is their session.
tls_version tlsv1.2
cafile {folder}/ca.pem
certfile {folder}/certificate.pem
keyfile {folder}/key.pem
crlfile {folder}/revoked.pem
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
allow_zero_length_clientid false
acl_file {folder}/acl

# The largest message of the wire contract, and nothing larger.
max_packet_size {MAX_PACKET_BYTES}
max_inflight_messages {INFLIGHT_MESSAGES}
max_queued_messages {QUEUED_MESSAGES}
max_queued_bytes {QUEUED_BYTES}
# A session of who has not come for a week is given up: a relay that is gone, not one that is repaired.
persistent_client_expiration 7d

# An event is done when the relay says so: what is lost between two saves comes again.
persistence true
persistence_location {data}/
autosave_interval 60

log_dest {settings.log}
log_type error
log_type warning
log_type notice
connection_messages {"true" if settings.log_connections else "false"}
"""


def _acl(rights: Iterable[Rights]) -> str:
    return "\n".join(
        "\n".join(
            [
                f"user {one.identity.name}",
                *(f"topic write {topic}" for topic in one.says),
                *(f"topic read {topic}" for topic in one.hears),
                "",
            ]
        )
        for one in rights
        if one.says or one.hears
    )
