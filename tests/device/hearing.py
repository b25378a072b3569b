"""Hearing for tests: which frequencies a recording holds, and whether it is the chime."""

from __future__ import annotations

import math
import wave
from array import array
from pathlib import Path

import pytest

from device.synth import C5, E5, RATE


def samples_of(path: Path) -> array[int]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return array("h", file.readframes(file.getnframes()))


def power(samples: array[int], hz: float) -> float:
    """Goertzel: the power of one frequency in a stretch of samples, per sample."""
    k = 2 * math.cos(2 * math.pi * hz / RATE)
    a = b = 0.0
    for sample in samples:
        a, b = sample + k * a - b, a
    return (a * a + b * b - k * a * b) / len(samples) ** 2


def strongest(samples: array[int]) -> float:
    """The dominant frequency between 150 and 1500 Hz, to 5 Hz."""
    return max(range(150, 1500, 5), key=lambda hz: power(samples, hz))


def assert_is_the_chime(samples: array[int]) -> None:
    """叮 咚 叮 咚 叮 咚 and then silence."""
    ding, dong = round(0.45 * RATE), round(0.75 * RATE)
    for turn in range(3):
        start = turn * (ding + dong)
        assert strongest(samples[start + 500 : start + ding // 2]) == pytest.approx(E5, abs=8)
        assert strongest(samples[start + ding + 500 : start + ding + dong // 2]) == pytest.approx(C5, abs=8)
    assert max(map(abs, samples[3 * (ding + dong) + 10 :])) == 0
