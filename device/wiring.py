"""The wiring of a device: which pin does what, and what the pins of the 40-pin header do on their own.

The header is the same on every Raspberry Pi since 2014, Zero 2 W, 3, 4 and 5 among them. Facts from the manuals of
BCM2835, BCM2711 and RP1: from reset until a program asks for a pin it is an input, GPIO 0 to 8 with a pull-up of about
50 kOhm, GPIO 9 to 27 with a pull-down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from device.core.role import ButtonName
from device.core.signals import PRIMARIES_OF, Colour, Primary


class Pull(StrEnum):
    """The Pi's own resistor at a button's line; ``NONE``: a resistor outside holds it."""

    UP = "up"
    DOWN = "down"
    NONE = "none"


class Level(StrEnum):
    """The level at which something is so: a button pressed, a lamp lit, a buzzer on."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class ButtonWire:
    """A button's line; ``active`` is its level while pressed."""

    pin: int
    pull: Pull = Pull.UP
    active: Level = Level.LOW


@dataclass(frozen=True, slots=True)
class OutputWire:
    """A lamp's or the buzzer's line. ``primary``: the colour of this lamp of several, None if it is the only one."""

    pin: int
    active: Level = Level.HIGH
    primary: Primary | None = None


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything that is fitted. ``light``: nothing, one lamp, or two or three that mix their colours."""

    buttons: Mapping[ButtonName, ButtonWire]
    light: tuple[OutputWire, ...] = ()
    buzzer: OutputWire | None = None

    def outputs(self) -> tuple[tuple[str, OutputWire], ...]:
        """Every output with the key of its setting."""
        lamps = tuple(("light" if lamp.primary is None else f"light.{lamp.primary.value}", lamp) for lamp in self.light)
        return lamps if self.buzzer is None else (*lamps, ("buzzer", self.buzzer))

    def uses(self) -> tuple[tuple[str, int], ...]:
        """Every pin in use with the key of its setting."""
        buttons = ((name.value, wire.pin) for name, wire in self.buttons.items())
        return (*buttons, *((key, wire.pin) for key, wire in self.outputs()))


def lamps_of(colour: Colour, light: tuple[OutputWire, ...]) -> tuple[OutputWire, ...]:
    """The lamps that show this colour. Those that are missing are left out; all of them rather than none: a light that
    is dark because its blue is not fitted would say that nothing works."""
    fitting = tuple(lamp for lamp in light if lamp.primary is None or lamp.primary in PRIMARIES_OF[colour])
    return fitting or light


HEADER_PINS: Mapping[int, int] = {
    0: 27, 1: 28, 2: 3, 3: 5, 4: 7, 5: 29, 6: 31, 7: 26, 8: 24, 9: 21, 10: 19, 11: 23, 12: 32, 13: 33,
    14: 8, 15: 10, 16: 36, 17: 11, 18: 12, 19: 35, 20: 38, 21: 40, 22: 15, 23: 16, 24: 18, 25: 22, 26: 37, 27: 13,
}  # fmt: skip
"""GPIO number (BCM) to the place on the header, counted as the boards do: pin 1 is 3.3 V at the corner."""
GROUND_PINS = (6, 9, 14, 20, 25, 30, 34, 39)
PINS_3V3 = (1, 17)
PINS_5V = (2, 4)

FIXED_PULL_UPS = (2, 3)
"""These have 1.8 kOhm to 3.3 V on the board, whatever is asked of the Pi."""
_LAST_PULLED_UP = 8

_BUSES: Mapping[str, tuple[int, ...]] = {
    "hat": (0, 1),
    "i2c": (2, 3),
    "spi": (7, 8, 9, 10, 11),
    "serial": (14, 15),
    "i2s": (18, 19, 20, 21),
}
"""What add-on boards, the console and sound chips use these pins for."""


def reset_level(pin: int) -> Level:
    """The level at which the Pi holds a pin from power-on until a program asks for it."""
    return Level.HIGH if pin <= _LAST_PULLED_UP else Level.LOW


@dataclass(frozen=True, slots=True)
class WiringNote:
    """Something about the wiring that is allowed and should be known.

    ``code``: ``bus_`` and a bus, for a pin that something else may want; ``on_at_reset``, an output that is on, weakly,
    from power-on until the device runs; ``opens``, a button that breaks the contact: a cut lead is a press;
    ``floats``, no pull-up or pull-down inside: without a resistor outside the line rings by itself.
    """

    code: str
    use: str
    pin: int


def wiring_notes(wiring: Wiring) -> tuple[WiringNote, ...]:
    """What a technician should know about this wiring."""
    uses, buses = wiring.uses(), _BUSES.items()
    notes = [WiringNote(f"bus_{bus}", use, pin) for use, pin in uses for bus, pins in buses if pin in pins]
    for name, wire in wiring.buttons.items():
        if wire.pull is Pull.NONE:
            notes.append(WiringNote("floats", name.value, wire.pin))
        elif (wire.pull is Pull.UP) is (wire.active is Level.HIGH):
            notes.append(WiringNote("opens", name.value, wire.pin))
    for use, output in wiring.outputs():
        if output.active is reset_level(output.pin):
            notes.append(WiringNote("on_at_reset", use, output.pin))
    return tuple(notes)
