"""A doctor's visit: the checks in their order, with the device stopped for as long as hands are on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from device.adapters.control import ControlError
from device.core.role import ButtonName
from device.doctor.clock import check_clock, read_clock
from device.doctor.console import Console
from device.doctor.contact import Wire
from device.doctor.disk import check_disk, read_disk
from device.doctor.hands import Bench, Fitted, hear_buzzer, look_at_lights, try_buttons
from device.doctor.line import Line, unanswered
from device.doctor.network import Network
from device.doctor.power import check_power
from device.doctor.running import Running
from device.doctor.service import UNIT, Service, no_interrupt, signals_as_interrupt
from device.doctor.speaker import Loudspeaker, hear_speaker
from device.doctor.words_talk import say
from device.findings import Finding, Severity
from device.options import HANDS_ON
from device.ports import Clock, HealthSource, UnavailableError
from device.settings import DaemonSettings

BACK_WITHIN_S = 20.0
"""How long a device that was started again may take to be connected."""

Finger = Callable[[ButtonName], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the technician asked for. ``checks``: the names of ``device.options.CHECKS``. ``hands``: a person is
    there. ``recorder``: an ALSA device that listens. ``force``: also while an alarm is open."""

    checks: frozenset[str]
    hands: bool
    recorder: str | None = None
    force: bool = False
    mock: bool = False


@dataclass(frozen=True, slots=True)
class Instruments:
    """Everything outside that a visit touches. ``find`` asks for the running daemon."""

    console: Console
    service: Service
    network: Network
    clock: Clock
    health: HealthSource
    loud: Loudspeaker | None
    find: Callable[[], Running | None]
    pins: Callable[[], AbstractContextManager[tuple[Bench, Finger | None]]]
    pause: Callable[[float], object]


class Visit:
    """One visit of one device. ``findings`` yields as it goes."""

    def __init__(self, settings: DaemonSettings, asked: Asked, instruments: Instruments) -> None:
        self._settings = settings
        self._asked = asked
        self._with = instruments

    def findings(self) -> Generator[Finding]:
        """All checks that were asked for, in the order in which a person walks: hands, device, line."""
        running = None
        try:
            running = self._with.find()
        except ControlError as error:
            yield unanswered(error)
        if self._asked.checks & HANDS_ON:
            yield from self._hands_on(running)
        yield from self._device()
        try:
            running = self._running_again()
        except ControlError:
            running = None  # told above
        yield from self._service(running)
        line = Line(self._settings, self._asked.checks, self._with.network, self._with.clock, self._with.health)
        yield from line.findings(running)

    # --- hands ------------------------------------------------------------------------------------------------------

    def _hands_on(self, running: Running | None) -> Iterator[Finding]:
        if not self._asked.hands:
            yield from self._not_asked()
            return
        refusal = None if running is None else self._refusal(running)
        if refusal is not None:
            yield refusal
            return
        if running is None and not self._with.service.is_active():
            yield from self._at_the_bench()
            return
        if running is None and not self._asked.force:
            # It runs and cannot be asked: it may be ringing for somebody at this moment.
            yield Finding("service", "unasked", Severity.WARNING)
            return
        if not self._with.console.ask(say("may_stop")):
            yield Finding("service", "left_running", Severity.NOTE)
            return
        yield from self._while_stopped()

    def _refusal(self, running: Running) -> Finding | None:
        """Why the running device must not be stopped now, None if it may."""
        state: dict[str, Any] = running.state
        if not self._with.service.is_active():
            return Finding("service", "by_hand", Severity.WARNING)
        if self._asked.force:
            return None
        if state["stage"] != "idle" or state["sounding"]:
            return Finding("service", "alarm_open", Severity.WARNING, {"stage": state["stage"]})
        if state["outbox"]:
            return Finding("service", "outbox_waiting", Severity.WARNING, {"outbox": state["outbox"]})
        return None

    def _while_stopped(self) -> Iterator[Finding]:
        """Stop, hands on, start again: whatever happens in between, a Ctrl-C too."""
        service, tell = self._with.service, self._with.console.tell
        failed: str | None = None
        with signals_as_interrupt():
            tell([say("stopping")])
            refused: str | None = None
            try:
                refused = service.stop()
                if refused is None:
                    yield from self._at_the_bench()
            finally:
                with no_interrupt():
                    if refused is None or not service.is_active():
                        tell([say("starting")])
                        failed = service.start()
                    if failed is not None:
                        # At once, too: after a Ctrl-C nobody reads findings any more.
                        tell([f"!! {failed}: sudo systemctl start {UNIT}"])
            if refused is not None:
                yield Finding("service", "not_stopped", Severity.WARNING, {"reason": refused})
            if failed is not None:
                yield Finding("service", "not_started", Severity.FAILURE, {"reason": failed, "unit": UNIT})
            elif refused is None:
                yield Finding("service", "started", Severity.OK)

    def _at_the_bench(self) -> Iterator[Finding]:
        checks, console = self._asked.checks, self._with.console
        fitted = fitted_of(self._settings)
        if checks & {"button", "light", "buzzer"}:
            try:
                with self._with.pins() as (bench, finger):
                    if "button" in checks:
                        yield from try_buttons(bench, fitted, console, finger)
                    if "light" in checks:
                        yield from look_at_lights(bench, fitted, console)
                    if "buzzer" in checks:
                        yield hear_buzzer(bench, fitted, console)
            except UnavailableError as error:
                yield Finding("pins", "unavailable", Severity.FAILURE, {"reason": str(error)})
        if "speaker" in checks:
            yield self._speaker(console)

    def _speaker(self, console: Console | None) -> Finding:
        return hear_speaker(self._with.loud, self._settings.sound.volume, console, self._asked.recorder)

    def _not_asked(self) -> Iterator[Finding]:
        for check in ("button", "light", "buzzer"):
            if check in self._asked.checks:
                yield Finding(check, "not_asked", Severity.NOTE)
        if "speaker" in self._asked.checks:
            yield self._speaker(None)

    # --- the device -------------------------------------------------------------------------------------------------

    def _device(self) -> Iterator[Finding]:
        checks, health, limits = self._asked.checks, self._with.health.read(), self._settings.wellness()
        if "clock" in checks:
            yield from check_clock(read_clock(self._with.clock))
        if "disk" in checks:
            yield from check_disk(read_disk(self._settings.state_dir, health), limits)
        if "power" in checks:
            yield from check_power(health, limits)

    def _running_again(self) -> Running | None:
        """The daemon; one that was just started is given time to connect."""
        if not self._with.service.is_active():
            return self._with.find()
        deadline = time.monotonic() + BACK_WITHIN_S
        while True:
            running = self._with.find()
            if (running is not None and running.state.get("link")) or time.monotonic() > deadline:
                return running
            self._with.pause(0.5)

    def _service(self, running: Running | None) -> Iterator[Finding]:
        if running is not None:
            yield Finding("service", "running", Severity.OK)
            for told in running.state.get("faults", []):
                code, _, subject = str(told).partition(" ")
                yield Finding("service", "fault", Severity.WARNING, {"fault": code, "subject": subject})
        elif not self._asked.mock and not self._with.service.is_active():
            yield Finding("service", "not_running", Severity.FAILURE, {"unit": UNIT})


def fitted_of(settings: DaemonSettings) -> Fitted:
    """What the hands-on part needs of the settings."""
    wiring = settings.wiring()
    return Fitted(
        role=settings.role,
        wires=tuple(Wire(name, line) for name, line in wiring.buttons.items()),
        lamps=wiring.light,
        colours=settings.light_colours() if len(wiring.light) > 1 else None,
        buzzer=wiring.buzzer,
        stable_ms=settings.button.stable_ms,
    )
