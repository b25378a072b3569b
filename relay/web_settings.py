"""The settings of the pages: the table ``[web]``."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from doorbell.settings import FilePathSetting, Settings
from relay.database import is_here
from relay.people import SessionTimes


class WebTlsSettings(Settings):
    """The certificate of the pages (PEM), with its chain, and its key."""

    certificate: FilePathSetting
    key: FilePathSetting


class OidcSettings(Settings):
    """Signing in by an OpenID provider, for accounts that have a ``subject`` there."""

    issuer: Annotated[
        str, StringConstraints(pattern=r"^(https://.+|http://(127\.0\.0\.1|localhost)(:\d+)?(/.*)?)\z", max_length=200)
    ]
    """As the provider calls itself, to the letter."""
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    client_secret_file: FilePathSetting
    """A file whose first line is the client's secret."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=40)] = "OpenID"
    """What it is called on the page."""
    ca: FilePathSetting | None = None
    """The authority that has signed the provider's certificate, if the system does not know it."""


class WebSettings(Settings):
    """The pages: ``doorbell-relay web``, a process of its own."""

    host: str = "127.0.0.1"
    """An address of this machine. Another one than loopback needs ``[web.tls]``."""
    port: int = Field(default=18843, ge=0, le=65535)
    """0 takes a free one, which the log line ``web.listening`` tells."""
    base_url: Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\[\]:-]+\z", max_length=200)] | None = (
        None
    )
    """How people reach them, such as ``https://doorbell.example.org``: without a path, and ``https`` but for this
    machine itself. It is in the QR codes of labels and in personal links. Without it, ``http://HOST:PORT``."""
    secret_file: FilePathSetting | None = None
    """What links and cookies are signed with; made if it is not there, beside the database if this does not say where
    else. With another one every link is void."""
    tls: WebTlsSettings | None = None
    """Our own certificate. Without it, a proxy on this machine that has one stands before the pages."""
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Who may say for whom it asks (``X-Forwarded-For``)."""
    idle_minutes: Annotated[int, Field(ge=5, le=24 * 60)] = 60
    """After so long without a page a browser is signed out."""
    absolute_hours: Annotated[int, Field(ge=1, le=24 * 31)] = 12
    """After so long it is in any case."""
    oidc: OidcSettings | None = None

    @model_validator(mode="after")
    def _nothing_in_clear_text(self) -> Self:
        url = urlsplit(self.base_url or "")
        if url.scheme == "http" and not is_here(url.hostname or ""):
            raise ValueError(f"base_url {self.base_url}: passwords must not cross a network in clear text: use https")
        if self.tls is None and not is_here(self.host):
            raise ValueError(
                f"host {self.host}: add [web.tls], or let the pages listen at 127.0.0.1 behind a proxy that has TLS"
            )
        return self

    def times(self) -> SessionTimes:
        """How long a session lasts."""
        return SessionTimes(self.idle_minutes * 60.0, self.absolute_hours * 3600.0)
