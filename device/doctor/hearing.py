"""Whether the notes of 叮咚 are in a recording: Goertzel's filter on short windows. Pure.

G. Goertzel, "An algorithm for the evaluation of finite trigonometric series" (1958): the strength of one frequency in
a window by one multiplication a sample, no Fourier transform.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

from device.sounds.scores import C5, E5

WINDOW_S = 0.1
"""Four windows in the shorter note, and 10 Hz wide: the two notes are 136 Hz apart."""
SHARE = 0.2
"""Of a window's energy that must lie at a note: a bell's fundamental has most of it, a room and a fan take some."""
FLOOR = 30.0
"""Root mean square below which a 16-bit window is silence, whatever its spectrum says."""
DING_DONG = (E5, C5)
EXPECTED = 6
"""叮咚 three times."""
ENOUGH = 4
"""Two whole 叮咚 in a row are no accident; a recorder that started late misses the first."""


def share_of(samples: Sequence[int], hz: float, rate: int) -> float:
    """The share of the energy of ``samples`` that lies at ``hz``: 1 for a pure tone, about 0 for anything else."""
    energy = sum(sample * sample for sample in samples)
    if not energy:
        return 0.0
    turn = 2 * math.cos(2 * math.pi * hz / rate)
    last = before = 0.0
    for sample in samples:
        last, before = sample + turn * last - before, last
    power = last * last + before * before - turn * last * before
    return min(1.0, 2 * power / (len(samples) * energy))


def notes_heard(samples: array[int], rate: int) -> int:
    """The length of the longest 叮, 咚, 叮, 咚 … in a recording (mono, 16 bit); at most ``EXPECTED``."""
    size = round(WINDOW_S * rate)
    longest = run = 0
    last: int | None = None
    for start in range(0, len(samples) - size + 1, size):
        note = _note_of(samples[start : start + size], rate)
        if note is None or note == last:
            continue
        run = run + 1 if last is not None and run else (1 if note == 0 else 0)
        last, longest = note, max(longest, run)
    return min(longest, EXPECTED)


def _note_of(window: Sequence[int], rate: int) -> int | None:
    """Which of the two notes a window holds, if any."""
    if math.sqrt(sum(sample * sample for sample in window) / len(window)) < FLOOR:
        return None
    shares = [share_of(window, hz, rate) for hz in DING_DONG]
    best = max(range(len(shares)), key=shares.__getitem__)
    return best if shares[best] >= SHARE else None
