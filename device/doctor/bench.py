"""The pins while a doctor holds them: raw edges in a queue, light and buzzer; and a finger for mock pins."""

from __future__ import annotations

import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from device.adapters.gpio import GpioPins, open_factory
from device.core.role import ButtonName
from device.core.signals import Light
from device.ports import PinEdge
from device.settings import DaemonSettings

_PRESS_S = 0.15
_REACTION_S = 0.2


class PinBench:
    """The ``Bench`` of real or mock pins."""

    def __init__(self, pins: GpioPins, edges: queue.SimpleQueue[PinEdge]) -> None:
        self._pins = pins
        self._edges = edges

    def fitted(self) -> Sequence[ButtonName]:
        """The buttons that the settings name."""
        return self._pins.fitted()

    def level(self, button: ButtonName) -> bool | None:
        """Whether the button is down now; None if it cannot be read."""
        return self._pins.level(button)

    def next_edge(self, within_s: float) -> PinEdge | None:
        """The next raw edge, None if none comes in time."""
        try:
            return self._edges.get(timeout=within_s)
        except queue.Empty:
            return None

    def now_ms(self) -> int:
        """CLOCK_MONOTONIC, which also stamps the edges."""
        return _now_ms()

    def show(self, light: Light) -> None:
        """Let the light say this until told otherwise."""
        self._pins.show(light)

    def buzz(self, pattern: tuple[int, ...]) -> None:
        """Play a pattern on the buzzer once, to its end."""
        if self._pins.buzzer is not None:
            self._pins.buzzer.blink(pattern, repeat=False)
            threading.Event().wait(sum(pattern) / 1000)


@contextmanager
def pins_held(
    settings: DaemonSettings, *, mock: bool
) -> Iterator[tuple[PinBench, Callable[[ButtonName], None] | None]]:
    """The pins of these settings, and for mock ones a finger. Raises ``UnavailableError`` if they cannot be had."""
    edges: queue.SimpleQueue[PinEdge] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="doorbell-doctor-") as directory:
        pins = GpioPins(
            open_factory(Path(directory), mock=mock),
            settings.wiring(),
            colours=settings.light_colours(),
            sink=edges.put,
            now_ms=_now_ms,
        )
        try:
            yield PinBench(pins, edges), _finger_of(pins) if mock else None
        finally:
            pins.close()


def _finger_of(pins: GpioPins) -> Callable[[ButtonName], None]:
    """A press a moment later, as a person's would come."""

    def press(button: ButtonName) -> None:
        def move() -> None:
            pause = threading.Event()
            pause.wait(_REACTION_S)
            pins.drive(button, active=True)
            pause.wait(_PRESS_S)
            pins.drive(button, active=False)

        threading.Thread(target=move, name="finger", daemon=True).start()

    return press


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
