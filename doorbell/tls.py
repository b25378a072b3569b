"""TLS of the link: 1.2 or newer, one named authority, our own certificate if there is one."""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from typing import Any

import structlog

from doorbell.clock_doubt import ClockDoubt
from doorbell.errors import SetupError
from doorbell.settings import TlsSettings

_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python does not name: no certificate's begin or end is looked at."""
_DER = 2
"""CPython's ``_ssl.ENCODING_DER``."""
_EXPIRED, _NOT_YET_VALID = 10, 9
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED and X509_V_ERR_CERT_NOT_YET_VALID."""

_log = structlog.get_logger("doorbell.tls")


class NamedContext(ssl.SSLContext):
    """Checks the certificate against ``expected_name``, if there is one, instead of the address that was dialled."""

    expected_name: str | None = None
    deadline_s: float | None = None
    """The handshake must be done by then (monotonic); None: within the socket's own timeout."""
    doubt: ClockDoubt | None = None
    surely_past: datetime | None = None
    """Set where the clock may not judge: what has ended before it is refused all the same."""

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        options["do_handshake_on_connect"] = False
        if self.expected_name is not None:
            options["server_hostname"] = self.expected_name
        tls = super().wrap_socket(*args, **options)
        try:
            if self.deadline_s is not None:
                tls.settimeout(max(0.05, self.deadline_s - time.monotonic()))
            # paho would do it, and leave the socket open when it fails; a second handshake does nothing.
            tls.do_handshake()
            if self.surely_past is not None:
                _refuse_ended(tls, self.surely_past)
        except ssl.SSLCertVerificationError as error:
            tls.close()
            # OpenSSL comes to the times only when signature and name are right: a stranger cannot say this.
            if error.verify_code == _NOT_YET_VALID and self.doubt is not None:
                self.doubt.seen_not_yet_valid()
            raise
        except OSError:
            tls.close()
            raise
        return tls


def tls_context(settings: TlsSettings, host: str | None = None, doubt: ClockDoubt | None = None) -> NamedContext:
    """A client's context from files. Made anew at every connect, so that renewed certificates need no restart.

    ``host``: the broker's name where an address is dialled that was looked up before.
    ``doubt``: asked whether the wall clock may judge certificates; None: it may.

    Raises ``SetupError`` that names the file which is missing, unreadable or does not fit.
    """
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.expected_name = settings.server_name or host
    context.doubt = doubt
    try:
        context.load_verify_locations(cafile=settings.ca)
    except (OSError, ssl.SSLError) as error:
        raise SetupError(f"{settings.ca}: cannot be used as the authority (tls.ca): {_words(error)}") from None
    if settings.certificate is not None:
        key = settings.key or settings.certificate
        try:
            # A passphrase would be asked at the terminal, where nobody is.
            context.load_cert_chain(settings.certificate, key, password=lambda: b"")
        except (OSError, ssl.SSLError) as error:
            raise SetupError(
                f"{settings.certificate} with the key {key}: cannot be used as our certificate "
                f"(tls.certificate, tls.key): {_words(error)}"
            ) from None
    if doubt is not None and (past := doubt.surely_past(settings.ca, settings.certificate)) is not None:
        _log.warning("tls.clock_wrong", surely_past=past.isoformat())
        context.surely_past = past
        context.verify_flags |= _NO_CHECK_TIME
    return context


def timeless_context(settings: TlsSettings, host: str | None = None) -> NamedContext:
    """As ``tls_context``, for looking at dates and not for trusting them: all is checked but when a certificate begins
    and ends."""
    context = tls_context(settings, host)
    context.verify_flags |= _NO_CHECK_TIME
    return context


def shown_chain(tls: Any) -> tuple[bytes, ...]:
    """The chain by which the other side was believed, DER, from its own certificate to our authority's."""
    if hasattr(tls, "get_verified_chain"):  # from Python 3.13 on
        return tuple(tls.get_verified_chain())
    chain = tls._sslobj.get_verified_chain() or ()  # noqa: SLF001 - there since 3.10, and public since 3.13
    return tuple(one.public_bytes(_DER) for one in chain)


def _refuse_ended(tls: ssl.SSLSocket, surely_past: datetime) -> None:
    """OpenSSL has not looked at the times: what has ended in any case must not be accepted."""
    ends = (tls.getpeercert() or {}).get("notAfter")
    if isinstance(ends, str) and datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) >= surely_past:
        return
    error = ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, f"certificate has expired: {ends}")
    error.verify_code, error.verify_message = _EXPIRED, f"certificate has expired, at {ends}"
    raise error


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return error.strerror or str(error)
