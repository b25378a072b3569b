"""Recipes of clips, and the making of a clip: a score played, a sentence spoken by espeak-ng, or a recording read.

A recipe says everything that its clip depends on, so a hash of it names the file that keeps the clip.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from array import array
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from device.sounds.level import CHIME_LUFS, SPEECH_LUFS, levelled, trimmed, without_rumble
from device.sounds.reading import Part
from device.sounds.waves import HEADER_BYTES, RATE, Note, WaveError, from_wav, play_notes, scaled, to_wav
from doorbell.errors import DoorbellError

_VERSION = 1
"""Of everything between a recipe and its samples: the voice's settings, the level, the limiter. Raise it when one of
these changes, and every kept file is made anew."""
LONGEST_S = 60.0
"""No sentence lasts longer: one with a name of 40 and a place of 60 hanzi takes 40 s."""
LONGEST_RECORDING_S = 20.0
_ESPEAK_TIMEOUT_S = 20.0
"""A sentence takes 20 ms here, and about 0.3 s on a Zero 2 W."""
_PART_GAP_S = 0.05
_MAX_RECORDING_BYTES = 8 * 1024 * 1024


class VoiceError(DoorbellError, OSError):
    """espeak-ng is missing, refuses or hangs; the message says what to do."""


class RecordingError(DoorbellError, ValueError):
    """A recorded file cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Score:
    """Notes. ``chime``: as loud as a chime, else as a sentence."""

    notes: tuple[Note, ...]
    chime: bool = False


@dataclass(frozen=True, slots=True)
class Speech:
    """A sentence for espeak-ng. ``wpm``: words a minute."""

    parts: tuple[Part, ...]
    wpm: int


@dataclass(frozen=True, slots=True)
class Recording:
    """A file that somebody has recorded. ``stamp``: its size and time, so that a new recording is another clip."""

    path: str
    stamp: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """One clip. ``slug``: what it is, in a file's name (never a person's name)."""

    slug: str
    material: Score | Speech | Recording

    @property
    def file_name(self) -> str:
        """The same for the same clip, for ever."""
        made_of = json.dumps([_VERSION, self.to_plain()], ensure_ascii=False, sort_keys=True)
        return f"{self.slug}.{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.wav"

    def to_plain(self) -> dict[str, Any]:
        """As JSON would have it."""
        return {"slug": self.slug, "kind": type(self.material).__name__, **asdict(self.material)}

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> Recipe:
        """The reverse of ``to_plain``."""
        match plain["kind"]:
            case "Score":
                notes = tuple(Note(**note) for note in plain["notes"])
                return Recipe(plain["slug"], Score(notes, chime=plain["chime"]))
            case "Speech":
                return Recipe(plain["slug"], Speech(tuple(Part(**part) for part in plain["parts"]), plain["wpm"]))
            case _:
                return Recipe(plain["slug"], Recording(plain["path"], plain["stamp"]))


def make_clip(recipe: Recipe) -> bytes:
    """The clip as a WAV file. Raises ``VoiceError`` or ``RecordingError``."""
    match recipe.material:
        case Score(notes, chime):
            return to_wav(levelled(play_notes(notes), CHIME_LUFS if chime else SPEECH_LUFS))
        case Speech(parts, wpm):
            return to_wav(levelled(_spoken(parts, wpm), SPEECH_LUFS))
        case Recording(path):
            return to_wav(levelled(trimmed(without_rumble(_recorded(path))), SPEECH_LUFS))


def clip_at(recipe: Recipe, percent: int) -> bytes:
    """The clip as a WAV file at a part of its volume. Raises as ``make_clip`` does."""
    content = make_clip(recipe)
    return content[:HEADER_BYTES] + scaled(content[HEADER_BYTES:], percent)


def length_s(wav: bytes) -> float:
    """How long one of our own WAV files lasts."""
    return (len(wav) - HEADER_BYTES) / (2 * RATE)


def _spoken(parts: tuple[Part, ...], wpm: int) -> array[float]:
    samples = array("d")
    for part in parts:
        if len(samples):
            samples.extend([0.0] * round(_PART_GAP_S * RATE))
        samples.extend(trimmed(without_rumble(_voice(part, wpm))))
    return samples


def _voice(part: Part, wpm: int) -> array[float]:
    """By standard input, so that no name can be taken for an option."""
    command = ["espeak-ng", "-v", part.voice, "-s", str(wpm), "-b", "1", "--stdin", "--stdout"]
    try:
        done = subprocess.run(
            command, input=part.text.encode(), capture_output=True, timeout=_ESPEAK_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise VoiceError("espeak-ng is not installed: apt-get install espeak-ng") from None
    except subprocess.TimeoutExpired:
        raise VoiceError(f"espeak-ng did not end within {_ESPEAK_TIMEOUT_S:g} s") from None
    except OSError as error:
        raise VoiceError(f"espeak-ng cannot be run: {error.strerror}") from error
    if done.returncode:
        raise VoiceError(f"espeak-ng, voice {part.voice}: {done.stderr.decode(errors='replace').strip()[-150:]}")
    try:
        return from_wav(done.stdout, longest_s=LONGEST_S)
    except WaveError as error:
        raise VoiceError(f"espeak-ng, voice {part.voice}: {error}") from error


def _recorded(path: str) -> array[float]:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_RECORDING_BYTES + 1)
        if len(content) > _MAX_RECORDING_BYTES:
            raise RecordingError(f"{path}: more than 8 MiB; a sentence is a few seconds long")
        return from_wav(content, longest_s=LONGEST_RECORDING_S)
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from error
    except WaveError as error:
        raise RecordingError(f"{path}: {error}") from error
