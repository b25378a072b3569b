"""A complete configuration of a NATS server that speaks MQTT: TLS, who may do what, limits. Text only, no I/O.

Seen with 2.15.1: ``verify_and_map`` asks the certificate's mail addresses, names and URIs first, which ours have not,
then its subject, which must be a user's name. So an identity's number is in it, and who was taken back is no user any
more; a reload ends their connection, and nobody else's. There are no lists of revoked certificates.

A configuration that it does not take is told by its log alone, so the broker itself is a user, who may use one topic:
the *mark*, named by what is in all the files (``relay.broker_rights``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from relay.broker_rights import CONFIGURATION, MAX_PACKET_BYTES, Rights, mark_topic
from relay.broker_settings import BrokerSettings, ClusterSettings
from relay.issued import BROKER_ALIAS, Identity

MAX_ACK_PENDING, ACK_WAIT, SYNC_INTERVAL = 2_000, "5s", "1s"
"""As the embedded broker has them, and sim/broker.py says why."""
MAX_SUBSCRIPTIONS = 64
"""Of one client: a relay has five, of which the server makes two each."""
HANDSHAKE_S = 5
"""Who has not shown a certificate by then is cut off."""
MAX_STORE = 8 * 1024**3
"""Of sessions, retained messages and what waits for a relay that is down (bytes)."""


def nats_files(
    settings: BrokerSettings, folder: Path, rights: Iterable[Rights], own: Identity, beside: Mapping[str, bytes]
) -> dict[str, bytes]:
    """The files that make it. ``own``: the broker's identity; ``beside``: the authority's certificate."""
    everybody = [*rights]
    topic = mark_topic({CONFIGURATION: nats_configuration(settings, folder, everybody).encode(), **beside})
    everybody.append(Rights(own, says=(topic,), hears=(topic,)))
    return {CONFIGURATION: nats_configuration(settings, folder, everybody).encode(), **beside}


def nats_configuration(settings: BrokerSettings, folder: Path, rights: Iterable[Rights]) -> str:
    """The one file that makes it; certificates come beside it. JSON is a subset of the server's own language."""
    data = settings.data or Path("/var/lib/nats")
    configuration: dict[str, Any] = {
        "server_name": settings.server_name,
        # Its own protocol cannot be switched off: any free port of this machine, where no user may enter.
        "host": "127.0.0.1",
        "port": -1,
        "jetstream": {"store_dir": str(data), "sync_interval": SYNC_INTERVAL, "max_file_store": MAX_STORE},
        "max_connections": settings.max_connections,
        "max_payload": MAX_PACKET_BYTES,
        "max_subscriptions": MAX_SUBSCRIPTIONS,
        "mqtt": {
            "host": settings.listen,
            "port": settings.port,
            "max_ack_pending": MAX_ACK_PENDING,
            "ack_wait": ACK_WAIT,
            "tls": _tls(folder) | {"verify_and_map": True, "timeout": HANDSHAKE_S},
        },
        "authorization": {"users": [_user(one) for one in rights if one.says or one.hears]},
    }
    if settings.cluster is not None:
        configuration["cluster"] = _cluster(settings.cluster, folder)
        configuration["mqtt"]["stream_replicas"] = min(3, 1 + len(settings.cluster.others) // 2 * 2)
    how, _, path = settings.log.partition(" ")
    if how == "file":
        configuration["log_file"] = path
    elif how == "syslog":
        configuration["syslog"] = True
    return json.dumps(configuration, indent=1, ensure_ascii=False) + "\n"


def _cluster(cluster: ClusterSettings, folder: Path) -> dict[str, Any]:
    # Only a broker's certificate has this name: no device becomes a server.
    return {
        "name": "doorbell",
        "host": cluster.listen,
        "port": cluster.port,
        "routes": [f"nats://{_bracketed(host)}:{cluster.port}" for host in cluster.others],
        "authorization": {"user": BROKER_ALIAS},
        "tls": _tls(folder) | {"verify_and_map": True, "timeout": HANDSHAKE_S},
    }


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _tls(folder: Path) -> dict[str, Any]:
    return {
        "cert_file": str(folder / "certificate.pem"),
        "key_file": str(folder / "key.pem"),
        "ca_file": str(folder / "ca.pem"),
        "min_version": "1.2",
    }


def _user(one: Rights) -> dict[str, Any]:
    # A subscription of QoS 1 is served by way of a subject of the server's own.
    hears = [*map(_subject, one.hears), "$MQTT.sub.>"]
    return {
        "user": f"SERIALNUMBER={one.identity.number},CN={one.identity.name}",
        "allowed_connection_types": ["MQTT"],
        "permissions": {"publish": {"allow": [*map(_subject, one.says)]}, "subscribe": {"allow": hears}},
    }


def _subject(topic: str) -> str:
    """What a topic filter is for the server: our topics have no dot and no empty level."""
    return topic.replace("/", ".").replace("+", "*")
