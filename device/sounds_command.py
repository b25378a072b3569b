"""``doorbell-device sounds``: every sentence and chime as a WAV file to listen to, with a table of what is in them."""

# ruff: noqa: T201 - a command's answer goes to stdout
from __future__ import annotations

import math
from argparse import Namespace
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from device.core.signals import Phrase, Tone, Words
from device.settings import DaemonSettings
from device.sounds.level import loudness_lufs, peak_dbfs
from device.sounds.making import LONGEST_S, Recipe, RecordingError, VoiceError, make_clip
from device.sounds.recipes import (
    count_recipe,
    ding_dong_recipe,
    phrase_key,
    tone_recipe,
    waking_recipe,
    words_recipe,
)
from device.sounds.rendering import write_whole
from device.sounds.scores import ChimeName
from device.sounds.sentences import (
    LANGUAGES,
    MAX_COUNT,
    count_sentence,
    fixed_words,
    language_for,
    only_spoken,
    sentence,
)
from device.sounds.waves import RATE, from_wav
from device.texts import text
from doorbell.errors import SetupError
from doorbell.settings import load_settings

_WINDOW_S, _LOWEST_HZ, _HIGHEST_HZ, _STEP_HZ = 0.2, 100, 2000, 10


@dataclass(frozen=True, slots=True)
class SoundRow:
    """One clip in the table. ``said``: the sentence, empty for tones and chimes."""

    file: str
    said: str
    seconds: float
    lufs: float
    peak_dbfs: float
    dominant_hz: int


def write_sounds(options: Namespace) -> None:
    """Carry out the command. Raises ``SetupError`` if a file, a language or the voice cannot be used."""
    settings = None if options.config is None else load_settings(DaemonSettings, options.config)
    recordings = None if settings is None else settings.sound.recordings
    asked = options.language or ("all" if settings is None else settings.sound.language)
    languages = LANGUAGES if asked == "all" else (_known(asked),)
    names = Words(Phrase.CALL, who=options.name, label=options.label, place=options.place)
    print(f"{'file':34} {'s':>5} {'LUFS':>6} {'dBFS':>6} {'Hz':>5}")
    for path, recipe, said in wanted_clips(languages, names, recordings):
        row = _written(options.out, path, recipe, said)
        print(
            f"{row.file:34} {row.seconds:5.2f} {row.lufs:6.1f} {row.peak_dbfs:6.1f} {row.dominant_hz:5d}  {row.said}",
            flush=True,
        )


def wanted_clips(
    languages: tuple[str, ...], names: Words, recordings: Path | None
) -> Iterator[tuple[str, Recipe, str]]:
    """Every clip that a device can play: file, recipe, and what is said. ``names`` lends who, label and place."""
    for tone in Tone:
        yield f"tones/{tone.value}.wav", tone_recipe(tone), ""
    yield "chimes/ding-dong-3.wav", ding_dong_recipe(), ""
    for chime in ChimeName:
        yield f"chimes/{chime.value}.wav", waking_recipe(chime), ""
    for language in languages:
        for words in fixed_words():
            key = phrase_key(words)
            yield f"{language}/{key}.wav", words_recipe(words, language, recordings), sentence(words, language)
            named = only_spoken(replace(words, who=names.who, label=names.label, place=names.place), language)
            if named != words:
                said = sentence(named, language)
                yield f"{language}/{key}-named.wav", words_recipe(named, language, recordings), said
        for count in range(2, MAX_COUNT + 1):
            recipe = count_recipe(count, language, recordings)
            if recipe is not None:
                yield f"{language}/count_{count}.wav", recipe, count_sentence(count, language) or ""


def measured(file: str, said: str, content: bytes) -> SoundRow:
    """What is in a clip."""
    samples = from_wav(content, longest_s=LONGEST_S)
    return SoundRow(file, said, len(samples) / RATE, loudness_lufs(samples), peak_dbfs(samples), dominant_hz(samples))


def dominant_hz(samples: array[float]) -> int:
    """The strongest frequency of the loudest 0.2 s, to 10 Hz, by Goertzel's filter."""
    size = min(len(samples), round(_WINDOW_S * RATE))
    starts = range(0, len(samples) - size + 1, max(1, size // 4))
    loudest = max(starts, key=lambda at: sum(one * one for one in samples[at : at + size]))
    window = samples[loudest : loudest + size]
    return max(range(_LOWEST_HZ, _HIGHEST_HZ, _STEP_HZ), key=lambda hz: _power(window, hz))


def _power(samples: array[float], hz: float) -> float:
    k = 2 * math.cos(2 * math.pi * hz / RATE)
    a = b = 0.0
    for sample in samples:
        a, b = sample + k * a - b, a
    return a * a + b * b - k * a * b


def _written(directory: Path, file: str, recipe: Recipe, said: str) -> SoundRow:
    try:
        content = make_clip(recipe)
        write_whole(directory / file, content)
    except (VoiceError, RecordingError) as error:
        raise SetupError(str(error)) from error
    except OSError as error:
        raise SetupError(f"{directory / file}: {error.strerror}") from error
    return measured(file, said, content)


def _known(tag: str) -> str:
    language = language_for(tag)
    if language is None:
        raise SetupError(text("no_language", tag=tag, known=", ".join((*LANGUAGES, "all"))))
    return language
