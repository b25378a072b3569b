"""``doorbell-relay web``: the pages, as a process of their own beside the relay."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import typer

from doorbell.errors import SetupError
from doorbell.logs import configure_logs
from doorbell.service import ExitCode
from relay.commands.auditing import head_path
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, Setting, enter

if TYPE_CHECKING:
    from relay.web_settings import WebSettings


def web(context: typer.Context, config: ConfigOption = DEFAULT_CONFIG) -> None:
    setting = enter(context, config)
    settings = setting.settings
    configure_logs(settings.logs.format, settings.logs.level)
    raise typer.Exit(int(run_web(setting)))


def run_web(setting: Setting) -> ExitCode:
    """Serve until SIGTERM or SIGINT. Raises ``SetupError`` for what a person must repair."""
    # The relay itself, and every other command, start without all this: 0.5 s and 40 MB.
    from relay.certificate_watch import CertificateWatch  # noqa: PLC0415
    from relay.figures import Figures  # noqa: PLC0415
    from relay.links import Signer, read_secret  # noqa: PLC0415
    from relay.passwords import Passwords  # noqa: PLC0415
    from relay.web.app import make_app  # noqa: PLC0415
    from relay.web.keeper import Keeper  # noqa: PLC0415
    from relay.web.pages import Pages  # noqa: PLC0415
    from relay.web.server import serve  # noqa: PLC0415

    settings = setting.settings.web
    with setting.store() as store, listen(settings) as listener:
        signer = Signer(read_secret(setting.web_secret))
        address = listener.getsockname()[:2]
        base_url = settings.base_url or default_url(settings, address[1])
        pages = Pages(store, Passwords(), signer, base_url, settings.times())
        figures = Figures()
        certificates = CertificateWatch(setting.settings.mqtt, setting.settings.authority.directory, figures)
        pages.certificates = lambda: figures.certificates
        keeper = Keeper(pages, head_path(setting))
        more = []
        if settings.oidc is not None:
            from relay.web.oidc import Provider, oidc_routes  # noqa: PLC0415 - as above

            pages.provider = settings.oidc.name
            more.append(oidc_routes(pages, Provider(settings.oidc, base_url)))
        app = make_app(pages, *more, life=keeper.beside)
        certificates.start()
        try:
            return serve(app, listener, settings, base_url)
        finally:
            certificates.close()


def listen(settings: WebSettings) -> socket.socket:
    """The listening socket. Raises ``SetupError`` if there can be none."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=128)
    except OSError as error:
        raise SetupError(f"[web] {settings.host}:{settings.port}: {error.strerror}") from None


def default_url(settings: WebSettings, port: int) -> str:
    """Where a browser on this machine finds the pages."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.tls is not None else 'http'}://{host}:{port}"
