"""A header on gpiozero's MockFactory, wired as a panel unless a test says otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gpiozero.pins.mock import MockFactory

from device.adapters.gpio import GpioPins
from device.core.role import ButtonName
from device.core.signals import LIGHT_COLOURS, Colour, Light, Primary
from device.ports import PinEdge
from device.wiring import ButtonWire, Level, OutputWire, Wiring

HELP, OK = ButtonName.HELP, ButtonName.OK
HIGH, LOW = Level.HIGH, Level.LOW
BUTTONS = {HELP: ButtonWire(17), OK: ButtonWire(27)}
PANEL = Wiring(BUTTONS, (OutputWire(22),), OutputWire(18))


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def rgb(active: Level) -> tuple[OutputWire, ...]:
    return tuple(OutputWire(pin, active, primary) for pin, primary in zip((22, 23, 24), Primary, strict=True))


class Board:
    def __init__(
        self,
        wiring: Wiring = PANEL,
        *,
        colours: dict[Light, Colour] = LIGHT_COLOURS,
        sink: Callable[[PinEdge], None] | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.factory = MockFactory()
        self.edges: list[PinEdge] = []
        self.pins = GpioPins(self.factory, wiring, colours=colours, sink=sink or self.edges.append, now_ms=clock)

    def line(self, pin: int) -> Any:
        return self.factory.pin(pin)
