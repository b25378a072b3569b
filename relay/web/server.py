"""Serving the application: bounded, patient with nobody, silent about what it runs on."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from doorbell.errors import SetupError
from doorbell.service import ExitCode, on_stop_signals
from relay.web.guard import App
from relay.web_settings import WebSettings

MAX_CONNECTIONS = 128
"""More are answered 503: each costs memory, and the relay is on the same machine."""
REQUEST_S = 10.0
"""For a connection to send its first request's head; a form has as long again."""
STOP_S = 5
MAX_HEAD_BYTES = 16 * 1024

_log = structlog.get_logger("relay.web")


class ImpatientProtocol(H11Protocol):
    """uvicorn's, but whoever connects and asks for nothing is sent away: it has no limit of its own for that."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected."""
        super().connection_made(transport)
        asyncio.get_running_loop().call_later(REQUEST_S, self._send_away)

    def _send_away(self) -> None:
        asked: object = self.cycle
        if asked is None and not self.transport.is_closing():
            self.transport.close()


class PagesServer(uvicorn.Server):
    """uvicorn's, which would pass the signal that has stopped it on, and so end as if it had not stopped in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop it; a second one ends it at once."""
        on_stop_signals(self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True


def serve(app: App, listener: socket.socket, settings: WebSettings, base_url: str) -> ExitCode:
    """Serve until SIGTERM or SIGINT. Raises ``SetupError`` for a certificate that cannot be used."""
    tls: dict[str, Any] = {}
    if settings.tls is not None:
        tls = {"ssl_certfile": settings.tls.certificate, "ssl_keyfile": settings.tls.key}
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=list(settings.proxies),
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        **tls,
    )
    try:
        config.load()
        if config.ssl is not None:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    except (OSError, ssl.SSLError) as error:
        raise SetupError(f"[web.tls]: {error}") from None
    host, port = listener.getsockname()[:2]
    _log.info("web.listening", host=host, port=port, url=base_url)
    server = PagesServer(config)
    server.run(sockets=[listener])
    _log.info("web.stopped")
    return ExitCode.OK if server.started else ExitCode.BUG
