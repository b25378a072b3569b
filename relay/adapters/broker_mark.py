"""Whether a message on a topic comes back to who has sent it, so that the broker knows them by both rights there.

A handful of MQTT 3.1.1 by hand, as in ``relay.adapters.eviction``.
"""

from __future__ import annotations

import ssl

from doorbell.errors import PeerError
from doorbell.reasons import explain_error
from doorbell.settings import MqttSettings
from relay.adapters.authority import Credential
from relay.adapters.eviction import CONNACK, WITHIN_S, calling, connect_packet

HEARD_WITHIN_S = 1.0
_DISCONNECT = b"\xe0\x00"
_SUBACK = 0x90


def is_heard(broker: MqttSettings, credential: Credential, topic: str) -> bool:
    """Subscribe and publish there as who the certificate says; False if nothing comes back within a second.

    ``topic``: at most 100 characters. Raises ``PeerError`` with plain words where nobody answers, or a stranger.
    """
    name = topic.encode()
    named = len(name).to_bytes(2, "big") + name
    client_id = f"{credential.line.name.replace('.', '-')}-{credential.line.number}"  # NATS takes no dot in it
    message = bytes([0x30, len(named)]) + named
    try:
        with calling(broker, credential) as tls:
            tls.sendall(connect_packet(client_id, forget=True))
            if _read(tls, 4) != CONNACK + b"\x00\x00":
                return False
            tls.sendall(bytes([0x82, len(named) + 3]) + b"\x00\x01" + named + b"\x00")
            if _read(tls, 5)[:1] != bytes([_SUBACK]):
                return False
            tls.sendall(message)
            tls.settimeout(HEARD_WITHIN_S)
            heard = _read(tls, len(message)) == message
            tls.sendall(_DISCONNECT)
            return heard
    except (ssl.SSLCertVerificationError, ConnectionRefusedError) as error:
        raise PeerError("no_answer", explain_error(error, broker, WITHIN_S)) from None
    except (TimeoutError, ConnectionError, ssl.SSLError):  # it refuses us, or ends the connection of who may not
        return False


def _read(tls: ssl.SSLSocket, size: int) -> bytes:
    """So many bytes, or fewer if the other side ends it."""
    found = b""
    while len(found) < size and (part := tls.recv(size - len(found))):
        found += part
    return found
