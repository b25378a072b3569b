"""TLS of the link: 1.2 or newer, one named authority, our own certificate if there is one."""

from __future__ import annotations

import ssl
import time
from typing import Any

from doorbell.errors import SetupError
from doorbell.settings import TlsSettings


class NamedContext(ssl.SSLContext):
    """Checks the certificate against ``expected_name``, if there is one, instead of the address that was dialled."""

    expected_name: str | None = None
    deadline_s: float | None = None
    """The handshake must be done by then (monotonic); None: within the socket's own timeout."""

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        if self.expected_name is not None:
            options["server_hostname"] = self.expected_name
        tls = super().wrap_socket(*args, **options)
        try:
            if self.deadline_s is not None:
                tls.settimeout(max(0.05, self.deadline_s - time.monotonic()))
            # paho would do it, and leave the socket open when it fails; a second handshake does nothing.
            tls.do_handshake()
        except OSError:
            tls.close()
            raise
        return tls


def tls_context(settings: TlsSettings, host: str | None = None) -> NamedContext:
    """A client's context from files. Made anew at every connect, so that renewed certificates need no restart.

    ``host``: the broker's name where an address is dialled that was looked up before.

    Raises ``SetupError`` that names the file which is missing, unreadable or does not fit.
    """
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.expected_name = settings.server_name or host
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
    return context


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return error.strerror or str(error)
