"""The scores of a device: a short tone for every stage, 叮咚 three times, and the chimes that wake. Pure.

Two struck bars, E5 and C5, are the doorbell of the world (a falling major third).
"""

from __future__ import annotations

from enum import StrEnum

from device.core.signals import Tone
from device.sounds.waves import Note

A3, G4, C5, E5, G5, C6 = 220.00, 392.00, 523.25, 659.26, 783.99, 1046.50
WAKING_HZ = 520.0


class ChimeName(StrEnum):
    """How a bell goes on after 叮咚, until somebody answers."""

    T3_520 = "t3-520"
    """A square wave of 520 Hz in the T-3 pattern: woke 92 % of hard-of-hearing sleepers, a tone of 3100 Hz 57 %."""
    DING_DONG = "ding-dong"
    RISING = "rising"


DING_S, DONG_S = 0.45, 0.75
_DING_DONG = (Note(E5, DING_S), Note(C5, DONG_S, 3.0))
DING_DONG_SCORE = _DING_DONG * 3
"""What a call begins with, whatever the chime."""

_BEEP, _PAUSE = Note(WAKING_HZ, 0.5, shape="square"), Note(0.0, 0.5)
WAKING_SCORES: dict[ChimeName, tuple[Note, ...]] = {
    ChimeName.T3_520: (*(_BEEP, _PAUSE) * 3, Note(0.0, 1.0)),
    ChimeName.DING_DONG: (*_DING_DONG * 3, Note(0.0, 0.4)),
    ChimeName.RISING: (*(Note(C5, 0.25), Note(E5, 0.25), Note(G5, 0.25), Note(C6, 0.95, 3.0)) * 2, Note(0.0, 0.6)),
}
"""One turn of four seconds; ISO 8201 and NFPA 72 call the first one T-3: three half-seconds, then a pause."""

TONE_SCORES: dict[Tone, tuple[Note, ...]] = {
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
"""T-3 on a buzzer, for ever."""
