"""How loud a clip is, and making all clips equally loud. Pure.

The measure is the loudest 400 ms of the clip, K-weighted as in ITU-R BS.1770 (what broadcasters call momentary
loudness, in LUFS): the weighting counts what a small loudspeaker and an ear make of a sound rather than its power.
A clip shorter than 400 ms is measured over its own length.
"""

from __future__ import annotations

import math
from array import array
from itertools import pairwise

from device.sounds.waves import RATE, faded

SPEECH_LUFS = -14.0
"""Of a sentence and of a tone: as loud as espeak-ng's voice, whose peaks stand 15 to 17 dB above its loudness, can be
with those limited by a few dB."""
CHIME_LUFS = -12.5
"""Of a chime: 1.5 dB above, because it must wake, and near enough that the sentence in between is not missed."""
CEILING = 10 ** (-1.2 / 20)
"""The highest sample, -1.2 dBFS: rounding and a player's resampling stay below -1."""
_LOW_CUT_HZ = 110.0
"""Below it a small loudspeaker only rattles; an offset goes with it."""
_BLOCK = round(0.010 * RATE)
"""The limiter's step: a period of a low voice, so that it follows the envelope and not the wave."""
_WINDOW_BLOCKS = 40
"""400 ms."""
_RELEASE = 1.06
"""How much the limiter may let go in a step: 50 dB a second."""
_ROUNDS = 20
_SILENCE = 1e-4

_Biquad = tuple[float, float, float, float, float]


def loudness_lufs(samples: array[float]) -> float:
    """Momentary loudness at its maximum; -inf for silence."""
    return _loudest(_powers(samples), len(samples))


def peak_dbfs(samples: array[float]) -> float:
    """The highest sample, in dB below full scale."""
    highest = max((abs(one) for one in samples), default=0.0)
    return 20 * math.log10(highest) if highest > 0 else -math.inf


def levelled(samples: array[float], wanted_lufs: float) -> array[float]:
    """The same sound at this loudness, no sample above ``CEILING``, both ends faded. Silence stays silence."""
    blocks = [samples[at : at + _BLOCK] for at in range(0, len(samples), _BLOCK)]
    peaks = [max(_SILENCE, *map(abs, block)) for block in blocks]
    powers = _powers(samples)
    gain = 1.0
    edges = _limits(peaks, gain)
    for _ in range(_ROUNDS):  # limiting takes loudness away again: a few rounds give it back
        held = [power * (gain * (a + b) / 2) ** 2 for power, (a, b) in zip(powers, pairwise(edges), strict=True)]
        short_db = wanted_lufs - _loudest(held, len(samples))
        if not math.isfinite(short_db) or abs(short_db) < 0.05:
            break
        gain *= 10 ** (short_db / 20)
        edges = _limits(peaks, gain)
    found = array("d")
    for block, (start, end) in zip(blocks, pairwise(edges), strict=True):
        first, slope = gain * start, gain * (end - start) / len(block)
        found.extend(one * (first + slope * i) for i, one in enumerate(block))
    return faded(found)


def without_rumble(samples: array[float]) -> array[float]:
    """Without an offset, and without what lies below a small loudspeaker's range."""
    return _filtered(samples, _high_pass(_LOW_CUT_HZ, 0.7071))


def trimmed(samples: array[float], *, margin_s: float = 0.03) -> array[float]:
    """Without the silence at both ends, but for a margin."""
    floor = _SILENCE + 0.01 * max((abs(one) for one in samples), default=0.0)
    first = next((i for i, one in enumerate(samples) if abs(one) > floor), 0)
    last = next((i for i in range(len(samples) - 1, -1, -1) if abs(samples[i]) > floor), -1)
    margin = round(margin_s * RATE)
    return samples[max(0, first - margin) : last + 1 + margin]


def _limits(peaks: list[float], gain: float) -> list[float]:
    """What the limiter makes of each block's gain, from edge to edge: turned down where a peak would pass the ceiling,
    from the block before it on, and let go slowly."""
    released, held = [], 1.0
    for peak in peaks:
        held = min(CEILING / (gain * peak), held * _RELEASE, 1.0)
        released.append(held)
    return [released[0], *(min(a, b) for a, b in pairwise(released)), released[-1]] if released else []


def _powers(samples: array[float]) -> list[float]:
    """The K-weighted power of each block."""
    weighted = _filtered(_filtered(samples, _SHELF), _HIGH_PASS)
    return [sum(one * one for one in weighted[at : at + _BLOCK]) for at in range(0, len(weighted), _BLOCK)]


def _loudest(powers: list[float], samples: int) -> float:
    """LUFS of the loudest window over blocks."""
    window = min(samples, _WINDOW_BLOCKS * _BLOCK)
    sums = (sum(powers[at : at + _WINDOW_BLOCKS]) for at in range(max(1, len(powers) - _WINDOW_BLOCKS + 1)))
    loudest = max(sums) / window if window else 0.0
    return -0.691 + 10 * math.log10(loudest) if loudest > 0 else -math.inf


def _filtered(samples: array[float], biquad: _Biquad) -> array[float]:
    b0, b1, b2, a1, a2 = biquad
    s1 = s2 = 0.0
    found = array("d")
    for one in samples:
        out = b0 * one + s1
        s1 = b1 * one - a1 * out + s2
        s2 = b2 * one - a2 * out
        found.append(out)
    return found


def _high_pass(hz: float, q: float) -> _Biquad:
    k = math.tan(math.pi * hz / RATE)
    a0 = 1 + k / q + k * k
    return 1 / a0, -2 / a0, 1 / a0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0


def _shelf(hz: float, gain_db: float, q: float) -> _Biquad:
    k, high = math.tan(math.pi * hz / RATE), 10 ** (gain_db / 20)
    middle = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    return (
        (high + middle * k / q + k * k) / a0,
        2 * (k * k - high) / a0,
        (high - middle * k / q + k * k) / a0,
        2 * (k * k - 1) / a0,
        (1 - k / q + k * k) / a0,
    )


# BS.1770's two filters by their analogue parameters, so that they hold at any rate.
_SHELF = _shelf(1681.974450955533, 3.999843853973347, 0.7071752369554196)
_HIGH_PASS = _high_pass(38.13547087602444, 0.5003270373238773)
