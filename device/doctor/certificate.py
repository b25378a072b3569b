"""Certificates, the broker's and ours: valid, by our authority, for the right name, and for how long still."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from device.doctor.x509 import Certificate, read_der, read_pem
from device.findings import Finding, Severity
from doorbell.errors import SetupError
from doorbell.settings import MqttSettings, TlsSettings
from doorbell.tls import tls_context

SOON_DAYS = 30
"""Time enough for a technician's next round."""
_EXPIRED, _NOT_YET = 10, 9
_NAMES = frozenset({62, 63, 64})
"""Host name, e-mail and address mismatch."""
_FOREIGN = frozenset({2, 18, 19, 20, 21})
"""No issuer, self-signed, a self-signed one in the chain, no local issuer, an unverifiable first one: X509_V_ERR_*."""
_ALERT_WITHIN_S = 0.5
"""In TLS 1.3 a server that refuses our certificate says so after the handshake."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """How a TLS handshake with the broker went.

    ``certificate``: the broker's, None if it showed none that can be read. ``verify_code``: OpenSSL's reason to refuse
    it, 0 if it was accepted. ``alert``: the broker's reason to refuse ours. ``failure``: no TLS at all.
    """

    certificate: Certificate | None = None
    verify_code: int = 0
    reason: str = ""
    alert: str | None = None
    failure: str | None = None


def shake_hands(mqtt: MqttSettings, tls: TlsSettings) -> Handshake:
    """Connect as the daemon would; a refused certificate is fetched again, unverified, to say whose it is.

    Raises ``SetupError`` for files that cannot be used.
    """
    context = tls_context(tls)
    try:
        return _verified(mqtt, context)
    except ssl.SSLCertVerificationError as error:
        return Handshake(_shown(mqtt, tls), error.verify_code, error.verify_message)
    except ssl.SSLError as error:
        words = (error.reason or str(error)).replace("_", " ").lower()
        return Handshake(alert=words) if "alert" in words else Handshake(failure=words)
    except OSError as error:
        return Handshake(failure=error.strerror or str(error))


def check_broker_certificate(handshake: Handshake, mqtt: MqttSettings, tls: TlsSettings, now: datetime) -> Finding:
    """Which of the ways in which TLS goes wrong it is."""
    shown = handshake.certificate
    data: dict[str, object] = {"where": f"{mqtt.host}:{mqtt.port}", "reason": handshake.reason}
    if handshake.failure is not None:
        return Finding("certificate", "not_tls", Severity.FAILURE, {**data, "reason": handshake.failure})
    if handshake.alert is not None:
        return Finding("certificate", "own_refused", Severity.FAILURE, {**data, "reason": handshake.alert})
    if shown is None:
        return Finding("certificate", "broker_bad", Severity.FAILURE, {**data, "subject": "?"})
    data |= {"subject": shown.subject, "issuer": shown.issuer, "days": shown.days_left(now)}
    match handshake.verify_code:
        case 0 if shown.days_left(now) < SOON_DAYS:
            return Finding("certificate", "broker_soon", Severity.WARNING, data)
        case 0:
            return Finding("certificate", "accepted", Severity.OK, data)
        case code if code == _EXPIRED and shown.not_after <= now:
            return Finding(
                "certificate", "broker_expired", Severity.FAILURE, {**data, "days": (now - shown.not_after).days}
            )
        case code if code == _NOT_YET and shown.not_before > now:
            ahead = (shown.not_before - now).days + 1
            return Finding("certificate", "broker_not_yet", Severity.FAILURE, {**data, "days": ahead})
        case code if code in _NAMES:
            names = list(shown.names) or [shown.subject]
            host = tls.server_name or mqtt.host
            return Finding("certificate", "broker_name", Severity.FAILURE, {**data, "names": names, "host": host})
        case code if code in _FOREIGN:
            return Finding("certificate", "broker_foreign", Severity.FAILURE, {**data, "ca": authority_of(tls)})
        case _:
            return Finding("certificate", "broker_bad", Severity.FAILURE, data)


def check_own_certificate(tls: TlsSettings, device: str, now: datetime) -> Iterator[Finding]:
    """Our own: usable with its key, valid, of our authority, and with the device's id as its name."""
    if tls.certificate is None:
        yield Finding("certificate", "own_none", Severity.NOTE)
        return
    try:
        context = tls_context(tls)
        own = read_pem(tls.certificate.read_bytes())
    except (SetupError, OSError, ValueError) as error:
        yield Finding("certificate", "unusable", Severity.FAILURE, {"reason": str(error)})
        return
    data: dict[str, object] = {
        "subject": own.subject,
        "issuer": own.issuer,
        "file": str(tls.certificate),
        "device": device,
        "ca": authority_of(tls),
        "days": own.days_left(now),
    }
    if own.not_after <= now:
        yield Finding("certificate", "own_expired", Severity.FAILURE, {**data, "days": (now - own.not_after).days})
    elif own.not_before > now:
        yield Finding("certificate", "own_not_yet", Severity.FAILURE, {**data, "days": (own.not_before - now).days + 1})
    elif own.days_left(now) < SOON_DAYS:
        yield Finding("certificate", "own_soon", Severity.WARNING, data)
    elif own.subject == device:
        yield Finding("certificate", "own_good", Severity.OK, data)
    if own.subject != device:
        yield Finding("certificate", "own_name", Severity.FAILURE, data)
    if not _is_signed_by_ours(context, tls):
        yield Finding("certificate", "own_foreign", Severity.WARNING, data)


def authority_of(tls: TlsSettings) -> str:
    """The name of the authority that we trust."""
    try:
        return read_pem(tls.ca.read_bytes()).subject
    except (OSError, ValueError):
        return str(tls.ca)


def _verified(mqtt: MqttSettings, context: ssl.SSLContext) -> Handshake:
    with (
        socket.create_connection((mqtt.host, mqtt.port), timeout=mqtt.connect_timeout_s) as raw,
        context.wrap_socket(raw, server_hostname=mqtt.host) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
        tls.settimeout(_ALERT_WITHIN_S)
        with suppress(TimeoutError):  # it waits for us to begin: accepted
            tls.recv(1)
        return Handshake(None if der is None else read_der(der))


def _shown(mqtt: MqttSettings, tls: TlsSettings) -> Certificate | None:
    """The certificate that was refused; nothing is sent over this connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key or tls.certificate)
    try:
        with (
            socket.create_connection((mqtt.host, mqtt.port), timeout=mqtt.connect_timeout_s) as raw,
            context.wrap_socket(raw) as shown,
        ):
            der = shown.getpeercert(binary_form=True)
            return None if der is None else read_der(der)
    except (OSError, ValueError):
        return None


def _is_signed_by_ours(client: ssl.SSLContext, tls: TlsSettings) -> bool:
    """A handshake in memory with ourselves: a server that trusts ``tls.ca`` alone asks for our certificate.

    Dates are not its business: an expired one is told apart, so only "by whom" counts here.
    """
    assert tls.certificate is not None  # noqa: S101 - the caller has looked
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tls.certificate, tls.key or tls.certificate)
    server.load_verify_locations(tls.ca)
    server.verify_mode = ssl.CERT_REQUIRED
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):  # hello, hello and certificates, certificates and finished
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return error.verify_code not in _FOREIGN
            except ssl.SSLError:
                return True  # our own side ended it, for another reason than a stranger's signature
    return True
