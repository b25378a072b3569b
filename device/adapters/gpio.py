"""Buttons, light and buzzer on a Raspberry Pi's header. The only module that imports gpiozero.

Wiring (BCM numbers; defaults, each a setting):

====== ============ ====== ==========================================================================
role   what         GPIO   between
====== ============ ====== ==========================================================================
panel  help button  17     pin 11 and ground (pin 9)
panel  OK button    27     pin 13 and ground (pin 14)
panel  light        22     pin 15, through 330 Ohm and the LED, to ground (pin 20)
bell   answer       17     pin 11 and ground (pin 9)
bell   decline      27     pin 13 and ground (pin 14)
bell   light        22     as the panel's
bell   buzzer       18     pin 12 to an active 3.3 V buzzer of at most 16 mA, else through a transistor
====== ============ ====== ==========================================================================

Buttons need no resistor: the Pi's own pull-up holds the line high, a press draws it to ground. On a lead of more than
a metre add 10 kOhm to 3.3 V and 100 nF to ground, against the interference of light switches.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from gpiozero import Device, DigitalOutputDevice, GPIOZeroError, InputDevice
from gpiozero.pins.mock import MockFactory

from device.blinker import Blinker
from device.core.role import ButtonName
from device.core.signals import LIGHT_PATTERNS, Light
from device.ports import PinEdge, UnavailableError

_STEADY = 1
"""A light pattern of one number."""
_PLAUSIBLE_LAG_MS = 60_000
"""A kernel before 5.7 stamps edges with the wall clock; a stamp further from ours than this is not believed."""

_log = structlog.get_logger("device.gpio")


def open_factory(work_dir: Path, *, mock: bool) -> Any:
    """The pin factory: gpiozero's mock one, or the one that GPIOZERO_PIN_FACTORY names, which is lgpio by default.

    ``work_dir``: where lgpio may put its notification pipe. Without a default it would fall back, unseen, to slower
    libraries that lose edges. Raises ``UnavailableError`` where there are no pins.
    """
    if mock:
        return MockFactory()
    os.environ.setdefault("GPIOZERO_PIN_FACTORY", "lgpio")
    os.environ.setdefault("LG_WD", str(work_dir))
    try:
        Device.ensure_pin_factory()
    except (GPIOZeroError, ImportError, OSError, RuntimeError) as error:
        raise UnavailableError(
            f"no GPIO pins here ({type(error).__name__}: {error}); on a Raspberry Pi add the user to the group 'gpio', "
            "elsewhere start with --pins mock"
        ) from None
    return Device.pin_factory


class GpioPins:
    """The ``Pins`` of a device. Edges go to ``sink`` raw, bouncing included, each with its own time.

    ``now_ms`` is the runtime's monotonic clock. ``sink`` runs on the GPIO library's only thread: it must not block
    and cannot raise; the library would be deaf afterwards.
    """

    def __init__(
        self,
        factory: Any,
        buttons: Mapping[ButtonName, int],
        *,
        light: int | None,
        buzzer: int | None,
        pull_up: bool,
        sink: Callable[[PinEdge], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._factory = factory
        self._pull_up = pull_up
        self._now_ms = now_ms
        self._readable = True
        self._callbacks: list[Callable[[Any, Any], None]] = []  # the library keeps weak references only
        self._inputs: dict[ButtonName, Any] = {}
        self._numbers = dict(buttons)
        self._outputs: list[Any] = []
        try:
            for name, number in buttons.items():
                self._inputs[name] = InputDevice(number, pull_up=pull_up, pin_factory=factory)
            self._light = self._output(light)
            self._buzzer = self._output(buzzer)
        except (GPIOZeroError, OSError, RuntimeError) as error:
            self.close()
            raise UnavailableError(f"a pin cannot be used ({error}); is another program holding it?") from None
        self._light_blinker = Blinker("light", self._writer(self._light)) if self._light is not None else None
        self.buzzer = Blinker("buzzer", self._writer(self._buzzer)) if self._buzzer is not None else None
        """Toggles the buzzer; None if none is fitted."""
        for name, device in self._inputs.items():
            self._listen(name, device, sink)

    def fitted(self) -> Sequence[ButtonName]:
        """The buttons that this device has."""
        return tuple(self._inputs)

    def level(self, button: ButtonName) -> bool | None:
        """Whether the button is down now; None if the line cannot be read, which ``healthy`` then says."""
        try:
            active = bool(self._inputs[button].value)
        except (GPIOZeroError, OSError, RuntimeError) as error:
            if self._readable:
                _log.warning("gpio.unreadable", button=button.value, reason=str(error))
            self._readable = False
            return None
        self._readable = True
        return active

    def show(self, light: Light) -> None:
        """Let the light say this until told otherwise; nothing if no light is fitted."""
        if self._light_blinker is not None:
            pattern = LIGHT_PATTERNS[light]
            self._light_blinker.blink(pattern if len(pattern) > _STEADY else None, steady=True)

    def light_lit(self) -> bool:
        """Whether the light is lit at this instant."""
        return self._light is not None and bool(self._light.value)

    def healthy(self) -> bool:
        """Proof of life: the lines can be read, light and buzzer threads run."""
        blinkers = [one for one in (self._light_blinker, self.buzzer) if one is not None]
        return self._readable and all(one.alive() for one in blinkers)

    def drive(self, button: ButtonName, *, active: bool) -> None:
        """Move a mock line, as a finger would. Only with the mock factory."""
        pin = self._factory.pin(self._numbers[button])
        if active == self._pull_up:
            pin.drive_low()
        else:
            pin.drive_high()

    def levels(self) -> dict[str, bool | None]:
        """Every button by name, whether it is down."""
        return {name.value: self.level(name) for name in self._inputs}

    def close(self) -> None:
        """Light and buzzer off, lines released."""
        for blinker in (getattr(self, "_light_blinker", None), getattr(self, "buzzer", None)):
            if blinker is not None:
                blinker.close()
        for device in (*self._inputs.values(), *self._outputs):
            device.close()

    def _output(self, number: int | None) -> Any:
        if number is None:
            return None
        device = DigitalOutputDevice(number, pin_factory=self._factory)
        self._outputs.append(device)
        return device

    @staticmethod
    def _writer(device: Any) -> Callable[[bool], None]:
        def write(lit: bool) -> None:
            device.value = lit

        return write

    def _listen(self, name: ButtonName, device: Any, sink: Callable[[PinEdge], None]) -> None:
        pull_up, now_ms = self._pull_up, self._now_ms

        def on_edge(ticks: Any, state: Any) -> None:
            try:
                now = now_ms()
                at_ms = int(float(ticks) * 1000)
                plausible = now - _PLAUSIBLE_LAG_MS <= at_ms <= now
                sink(PinEdge(name, bool(state) != pull_up, at_ms if plausible else now))
            except Exception:  # noqa: BLE001 - one exception here ends the library's only thread
                _log.exception("gpio.callback_failed", button=name.value)

        self._callbacks.append(on_edge)
        pin = device.pin
        pin.bounce = None  # lgpio's filter swallows short presses; the core debounces
        pin.edges = "both"
        pin.when_changed = on_edge
