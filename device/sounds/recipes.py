"""The recipe of a tone, a chime, a sentence. A recording takes the place of a sentence where one lies.

Recordings lie in ``DIRECTORY/LANGUAGE/``: ``heard.wav`` or ``call_help.wav`` (a call, by kind) takes the place of the
sentence without names, ``coming@彭小平.wav`` or ``call_help@柳奶奶.wav`` of the whole sentence that names this person,
and ``count_2.wav`` says how many call. A sentence that names somebody for whom nothing was recorded is spoken by
espeak-ng as a whole: half a human voice and half a machine's would frighten.
"""

from __future__ import annotations

import re
from pathlib import Path

from device.core.signals import Phrase, Tone, Words
from device.sounds.making import Recipe, Recording, Score, Speech
from device.sounds.scores import DING_DONG_SCORE, TONE_SCORES, WAKING_SCORES, ChimeName
from device.sounds.sentences import count_parts, only_spoken, speaking_rate, spoken_parts, without_names


def tone_recipe(tone: Tone) -> Recipe:
    """A stage's short sound."""
    return Recipe(f"tone-{tone.value}", Score(TONE_SCORES[tone]))


def ding_dong_recipe() -> Recipe:
    """叮咚 three times."""
    return Recipe("ding-dong", Score(DING_DONG_SCORE, chime=True))


def waking_recipe(chime: ChimeName) -> Recipe:
    """One turn of a waking chime."""
    return Recipe(f"wake-{chime.value}", Score(WAKING_SCORES[chime], chime=True))


def words_recipe(words: Words, language: str, recordings: Path | None) -> Recipe:
    """A sentence. Its slug begins with ``name-`` if it names somebody or a place, else with ``say-``."""
    words = only_spoken(words, language)
    key = phrase_key(words)
    named = words != without_names(words)
    slug = f"{'name' if named else 'say'}-{language}-{key}"
    called = words.label or words.who
    file_name = f"{key}@{_as_file_name(called)}.wav" if called else f"{key}.wav"
    recording = None if named and not called else _recording(recordings, language, file_name)
    return Recipe(slug, recording or Speech(spoken_parts(words, language), speaking_rate(language)))


def count_recipe(count: int, language: str, recordings: Path | None) -> Recipe | None:
    """How many call at once, None where that is not said."""
    parts = count_parts(count, language)
    if not parts:
        return None
    recording = _recording(recordings, language, f"count_{count}.wav")
    return Recipe(f"say-{language}-count_{count}", recording or Speech(parts, speaking_rate(language)))


def phrase_key(words: Words) -> str:
    """A sentence's name in a file's name."""
    return f"call_{words.kind.value}" if words.phrase is Phrase.CALL else words.phrase.value


def _as_file_name(name: str) -> str:
    """A name from the wire must not lead out of the directory."""
    return re.sub(r"[/\\\x00-\x1f]", "_", name)


def _recording(directory: Path | None, language: str, file_name: str) -> Recording | None:
    if directory is None:
        return None
    path = directory / language / file_name
    try:
        stat = path.stat()
    except OSError:  # not there, or a name too long for a file
        return None
    return Recording(str(path), f"{stat.st_size}-{stat.st_mtime_ns}")
