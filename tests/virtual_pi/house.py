"""A panel and a bell that live in one virtual Pi, with fingers for the lines and eyes for the lights."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from device.core.signals import LIGHT_PATTERNS, Light
from device.sounds.scores import E5
from device.sounds.waves import RATE
from tests.system.processes import until
from tests.virtual_pi.listening import dominant_hz, stretch
from tests.virtual_pi.machine import Machine
from tests.virtual_pi.outside import Outside

HEADER = "/run/virtual-pi/header"
EARS = "/var/lib/ears"
STATE_MOUNT = "var-lib-doorbell\\x2ddevice.mount"
LONG_S = 180.0
"""Bound of what the machine does by itself: a start of the daemon takes 8 s, beside other work half a minute."""
TOUCH_S = 0.3
DING_DONG_S = (0.0, 0.45, 1.2, 1.65, 2.4, 2.85)
"""When 叮 and 咚 are struck."""
DING_DONG_ENDS_S = 3.6


@dataclass(frozen=True, slots=True)
class Instance:
    """A daemon in the machine: its unit and its lines (inside/etc/virtual-pi)."""

    unit: str
    name: str
    buttons: dict[str, int]
    light: int


PANEL_SIDE = Instance("doorbell-device", "panel", {"help": 17, "ok": 27}, 22)
BELL_SIDE = Instance("doorbell-bell", "bell", {"answer": 5, "decline": 6}, 13)


@dataclass(frozen=True, slots=True)
class Recording:
    """What one player has played: mono samples."""

    rate: int
    samples: array[int]

    def ding_dong_hz(self) -> list[float]:
        """The notes where 叮 and 咚 are struck."""
        notes = (stretch(self.samples, self.rate, at_s + 0.03, at_s + 0.33) for at_s in DING_DONG_S)
        return [dominant_hz(note, self.rate) for note in notes]

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.rate


class House:
    """Fingers and eyes in a machine that runs."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._read: dict[str, list[str]] = {}

    def down(self, side: Instance, button: str) -> None:
        """Press the line down, in the kernel."""
        self.machine.sh(f"echo pull-down > {HEADER}/sim_gpio{side.buttons[button]}/pull")

    def up(self, side: Instance, button: str) -> None:
        """Let it go."""
        self.machine.sh(f"echo pull-up > {HEADER}/sim_gpio{side.buttons[button]}/pull")

    def press(self, side: Instance, button: str, seconds: float = TOUCH_S) -> None:
        """Down, and up again."""
        pull = f"{HEADER}/sim_gpio{side.buttons[button]}/pull"
        self.machine.sh(f"echo pull-down > {pull}; sleep {seconds}; echo pull-up > {pull}")

    def chatter(self, side: Instance, button: str, bursts: int) -> float:
        """Let the line chatter, three contacts a burst; the longest contact that there was, in ms."""
        line = side.buttons[button]
        tool = "/usr/local/lib/virtual-pi/chatter.py"
        return float(self.machine.sh(f"python3 {tool} {line} {bursts}"))

    def await_rest(self, outside: Outside) -> None:
        """Wait until both are connected and told, and nothing rings."""
        self.await_light(PANEL_SIDE, Light.THIN)  # one bell answers for this household
        self.await_light(BELL_SIDE, Light.READY)
        until(lambda: not outside.open_alarms(), "no alarm is open", LONG_S)

    def mount_state(self) -> None:
        """Check and mount a state disk that was plugged in while the machine ran, as a boot does."""
        # e2fsck's 1 is "repaired".
        self.machine.sh("e2fsck -p /dev/vdb || [ $? -eq 1 ]; mount -o noatime /dev/vdb /var/lib/doorbell-device")

    def log(self, side: Instance) -> list[dict[str, Any]]:
        """The daemon's log since the boot."""

        def whole() -> bool:
            lines = self.machine.sh(f"journalctl -b -o cat --no-pager -u {side.unit}").splitlines()
            # Seen: while journald changes its files journalctl finds next to nothing for a moment.
            if len(lines) < len(self._read.get(side.unit, ())):
                return False
            self._read[side.unit] = lines
            return True

        until(whole, f"journalctl finds what it has found of {side.name}")
        return [json.loads(line) for line in self._read[side.unit] if line.startswith("{")]

    def logged(self, side: Instance, event: str, **fields: object) -> list[dict[str, Any]]:
        """The lines of an event that have these fields."""
        return [line for line in self.log(side) if line.get("event") == event and line.items() >= fields.items()]

    def await_light(self, side: Instance, light: Light) -> None:
        """Wait until the daemon says that its light says this."""

        def says() -> bool:
            lights = self.logged(side, "device.light")
            return bool(lights) and lights[-1]["light"] == light.value

        until(says, f"{side.name}: the light says {light.value}", LONG_S)

    def light_on_the_line(self, side: Instance, among: Sequence[Light]) -> Light:
        """Which of these lights the line shows, by the lengths of light and dark on it. None of them may be steady."""
        told = self.machine.sh(f"python3 /usr/local/lib/virtual-pi/watch.py 4 {side.light}")
        changes = json.loads(told)[str(side.light)]
        spans = [(later[0] - now[0], now[1]) for now, later in pairwise(changes)][1:]
        lit, dark = (sorted(ms for ms, value in spans if value == level) for level in (1, 0))
        assert min(len(lit), len(dark)) > 0, f"{side.name}: the light does not blink: {changes}"
        seen = math.log(_median(lit)), math.log(_median(dark))

        def distance(light: Light) -> float:
            pattern = LIGHT_PATTERNS[light]
            return abs(seen[0] - math.log(_median(pattern[::2]))) + abs(seen[1] - math.log(_median(pattern[1::2])))

        return min(among, key=distance)

    def recordings(self, side: Instance) -> list[Recording]:
        """What this side's players have played, in their order; the last may still be growing."""
        names = self.machine.sh(f"ls -tr --time=birth {EARS} 2>/dev/null | grep '^{side.name}.wav' || true").split()
        return [_recording(self.machine.read(f"{EARS}/{name}")) for name in names]

    def ring(self, side: Instance) -> Recording:
        """What the bell has played that begins as a ring does, with 叮: there is one player for all of a ring."""
        starts = [(one, stretch(one.samples, one.rate, 0.03, 0.33)) for one in self.recordings(side)]
        rings = [one for one, start in starts if start and dominant_hz(start, one.rate) == pytest.approx(E5, abs=6)]
        assert len(rings) <= 1, f"{len(rings)} players have begun this ring"
        return rings[0] if rings else Recording(RATE, array("h"))

    def forget_recordings(self) -> None:
        """Delete all of them."""
        self.machine.sh(f"rm -f {EARS}/*")


def _median(values: Sequence[int]) -> float:
    ordered = sorted(values)
    return float(ordered[len(ordered) // 2])


def _recording(raw: bytes) -> Recording:
    """Samples of a WAV file whose player may have been killed: then its header does not know how long it is."""
    channels, rate = int.from_bytes(raw[22:24], "little"), int.from_bytes(raw[24:28], "little")
    start = raw.index(b"data") + 8
    samples = array("h", raw[start : start + (len(raw) - start) // 2 * 2])
    return Recording(rate, samples[::channels])
