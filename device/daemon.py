"""The composition root of ``doorbell-device run``: starts top-down, stops in reverse."""

from __future__ import annotations

import ctypes
import fcntl
import random
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib import metadata
from pathlib import Path

import structlog

from device.adapters.clock import SystemClock
from device.adapters.gpio import GpioPins, open_factory
from device.adapters.health import SystemHealth
from device.adapters.identity import IdentityFolder
from device.adapters.outbox import SqliteOutbox, make_state_dir
from device.adapters.sound import Speaker
from device.controlling import serve_control
from device.loop import Inbox, run_device
from device.ports import Ports, UnavailableError
from device.repertoire import SpeakerOptions
from device.runtime import DeviceRuntime, RuntimeSettings
from device.settings import DaemonSettings
from device.timely import TimelyOutbox
from doorbell.broker_order import Need
from doorbell.clock_doubt import ClockDoubt
from doorbell.mqtt import MqttLink, Papers
from doorbell.service import ExitCode, ServiceNotifier, on_stop_signals
from doorbell.wire import Channel, Topics

_STOP_LINK_S = 3.0
"""How long saying ``offline`` may take; after it the last will says it."""

_log = structlog.get_logger("device.daemon")


def run_daemon(settings: DaemonSettings, *, mock: bool, control: Path) -> ExitCode:
    """Run a device until SIGTERM or SIGINT. ``control``: the socket of the control line.

    Raises ``SetupError`` if a path or a certificate cannot be used, ``UnavailableError`` if the pins or the state
    directory cannot be had now.
    """
    inbox, clock, notifier = Inbox(), SystemClock(), ServiceNotifier()
    began_ms = clock.monotonic_ms()
    on_stop_signals(inbox.stop)
    with ExitStack() as stack:
        _own_state_dir(settings.state_dir, stack)
        pins = GpioPins(
            open_factory(settings.state_dir, mock=mock),
            settings.wiring(),
            colours=settings.light_colours(),
            sink=inbox.put_edge,
            now_ms=clock.monotonic_ms,
        )
        stack.callback(pins.close)
        outbox = settings.state_dir / "outbox.sqlite3"
        store = TimelyOutbox(SqliteOutbox(outbox))
        stack.callback(store.close)
        speaker = _speaker(settings, pins, clock, inbox)
        stack.callback(speaker.close)
        identity = IdentityFolder(
            settings.state_dir,
            settings.mqtt.tls,
            settings.device,
            sink=inbox.put_key,
            reconnect=lambda reason: link.reconnect(reason),  # noqa: PLW0108 - the link is made with it, below
        )
        link = _link(settings, inbox, clock, need=lambda: runtime.need(), papers=identity.shown)  # noqa: PLW0108 - the same
        runtime = DeviceRuntime(
            RuntimeSettings(
                device=settings.device,
                community=settings.community,
                role=settings.role,
                firmware=metadata.version("love-doorbell")[:40],
                topics=Topics(settings.mqtt.prefix),
                limits=settings.limits(),
                wellness=settings.wellness(),
            ),
            Ports(
                clock=clock,
                link=link,
                store=store,
                pins=pins,
                sound=speaker,
                health=SystemHealth(settings.state_dir),
                chance=random.SystemRandom(),
                identity=identity,
            ),
        )
        tell = serve_control(
            control,
            stack,
            mock=mock,
            runtime=runtime,
            inbox=inbox,
            pins=pins,
            speaker=speaker,
            clock=clock,
            state_dir=settings.state_dir,
            outbox=outbox,
        )
        speaker.start()
        link.start()
        stack.callback(link.stop, _STOP_LINK_S)
        stack.callback(notifier.stopping)
        runtime.turn()
        tell()
        notifier.ready(f"{settings.role.value} {settings.device}")
        _log.info(
            "device.armed",
            device=settings.device,
            role=settings.role.value,
            start_ms=clock.monotonic_ms() - began_ms,
            outbox=runtime.snapshot().outbox,
        )
        _give_memory_back()
        code = run_device(
            runtime,
            inbox,
            clock,
            notifier=notifier,
            alive=lambda: link.alive() and pins.healthy() and speaker.alive() and store.alive(),
            after_turn=tell,
        )
        _log.info("device.stopping", code=int(code))
    return code


def _give_memory_back() -> None:
    """What imports and models have used and freed again, about 4 MB, glibc keeps unless it is asked."""
    with suppress(OSError, AttributeError):  # another C library: nothing to ask
        ctypes.CDLL(None).malloc_trim(0)


def _own_state_dir(state_dir: Path, stack: ExitStack) -> None:
    """Two daemons with one outbox would send each event twice and forget each other's."""
    try:
        make_state_dir(state_dir)
        lock = stack.enter_context((state_dir / "lock").open("w"))
    except OSError as error:
        # A press must go out even from a Pi whose card has turned read-only: then nobody else can write either.
        _log.warning("device.state_dir_unwritable", reason=error.strerror)
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UnavailableError(f"{state_dir}: another device is running in this state_dir; stop it first") from None


def _speaker(settings: DaemonSettings, pins: GpioPins, clock: SystemClock, inbox: Inbox) -> Speaker:
    sound = settings.sound

    def quiet() -> bool:
        # A clock that NTP has not set knows no night.
        return clock.synced() and sound.quiet_at(clock.wall().astimezone().time())

    options = SpeakerOptions(
        player=None if sound.player == "none" else sound.player,
        role=settings.role,
        percent=sound.volume,
        language=sound.language,
        chime=sound.chime,
        voice=sound.voice != "none",
        recordings=sound.recordings,
        quiet=quiet,
        quiet_percent=sound.quiet_volume,
    )
    return Speaker(options, settings.state_dir / "sounds", buzzer=pins.buzzer, sink=inbox.put_sound)


def _link(
    settings: DaemonSettings, inbox: Inbox, clock: SystemClock, *, need: Callable[[], Need], papers: Papers
) -> MqttLink:
    topics = Topics(settings.mqtt.prefix)
    return MqttLink(
        settings.mqtt,
        client_id=settings.mqtt.client_id or settings.device,
        subscriptions=[
            (topics.of(settings.community, settings.device, Channel.DESIRED), settings.mqtt.receive_qos),
            (topics.peers_of(settings.community, settings.device), settings.mqtt.receive_qos),
        ],
        sink=inbox.put_link,
        clean_session=True,
        presence_topic=topics.of(settings.community, settings.device, Channel.ONLINE),
        doubt=ClockDoubt(clock.synced),
        need=need,
        papers=papers,
    )
