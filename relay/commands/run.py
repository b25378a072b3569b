"""``doorbell-relay run``: the composition root. Starts top-down, stops in reverse, ends with a documented code."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Annotated
from uuid import uuid4

import structlog
import typer

from doorbell.logs import configure_logs
from doorbell.mqtt import MqttLink
from doorbell.service import ExitCode, ServiceNotifier, on_stop_signals
from doorbell.tls import tls_context
from doorbell.wire import Channel, Topics
from relay.adapters.clock import SystemClock
from relay.adapters.notify import WebhookNotifier
from relay.adapters.sealing import Seal
from relay.adapters.store import SqlStore
from relay.auditor import Auditor
from relay.certificate_watch import CertificateWatch
from relay.commands.renewals import signing_if_here
from relay.commands.setting import DEFAULT_CONFIG, ConfigOption, enter, make_folder
from relay.commands.status import RelayParts, open_status
from relay.commands.traces import open_traces
from relay.database import PostgresPlace
from relay.echo import Echo
from relay.figures import Figures
from relay.held import Held
from relay.inbox import Inbox
from relay.leases import LeaseDesk
from relay.loop import run_loop
from relay.ports import StoreError
from relay.privacy_key import read_keys
from relay.register_reader import RegisterReader
from relay.runtime import RelayRuntime
from relay.settings import RelaySettings
from relay.signing import Clerk
from relay.taking_up import TakeUp
from relay.texts import commands as say
from relay.tidying import keep_what_lives

SWITCH_S = 0.0005
"""How long the loop may keep the interpreter's lock from the link's thread. With Python's own 5 ms a burst of 2,000
presses took 1.16 s to ring, with this 0.72 s (docs/adr/0007)."""
_HEARD = (Channel.EVENT, Channel.REPORTED, Channel.ONLINE)

_log = structlog.get_logger("relay")


def run(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    check: Annotated[bool, typer.Option("--check", help=say.RUN_CHECK.en)] = False,
) -> None:
    setting = enter(context, config)
    settings = setting.settings
    if check:
        try_files(settings)
        setting.out.print(setting.say(say.COULD_RUN, path=config), soft_wrap=True)
        return
    configure_logs(settings.logs.format, settings.logs.level)
    make_folder(setting.database)
    raise typer.Exit(int(run_relay(settings)))


def try_files(settings: RelaySettings) -> None:
    """Read what the settings name. Raises ``SetupError`` for what cannot be used; a privacy key that is not there may
    still be made."""
    for broker in settings.mqtt.brokers():
        if broker.tls is not None:
            tls_context(broker.tls)
        broker.read_password()
    with suppress(FileNotFoundError):
        read_keys(settings.privacy.key_file)


def run_relay(settings: RelaySettings) -> ExitCode:
    """Run until SIGTERM or SIGINT. Raises ``SetupError`` for what a person must repair before anything is started.

    The link hears every community under the prefix: one that an import adds is heard at once, and brokers limit the
    subscriptions of a client (the embedded one to 32). Several relays at one broker share one PostgreSQL database, or
    each has a prefix of its own.
    """
    sys.setswitchinterval(SWITCH_S)
    stop = threading.Event()
    on_stop_signals(stop.set)
    service = ServiceNotifier()
    topics = Topics(settings.mqtt.prefix)
    with ExitStack() as started:
        try:
            shared = isinstance(settings.place(), PostgresPlace)
            place, seal = settings.place(), Seal(settings.privacy.key_file)
            store = SqlStore.open(place, exclusive=True, name=settings.name if shared else None, seal=seal)
            started.callback(store.close)
            evidence = SqlStore.open(place, seal=seal)  # connections of its own: what others must not share
            started.callback(evidence.close)
            inbox, held = Inbox(), Held(everything=not shared)
            notifier = WebhookNotifier(inbox.put)
            started.callback(notifier.close)
            echo = Echo(topics, settings.client_id, str(uuid4()), inbox.put)
            link = MqttLink(
                settings.mqtt,
                client_id=settings.client_id,
                subscriptions=[
                    *((topics.all_of("+", channel), 1) for channel in _HEARD),
                    *([(topics.all_of("+", Channel.DESIRED), 0), (echo.topic, 0)] if shared else ()),
                ],
                sink=echo.take if shared else inbox.put,
                clean_session=False,
                presence_topic=None,
                patient=True,
                need=lambda: runtime.gauges().need,
            )
            figures = Figures()
            clock, stopwatch = SystemClock(), figures.monotonic
            runtime = RelayRuntime(
                store,
                link,
                notifier,
                clock,
                topics,
                held=held,
                flush=link.flush,
                stopwatch=stopwatch,
                read_register=RegisterReader(evidence.load_register),
            )
            runtime.start()
            inbox.is_news = runtime.is_news
            link.start()
            started.callback(link.stop)
            leases = None
            if shared:
                leases = LeaseDesk(
                    store.leases(),
                    runtime,
                    settings.name,
                    times=settings.leases.times(),
                    new_run=lambda: str(uuid4()),
                    say=partial(echo.say, link),
                    silent_ms=echo.silent_ms,
                )
            auditor = Auditor(evidence, inbox.put, now=clock.now, monotonic=stopwatch)
            clerk = Clerk(evidence, signing_if_here(settings.authority), figures=figures)
            take_up = TakeUp(link, lambda: runtime.gauges().need, inbox.lengths)
            certificates = CertificateWatch(settings.mqtt, settings.authority.directory, figures)
            for worker in (auditor, clerk, certificates, take_up):
                worker.start()
                started.callback(worker.close)
            parts = RelayParts(figures, runtime, inbox, auditor, link)
            if (status := open_status(settings.status, parts)) is not None:
                started.callback(status.close)
            traced = open_traces(settings, started)
            keep_what_lives()
            service.ready()
            started.callback(service.stopping)
            if leases is not None:
                started.callback(leases.leave)  # before everything else: others wait for it
            beat = _Beat(service)
            turned = run_loop(
                runtime,
                inbox,
                stopping=stop.is_set,
                links=link,
                alive=beat,
                figures=figures,
                leases=leases,
                traced=traced,
            )
            if not turned:
                return ExitCode.BUG
        except StoreError as error:
            _log.error("store.unusable", reason=str(error), retryable=error.retryable)
            return ExitCode.UNAVAILABLE
    _log.info("relay.stopped")
    return ExitCode.OK


class _Beat:
    """Feeds the watchdog after a turn, but not more often than it wants: twice in its limit."""

    def __init__(self, service: ServiceNotifier, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._monotonic = monotonic
        self._every_s = service.watchdog_interval_s()
        self._next = monotonic()

    def __call__(self) -> None:
        if self._every_s is not None and (now := self._monotonic()) >= self._next:
            self._next = now + self._every_s
            self._service.watchdog()
