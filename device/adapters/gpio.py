"""Buttons, light and buzzer on a Raspberry Pi's header. The only module that imports gpiozero.

What is wired where is a ``Wiring``: device/pins.py has the settings and their defaults, docs/wiring.md drawings. A Pi 5
has its header on another chip, which gpiozero (2.0.1.post3 or newer) finds.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from gpiozero import Device, DigitalOutputDevice, GPIOZeroError, InputDevice
from gpiozero.pins.mock import MockFactory

from device.blinker import Blinker
from device.core.role import ButtonName
from device.core.signals import LIGHT_COLOURS, LIGHT_PATTERNS, Colour, Light
from device.ports import PinEdge, UnavailableError
from device.wiring import ButtonWire, Level, OutputWire, Pull, Wiring, lamps_of

_STEADY = 1
"""A light pattern of one number."""
_PLAUSIBLE_LAG_MS = 60_000
"""A kernel before 5.7 stamps edges with the wall clock; a stamp further from ours than this is not believed."""
_EDGE_WAIT_MS = 250
"""How long the edge of a level that was read may be under way: 1 to 3 ms on a busy Pi, far less than this always."""
_PULL_UP: dict[Pull, bool | None] = {Pull.UP: True, Pull.DOWN: False, Pull.NONE: None}

_log = structlog.get_logger("device.gpio")


def open_factory(work_dir: Path, *, mock: bool) -> Any:
    """The pin factory: gpiozero's mock one, or the one that GPIOZERO_PIN_FACTORY names, which is lgpio by default.

    ``work_dir``: where lgpio may put its notification pipe if the service manager has made no directory for such; a
    card that is read-only must not cost the pins. Without a default it would fall back, unseen, to slower libraries
    that lose edges. Raises ``UnavailableError`` where there are no pins.
    """
    if mock:
        return MockFactory()
    os.environ.setdefault("GPIOZERO_PIN_FACTORY", "lgpio")
    os.environ.setdefault("LG_WD", _pipe_dir(work_dir))
    try:
        Device.ensure_pin_factory()
    except _library_errors() as error:
        raise UnavailableError(
            f"no GPIO pins here ({type(error).__name__}: {error}); on a Raspberry Pi add the user to the group 'gpio', "
            "elsewhere start with --pins mock"
        ) from None
    return Device.pin_factory


def switch_outputs_off(factory: Any, wiring: Wiring) -> None:
    """Light and buzzer off, lines released: for the time after a daemon that was killed. A Raspberry Pi's kernel leaves
    a line as it was last driven, and a light that still says "coming" would be a lie.

    Raises ``UnavailableError`` if a line cannot be had: its daemon runs.
    """
    GpioPins(factory, Wiring({}, wiring.light, wiring.buzzer), sink=lambda _edge: None, now_ms=lambda: 0).close()


def notification_thread(factory: Any) -> threading.Thread | None:
    """lgpio's only thread that tells edges, None if this factory has no such or hides it."""
    if type(factory).__module__ != "gpiozero.pins.lgpio":
        return None
    thread = getattr(sys.modules.get("lgpio"), "_notify_thread", None)
    return thread if isinstance(thread, threading.Thread) else None


def _pipe_dir(work_dir: Path) -> str:
    """Where a pipe can be made: what systemd made in memory, else beside the outbox, else where temporary files go."""
    wanted = (os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0], str(work_dir))
    return next((one for one in wanted if one and os.access(one, os.W_OK)), tempfile.gettempdir())


def _library_errors() -> tuple[type[Exception], ...]:
    """What gpiozero and the library below raise, or its absence.

    lgpio's error is a plain ``Exception``, and importing lgpio makes its pipe at once: asked for only where loaded."""
    error = getattr(sys.modules.get("lgpio"), "error", None)
    return (GPIOZeroError, ImportError, OSError, RuntimeError, *([error] if error is not None else []))


class _Line:
    """A button's line, and what its edges have told. Written by the library's thread, read by the runtime's."""

    def __init__(self, wire: ButtonWire, device: Any) -> None:
        self.wire = wire
        self._device = device
        self._pin = device.pin
        self.told = False
        self.edges = 0
        self.doubt: tuple[int, int] | None = None
        """When a level was read that no edge had told, and how many edges there were."""

    def read(self) -> bool:
        return self.active(self._pin.state)

    def active(self, high: Any) -> bool:
        return bool(high) is (self.wire.active is Level.HIGH)

    def listen(self, callback: Callable[[Any, Any], None]) -> None:
        self._pin.bounce = None  # lgpio's filter swallows short presses; the core debounces
        self._pin.edges = "both"
        self._pin.when_changed = callback
        level = self.read()
        if not self.edges:
            self.told = level

    def close(self) -> None:
        self._device.close()


class GpioPins:
    """The ``Pins`` of a device. Edges go to ``sink`` raw, bouncing included, each with its own time.

    ``now_ms`` is the runtime's monotonic clock. ``sink`` runs on the GPIO library's only thread: it must not block
    and cannot raise; the library would be deaf afterwards. ``colours``: for a light with several lamps.
    """

    def __init__(
        self,
        factory: Any,
        wiring: Wiring,
        *,
        colours: Mapping[Light, Colour] = LIGHT_COLOURS,
        sink: Callable[[PinEdge], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._factory = factory
        self._colours = colours
        self._now_ms = now_ms
        self._readable = True
        self._deaf = False
        self._callbacks: list[Callable[[Any, Any], None]] = []  # the library keeps weak references only
        self._lines: dict[ButtonName, _Line] = {}
        self._outputs: list[tuple[OutputWire, Any]] = []
        try:
            for name, wire in wiring.buttons.items():
                self._lines[name] = _Line(wire, self._input(wire))
            for _, wire_out in wiring.outputs():
                device = DigitalOutputDevice(wire_out.pin, active_high=_is_high(wire_out), pin_factory=factory)
                self._outputs.append((wire_out, device))
        except _library_errors() as error:
            self.close()
            raise UnavailableError(f"a pin cannot be used ({error}); is another program holding it?") from None
        self._light = wiring.light
        self._light_blinker = Blinker("light", self._writer(wiring.light, wiring.light)) if wiring.light else None
        buzzer = () if wiring.buzzer is None else (wiring.buzzer,)
        self.buzzer = Blinker("buzzer", self._writer(buzzer, buzzer)) if buzzer else None
        """Toggles the buzzer; None if none is fitted."""
        self._notifier = notification_thread(factory)
        for name, line in self._lines.items():
            self._listen(name, line, sink)

    def fitted(self) -> Sequence[ButtonName]:
        """The buttons that this device has."""
        return tuple(self._lines)

    def level(self, button: ButtonName) -> bool | None:
        """Whether the button is down now; None if the line cannot be read, which ``healthy`` then says."""
        line = self._lines[button]
        try:
            active = line.read()
        except _library_errors() as error:
            if self._readable:
                _log.warning("gpio.unreadable", button=button.value, reason=str(error))
            self._readable = False
            return None
        self._readable = True
        self._compare(button, line, active)
        return active

    def show(self, light: Light) -> None:
        """Let the light say this until told otherwise; nothing if no light is fitted."""
        if self._light_blinker is not None:
            pattern = LIGHT_PATTERNS[light]
            lit = lamps_of(self._colours[light], self._light)
            self._light_blinker.blink(
                pattern if len(pattern) > _STEADY else None, steady=True, write=self._writer(self._light, lit)
            )

    def light_lit(self) -> bool:
        """Whether the light is lit at this instant."""
        return any(device.value for wire, device in self._outputs if wire in self._light)

    def healthy(self) -> bool:
        """Proof of life: the lines can be read, the library's thread runs and tells what happens, and so do those of
        light and buzzer."""
        blinkers = [one for one in (self._light_blinker, self.buzzer) if one is not None]
        told = (self._notifier is None or self._notifier.is_alive()) and not self._deaf
        return self._readable and told and all(one.alive() for one in blinkers)

    def drive(self, button: ButtonName, *, active: bool) -> None:
        """Move a mock line, as a finger would. Only with the mock factory."""
        wire = self._lines[button].wire
        pin = self._factory.pin(wire.pin)
        if active is (wire.active is Level.HIGH):
            pin.drive_high()
        else:
            pin.drive_low()

    def levels(self) -> dict[str, bool | None]:
        """Every button by name, whether it is down."""
        return {name.value: self.level(name) for name in self._lines}

    def close(self) -> None:
        """Light and buzzer off, lines released."""
        for blinker in (getattr(self, "_light_blinker", None), getattr(self, "buzzer", None)):
            if blinker is not None:
                blinker.close()
        gone = _library_errors()  # a line that cannot be reached any more must not keep the next one lit
        for _, device in self._outputs:
            with suppress(*gone):
                device.off()  # a blinker that had died has left it as it was
            with suppress(*gone):
                device.close()
        for line in self._lines.values():
            with suppress(*gone):
                line.close()

    def _input(self, wire: ButtonWire) -> Any:
        pull_up = _PULL_UP[wire.pull]
        device = InputDevice(
            wire.pin, pull_up=pull_up, active_state=True if pull_up is None else None, pin_factory=self._factory
        )
        if isinstance(self._factory, MockFactory):  # what the finger's absence does to a real line
            (device.pin.drive_low if wire.active is Level.HIGH else device.pin.drive_high)()
        return device

    def _writer(self, lamps: Sequence[OutputWire], lit: Sequence[OutputWire]) -> Callable[[bool], None]:
        """What switches ``lit`` on and off, and all others of ``lamps`` off."""
        devices = [(device, wire in lit) for wire, device in self._outputs if wire in lamps]

        def write(on: bool) -> None:
            for device, shines in devices:
                device.value = on and shines

        return write

    def _compare(self, button: ButtonName, line: _Line, active: bool) -> None:
        """A second opinion on the library: a level that changed must have been told by an edge, soon. One that was not
        is evidence until any edge comes; the press itself is not lost, the core believes the level that was read."""
        now, doubt = self._now_ms(), line.doubt  # the control line asks too, on threads of its own
        if doubt is not None:
            since_ms, edges = doubt
            if edges != line.edges:
                line.doubt = None
            elif now - since_ms >= _EDGE_WAIT_MS:
                line.doubt = None
                if not self._deaf:
                    _log.warning("gpio.deaf", button=button.value)
                self._deaf = True
        if line.doubt is None and active != line.told:
            line.doubt = (now, line.edges)

    def _listen(self, name: ButtonName, line: _Line, sink: Callable[[PinEdge], None]) -> None:
        now_ms = self._now_ms

        def on_edge(ticks: Any, state: Any) -> None:
            try:
                now = now_ms()
                at_ms = int(float(ticks) * 1000)
                plausible = now - _PLAUSIBLE_LAG_MS <= at_ms <= now
                line.told, self._deaf = line.active(state), False
                line.edges += 1
                sink(PinEdge(name, line.told, at_ms if plausible else now))
            except Exception:  # noqa: BLE001 - one exception here ends the library's only thread
                _log.exception("gpio.callback_failed", button=name.value)

        self._callbacks.append(on_edge)
        line.listen(on_edge)


def _is_high(wire: OutputWire) -> bool:
    return wire.active is Level.HIGH
