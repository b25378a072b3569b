"""See to it that somebody who was taken back is out of a broker, whether or not it lets those stay who are in.

MQTT ends a session's older connection when a newer one takes its client id. So a certificate under the same name is
made that lives for a quarter of an hour, and shown to the broker once. Where a list of revoked certificates keeps the
others of that name out (mosquitto), it is let in, which ends the connection of who was there. Where the name with its
number is no user any more (NATS), it must be refused as they are: or the broker has not read its configuration yet.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doorbell.errors import PeerError
from doorbell.reasons import explain_error
from doorbell.settings import MqttSettings, TlsSettings
from doorbell.tls import tls_context
from relay.adapters.authority import Credential
from relay.whole_files import make_folder_whole

WITHIN_S = 15.0
"""For a broker on the same network; one that was just told to read its configuration again may be busy with it."""
REFUSES_WITHIN_S = 1.5
"""TLS 1.3 has a server say no after the client's part is done. NATS ends who says nothing for 2 s."""
KEEPALIVE_S = 30
CONNACK = b"\x20\x02"
_CONNECT, _DISCONNECT = 0x10, b"\xe0\x00"
_CLEAN = 0x02


def show(broker: MqttSettings, credential: Credential, *, forget: bool) -> bool:
    """Connect with this certificate under its own name, and leave again: whether it was let in.

    ``forget``: end its session too, with all that was kept for it. Raises ``PeerError`` with plain words where the
    broker does not answer, or ends the connection without an answer.
    """
    try:
        answer = _knock(broker, credential, forget=forget)
    except OSError as error:
        raise PeerError("no_answer", explain_error(error, broker, WITHIN_S)) from None
    if len(answer) < 4 or answer[:2] != CONNACK:
        raise PeerError("no_answer", "the connection was ended without an answer")
    return answer[3] == 0


def is_admitted(broker: MqttSettings, credential: Credential) -> bool:
    """Whether the broker lets this certificate in, as far as TLS tells. No MQTT is said: nobody's session is touched.

    Raises ``PeerError`` with plain words where it does not answer, or is not the one we trust.
    """
    try:
        with calling(broker, credential) as tls:
            tls.settimeout(REFUSES_WITHIN_S)
            return bool(tls.recv(1))
    except TimeoutError:
        return True
    except ssl.SSLCertVerificationError as error:
        raise PeerError("no_answer", explain_error(error, broker, WITHIN_S)) from None
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        return False
    except OSError as error:
        raise PeerError("no_answer", explain_error(error, broker, WITHIN_S)) from None


def _knock(broker: MqttSettings, credential: Credential, *, forget: bool) -> bytes:
    with calling(broker, credential) as tls:
        tls.sendall(connect_packet(f"{credential.line.name}-{credential.line.number}", forget=forget))
        answer = tls.recv(4)
        tls.sendall(_DISCONNECT)
        return answer


@contextmanager
def calling(broker: MqttSettings, credential: Credential) -> Iterator[ssl.SSLSocket]:
    """TLS with this certificate, which is on a disk only until it is read."""
    with tempfile.TemporaryDirectory(prefix="doorbell-") as folder:
        place = Path(folder) / "identity"
        make_folder_whole(place, credential.files())
        server_name = broker.tls.server_name if broker.tls is not None else None
        own = TlsSettings(
            ca=place / "ca.pem",
            certificate=place / "certificate.pem",
            key=place / "key.pem",
            server_name=server_name,
        )
        context = tls_context(own, broker.host)
    with (
        socket.create_connection((broker.host, broker.port), timeout=WITHIN_S) as sock,
        context.wrap_socket(sock) as tls,
    ):
        yield tls


def connect_packet(client_id: str, *, forget: bool) -> bytes:
    """CONNECT of MQTT 3.1.1, section 3.1; the name is short enough for a length of one byte."""
    flags = _CLEAN if forget else 0
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04" + bytes([flags]) + KEEPALIVE_S.to_bytes(2, "big") + len(name).to_bytes(2, "big") + name
    return bytes([_CONNECT, len(body)]) + body
