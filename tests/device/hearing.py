"""Hearing for tests: which frequencies a recording holds, and whether it is the chime."""

from __future__ import annotations

import math
import wave
from array import array
from collections.abc import Sequence
from pathlib import Path

import pytest

from device.sounds.scores import C5, DING_S, DONG_S, E5, WAKING_HZ
from device.sounds.waves import RATE


def samples_of(path: Path) -> array[int]:
    """The samples of a WAV file; one whose writer was killed says that it holds none, and is read as far as it goes."""
    content = path.read_bytes()
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
    return array("h", content[44 : len(content) - len(content) % 2])


def power(samples: Sequence[float], hz: float, rate: float = RATE) -> float:
    """Goertzel: the power of one frequency in a stretch of samples, per sample."""
    k = 2 * math.cos(2 * math.pi * hz / rate)
    a = b = 0.0
    for sample in samples:
        a, b = sample + k * a - b, a
    return (a * a + b * b - k * a * b) / len(samples) ** 2


def strongest(samples: Sequence[float]) -> float:
    """The dominant frequency between 150 and 1500 Hz, to 5 Hz.

    Heard in sums of four samples, which is four times as fast: of what lies above 2.7 kHz they hold hardly anything,
    of 1500 Hz nine tenths.
    """
    sums = [sum(samples[at : at + 4]) for at in range(0, len(samples) - 3, 4)]
    return max(range(150, 1500, 5), key=lambda hz: power(sums, hz, RATE / 4))


def bursts(samples: Sequence[float]) -> list[tuple[float, float]]:
    """Where sound begins and ends, in seconds: stretches of 10 ms above a hundredth of the highest sample."""
    step = RATE // 100
    floor = max(map(abs, samples)) / 100
    loud = [max(map(abs, samples[at : at + step])) > floor for at in range(0, len(samples), step)]
    changes = [i for i, (before, now) in enumerate(zip([False, *loud], [*loud, False], strict=True)) if before != now]
    return [(begin / 100, end / 100) for begin, end in zip(changes[::2], changes[1::2], strict=True)]


def assert_is_the_chime(samples: Sequence[float]) -> None:
    """叮 咚 叮 咚 叮 咚."""
    ding, dong = round(DING_S * RATE), round(DONG_S * RATE)
    assert len(samples) >= 3 * (ding + dong)
    for turn in range(3):
        start = turn * (ding + dong)
        assert strongest(samples[start + 500 : start + ding // 2]) == pytest.approx(E5, abs=8)
        assert strongest(samples[start + ding + 500 : start + ding + dong // 2]) == pytest.approx(C5, abs=8)


def assert_is_t3(samples: Sequence[float]) -> None:
    """Half a second of 520 Hz and half a second of nothing, three times, and the third pause is of 1.5 s (NFPA 72)."""
    assert len(samples) / RATE == pytest.approx(4.0, abs=0.001)
    beeps = bursts(samples)
    assert [round(at, 1) for beep in beeps for at in beep] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    for begin, end in beeps:
        beep = samples[round(begin * RATE) + 200 : round(end * RATE) - 200]
        assert strongest(beep) == pytest.approx(WAKING_HZ, abs=5)
        # A square wave: the third harmonic is a third as high, the second is not there.
        assert power(beep, 3 * WAKING_HZ) / power(beep, WAKING_HZ) == pytest.approx(1 / 9, rel=0.25)
        assert power(beep, 2 * WAKING_HZ) < power(beep, WAKING_HZ) / 1000
