"""``doorbell-relay run``: the composition root. Starts top-down, stops in reverse, ends with a documented code."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import structlog
import typer

from doorbell.logs import configure_logs
from doorbell.mqtt import MqttLink
from doorbell.service import ExitCode, ServiceNotifier, on_stop_signals
from doorbell.wire import Channel, Topics
from relay.adapters.clock import SystemClock
from relay.adapters.notify import WebhookNotifier
from relay.adapters.store import SqlStore
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, enter, make_folder
from relay.core.register import Register
from relay.loop import Inbox, run_loop
from relay.ports import Snapshot, StoreError
from relay.runtime import RelayRuntime
from relay.settings import RelaySettings

_HEARD = (Channel.EVENT, Channel.REPORTED, Channel.ONLINE)

_log = structlog.get_logger("relay")


def run(context: typer.Context, config: ConfigOption = DEFAULT_CONFIG) -> None:
    setting = enter(context, config)
    settings = setting.settings
    configure_logs(settings.logs.format, settings.logs.level)
    make_folder(setting.database)
    raise typer.Exit(int(run_relay(settings)))


def run_relay(settings: RelaySettings) -> ExitCode:
    """Run until SIGTERM or SIGINT. Raises ``SetupError`` for what a person must repair before anything is started."""
    stop = threading.Event()
    on_stop_signals(stop.set)
    service = ServiceNotifier()
    with ExitStack() as started:
        try:
            store = _RelayStore.open(settings.database, exclusive=True)
            started.callback(store.close)
            inbox = Inbox()
            notifier = WebhookNotifier(inbox.put)
            started.callback(notifier.close)
            started.callback(service.stopping)
            while not stop.is_set():
                if not _serve(settings, store, inbox, notifier, service, stop):
                    return ExitCode.BUG
        except StoreError as error:
            _log.error("store.unusable", reason=str(error), retryable=error.retryable)
            return ExitCode.UNAVAILABLE
    _log.info("relay.stopped")
    return ExitCode.OK


def _serve(
    settings: RelaySettings,
    store: _RelayStore,
    inbox: Inbox,
    notifier: WebhookNotifier,
    service: ServiceNotifier,
    stop: threading.Event,
) -> bool:
    """Serve the communities that are registered now, until they change or the program stops. False: the link died."""
    topics = Topics(settings.mqtt.prefix)
    communities = _communities(store.load_register()[1])
    if not communities:
        _log.warning("register.empty", remedy="doorbell-relay register import FILE")
    link = MqttLink(
        settings.mqtt,
        client_id=settings.client_id,
        subscriptions=[(topics.all_of(community, channel), 1) for community in communities for channel in _HEARD],
        sink=inbox.put,
        clean_session=False,
        presence_topic=None,
    )
    runtime = RelayRuntime(store, link, notifier, SystemClock(), topics)
    runtime.start()
    link.start()
    service.ready(f"{len(communities)} communities")
    try:
        return run_loop(
            runtime,
            inbox,
            stopping=lambda: stop.is_set() or store.communities != communities,
            links=link,
            alive=_Beat(service),
        )
    finally:
        link.stop()


def _communities(register: Register) -> tuple[str, ...]:
    return tuple(sorted(register.communities))


class _RelayStore(SqlStore):
    """The store, and which communities were registered when it was last asked for the register.

    The link subscribes to its communities once; when an import adds one, its presses must be heard without waiting
    for somebody to restart the relay.
    """

    communities: tuple[str, ...] = ()

    def load(self) -> Snapshot:
        snapshot = super().load()
        self.communities = _communities(snapshot.register)
        return snapshot

    def load_register(self) -> tuple[int, Register]:
        version, register = super().load_register()
        self.communities = _communities(register)
        return version, register


class _Beat:
    """Feeds the watchdog after a turn, but not more often than it wants."""

    def __init__(self, service: ServiceNotifier) -> None:
        self._service = service
        interval_s = service.watchdog_interval_s()
        self._every_s = None if interval_s is None else interval_s / 2
        self._next = 0.0

    def __call__(self) -> None:
        if self._every_s is not None and (now := time.monotonic()) >= self._next:
            self._next = now + self._every_s
            self._service.watchdog()
