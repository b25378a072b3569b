"""The sounds of a device, computed: 叮咚 three times and then silence, and a short tone for every stage. Pure.

A struck bar rings with a few partials that die away, the higher the faster; two of them, E5 and C5, are the doorbell of
the world (a falling major third). Every sound is mono, 16 bit, ``RATE`` samples a second, with a peak of 90 %.
"""

from __future__ import annotations

import io
import math
import wave
from array import array
from dataclasses import dataclass
from enum import StrEnum

from device.core.signals import Tone

RATE = 22_050
"""Samples a second: everything here is below 4 kHz, where old ears still hear."""
_PEAK = 0.9
_PARTIALS = ((1.0, 1.0, 1.0), (2.0, 0.35, 1.6), (3.0, 0.12, 2.6))
"""Frequency, strength and speed of decay, relative to the fundamental."""
_ATTACK_S = 0.004
"""A start without a click."""

E5, C5, G4, C6, G5, A3 = 659.26, 523.25, 392.00, 1046.50, 783.99, 220.00


@dataclass(frozen=True, slots=True)
class Note:
    """A struck note: hertz, seconds until the next one, decay in 1/s. 0 Hz is a rest."""

    hz: float
    lasts_s: float
    decay: float = 4.0


class Clip(StrEnum):
    """A sound that is no stage's tone."""

    CHIME = "chime"
    SILENCE = "silence"
    """All zeros: proves that the sound device opens and plays, without a sound."""


_DING_DONG = (Note(E5, 0.45), Note(C5, 0.75, 3.0))
_SCORES: dict[Clip | Tone, tuple[Note, ...]] = {
    Clip.CHIME: (*_DING_DONG * 3, Note(0.0, 1.2)),
    Clip.SILENCE: (Note(0.0, 0.5),),
    Tone.HEARD: (Note(C6, 0.18, 12.0),),
    Tone.RECEIVED: (Note(C5, 0.16, 8.0), Note(E5, 0.3, 8.0)),
    Tone.RINGING: (Note(E5, 0.3), Note(C5, 0.5)),
    Tone.COMING: (Note(C5, 0.18), Note(E5, 0.18), Note(G5, 0.7)),
    Tone.ARRIVED: (Note(C5, 0.15), Note(E5, 0.15), Note(G5, 0.15), Note(C6, 0.8)),
    Tone.UNREACHABLE: (Note(A3, 0.4, 3.0), Note(0.0, 0.15), Note(A3, 0.6, 3.0)),
    Tone.CLOSED: (Note(G5, 0.25), Note(C5, 0.6)),
    Tone.NOTICE: (Note(G4, 0.25, 6.0), Note(C5, 0.5, 6.0)),
}

BEEPS: dict[Tone, tuple[int, ...]] = {
    Tone.HEARD: (60,),
    Tone.RECEIVED: (60, 80, 60),
    Tone.RINGING: (250, 100, 250),
    Tone.COMING: (80, 80, 80, 80, 400),
    Tone.ARRIVED: (600,),
    Tone.UNREACHABLE: (400, 200, 400, 200, 400),
    Tone.CLOSED: (250, 150, 60),
    Tone.NOTICE: (60, 200, 60),
}
"""The same on a buzzer: milliseconds on, off, on."""
BUZZER_CHIME = (500, 500, 500, 500, 500, 1500)
"""The T-3 pattern that wakes sleepers (NFPA 72): three half-seconds, then a pause, for ever."""


def length_s(what: Clip | Tone) -> float:
    """How long a sound lasts."""
    return sum(note.lasts_s for note in _SCORES[what])


def size_bytes(what: Clip | Tone) -> int:
    """How large the WAV file of a sound is: a header of 44 bytes and two bytes for each sample."""
    return 44 + 2 * sum(round(note.lasts_s * RATE) for note in _SCORES[what])


def render(what: Clip | Tone, percent: int) -> bytes:
    """A sound as a WAV file, at ``percent`` (0 to 100) of full volume."""
    struck = {note: _strike(note, percent) for note in set(_SCORES[what])}
    samples = array("h")
    for note in _SCORES[what]:
        samples.extend(struck[note])
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def _strike(note: Note, percent: int) -> array[int]:
    count = round(note.lasts_s * RATE)
    if not note.hz:
        return array("h", bytes(2 * count))
    full = 32767 * _PEAK * percent / 100 / sum(strength for _, strength, _ in _PARTIALS)
    total = [0.0] * count
    for ratio, strength, speed in _PARTIALS:
        step, fade = 2 * math.pi * note.hz * ratio / RATE, math.exp(-note.decay * speed / RATE)
        height = full * strength
        for i in range(count):
            total[i] += height * math.sin(step * i)
            height *= fade
    # The last few ms fade out, so that a note cut short does not click either.
    edge = max(1, round(_ATTACK_S * RATE))
    for i in range(min(edge, count)):
        total[i] *= i / edge
        total[-1 - i] *= i / edge
    return array("h", map(round, total))
