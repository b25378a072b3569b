"""Hearing for recordings: the dominant frequency of a stretch, when notes are struck, and what sounds how long."""

from __future__ import annotations

import math
from array import array

FRAME_S = 0.01
"""The grain of every time that is told here."""
LOUD = 0.02
"""Of full scale, the mean of a frame: below it is silence."""


def dominant_hz(samples: array[int], rate: int) -> float:
    """The strongest frequency between 150 and 1500 Hz, to 2 Hz."""
    return max(range(150, 1500, 2), key=lambda hz: _power(samples, rate, hz))


def strikes_s(samples: array[int], rate: int) -> list[float]:
    """When a note begins: a frame that is much louder than the one before it."""
    levels = _levels(samples, rate)
    struck: list[float] = []
    for number, level in enumerate(levels):
        before = max(levels[max(0, number - 3) : number], default=0.0)
        if level > LOUD and level > 1.5 * before and (not struck or number * FRAME_S - struck[-1] > 0.1):
            struck.append(number * FRAME_S)
    return struck


def beats_s(samples: array[int], rate: int) -> list[tuple[bool, float]]:
    """Sound and silence in turn, with the seconds of each."""
    beats: list[tuple[bool, float]] = []
    for level in _levels(samples, rate):
        loud = level > LOUD
        if beats and beats[-1][0] == loud:
            beats[-1] = loud, beats[-1][1] + FRAME_S
        else:
            beats.append((loud, FRAME_S))
    return beats


def stretch(samples: array[int], rate: int, begin_s: float, end_s: float) -> array[int]:
    """A part of a recording."""
    return samples[round(begin_s * rate) : round(end_s * rate)]


def _levels(samples: array[int], rate: int) -> list[float]:
    size = round(FRAME_S * rate)
    frames = (samples[start : start + size] for start in range(0, len(samples) - size + 1, size))
    return [sum(map(abs, frame)) / size / 32768 for frame in frames]


def _power(samples: array[int], rate: int, hz: float) -> float:
    """Goertzel's: the power of one frequency."""
    factor = 2 * math.cos(2 * math.pi * hz / rate)
    last = before = 0.0
    for sample in samples:
        last, before = sample + factor * last - before, last
    return last * last + before * before - factor * last * before
