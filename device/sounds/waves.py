"""Samples: struck notes and square waves computed, WAV files written and read. Pure.

Everything is mono, ``RATE`` samples a second; as floats between -1 and 1 while it is worked on, 16 bit in a file.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from doorbell.errors import DoorbellError

RATE = 22_050
"""Samples a second, as espeak-ng speaks: everything here is below 4 kHz, where old ears still hear."""
HEADER_BYTES = 44
"""Of a WAV file as we write it, before its samples."""
_PARTIALS = ((1.0, 1.0, 1.0), (2.0, 0.35, 1.6), (3.0, 0.12, 2.6))
"""Frequency, strength and speed of decay of a struck bar, relative to the fundamental."""
_SQUARE_LIMIT_HZ = 10_000
"""Harmonics of a square wave above it are left out: near half of ``RATE`` they would come back as other tones."""
_PCM = (1, 0xFFFE)
"""The format tags of plain samples, short and extended."""
EDGE_S = 0.004
"""A start and an end without a click."""
ENDLESS_BYTES = 0x7FFF_F000
"""The length that a stream's header names: over 13 hours, and still a positive number to a player that counts in 32
bits."""


class WaveError(DoorbellError, ValueError):
    """A file is no WAV file that we can use; the message says why."""


@dataclass(frozen=True, slots=True)
class Note:
    """Hertz, seconds until the next note, decay in 1/s (of a struck one). 0 Hz is a rest."""

    hz: float
    lasts_s: float
    decay: float = 4.0
    shape: Literal["struck", "square"] = "struck"


def play_notes(notes: Iterable[Note]) -> array[float]:
    """The samples of a score, one note after the other; as loud as it comes (see ``level``)."""
    notes = tuple(notes)
    sounded = {note: _sound(note) for note in set(notes)}
    samples = array("d")
    for note in notes:
        samples.extend(sounded[note])
    return samples


def scaled(samples: bytes, percent: int) -> bytes:
    """At a part of its volume; in place of a mixer, which a Pi's headphone socket and most sound cards lack."""
    if percent >= 100:
        return samples
    factor = percent * 65536 // 100
    return array("h", [one * factor >> 16 for one in array("h", samples)]).tobytes()


def faded(samples: array[float]) -> array[float]:
    """The same with both ends faded over ``EDGE_S``; in place."""
    edge = max(1, round(EDGE_S * RATE))
    for i in range(min(edge, len(samples))):
        samples[i] *= i / edge
        samples[-1 - i] *= i / edge
    return samples


def wav_header(data_bytes: int) -> bytes:
    """The 44 bytes before ``data_bytes`` of samples."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + data_bytes, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", data_bytes),
    )


def to_wav(samples: array[float]) -> bytes:
    """A WAV file."""
    data = array("h", (max(-32768, min(32767, round(32767 * one))) for one in samples))
    return wav_header(2 * len(data)) + data.tobytes()


def from_wav(content: bytes, *, longest_s: float) -> array[float]:
    """The samples of a 16-bit WAV file, mono and at ``RATE``; several channels are mixed, another rate is converted.

    A length in the header that is more than what follows (a stream's) is cut to what there is. Raises ``WaveError``
    for everything that is not such a file, is empty, or lasts longer than ``longest_s``.
    """
    channels, width, rate, data = _parts(content)
    if width != 2 or not 8_000 <= rate <= 96_000:
        raise WaveError(f"{8 * width} bit at {rate} Hz; needed are 16 bit at 8,000 to 96,000 Hz")
    if len(data) / (2 * channels) / rate > longest_s:
        raise WaveError(f"longer than {longest_s:g} s")
    frames = array("h", data[: len(data) - len(data) % (2 * channels)])
    if not len(frames):
        raise WaveError("it holds no samples")
    tracks = [frames[one::channels] for one in range(channels)]
    mono = array("d", (sum(one) / channels / 32768 for one in zip(*tracks, strict=True)))
    return mono if rate == RATE else _converted(mono, rate)


def _parts(content: bytes) -> tuple[int, int, int, bytes]:
    """Channels, bytes of a sample, rate, and the samples. Read by hand: ``wave`` answers rubbish with whatever its
    parts happen to raise."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise WaveError("not a WAV file")
    form, at = b"", 12
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        body = content[at + 8 : at + 8 + size]
        if name == b"fmt " and len(body) >= 16:
            form = body
        elif name == b"data" and form:
            kind, channels, rate, _, frame_bytes, _ = struct.unpack("<HHIIHH", form[:16])
            if kind not in _PCM or not 1 <= channels <= 8 or frame_bytes % channels:
                raise WaveError("not a PCM WAV file")
            return channels, frame_bytes // channels, rate, body
        at += 8 + size + size % 2
    raise WaveError("not a whole WAV file")


def _converted(samples: array[float], rate: int) -> array[float]:
    """At ``RATE``: each new sample is the mean over its own time where that spans several old ones (which keeps tones
    above half of ``RATE`` from coming back as others), else it lies on the line between its neighbours."""
    step = rate / RATE
    found = array("d")
    for i in range(int(len(samples) / step)):
        at = i * step
        left = int(at)
        if step >= 2:
            span = samples[left : left + int(step)]
            found.append(sum(span) / len(span))
        else:
            right = samples[min(left + 1, len(samples) - 1)]
            found.append(samples[left] + (right - samples[left]) * (at - left))
    return found


def _sound(note: Note) -> array[float]:
    count = round(note.lasts_s * RATE)
    if not note.hz:
        return array("d", bytes(8 * count))
    return faded(_square(note.hz, count) if note.shape == "square" else _struck(note, count))


def _struck(note: Note, count: int) -> array[float]:
    total = array("d", bytes(8 * count))
    for ratio, strength, speed in _PARTIALS:
        step, fade, height = 2 * math.pi * note.hz * ratio / RATE, math.exp(-note.decay * speed / RATE), strength
        for i in range(count):
            total[i] += height * math.sin(step * i)
            height *= fade
    return total


def _square(hz: float, count: int) -> array[float]:
    """Odd harmonics with Lanczos' factors, which take the overshoot off the edges."""
    orders = range(1, max(2, int(_SQUARE_LIMIT_HZ / hz) + 1), 2)
    total, width = array("d", bytes(8 * count)), orders[-1] + 2
    for order in orders:
        x = math.pi * order / width
        step, height = 2 * math.pi * hz * order / RATE, 4 / math.pi / order * math.sin(x) / x
        for i in range(count):
            total[i] += height * math.sin(step * i)
    return total
