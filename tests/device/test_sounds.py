"""Every clip, listened to: level, peaks, ends, offset, spectrum, timing; the files and the command that hold them."""

from __future__ import annotations

import cmath
import math
import os
import wave
from array import array
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.core.signals import Phrase, Tone, Words
from device.sounds.level import CEILING, CHIME_LUFS, SPEECH_LUFS, levelled, loudness_lufs, peak_dbfs, trimmed
from device.sounds.making import Recipe, Recording, RecordingError, make_clip
from device.sounds.recipes import count_recipe, ding_dong_recipe, tone_recipe, waking_recipe, words_recipe
from device.sounds.rendering import write_whole
from device.sounds.scores import BEEPS, TONE_SCORES, ChimeName
from device.sounds.sentences import LANGUAGES, fixed_words, sentence
from device.sounds.waves import RATE, Note, WaveError, from_wav, play_notes, wav_header
from device.sounds_command import wanted_clips
from tests.device.hearing import assert_is_t3, assert_is_the_chime, power, samples_of, strongest
from tests.thorough import THOROUGH

ROOT = Path(__file__).parents[2]
SHORT = Words(Phrase.CALL, who="丁一", label="于妈", place="1栋")
LONG = Words(
    Phrase.CALL,
    who="阿卜杜热依木·买买提艾力江和尉迟淑珍",
    label="Great-grandmother Elizabeth Featherstone",
    place="重庆路与解放大道交叉口西湖山小区 12栋3单元1208室",
)
LONGEST = Words(Phrase.CALL, label="西" * 40, place="湖" * 60)


def clips_naming(names: Words) -> dict[str, Recipe]:
    return {file: recipe for file, recipe, _ in wanted_clips(LANGUAGES, names, None)}


HEARD_LANGUAGES = LANGUAGES if THOROUGH else LANGUAGES[:1]
UNHEARD = tuple(f"{language}/" for language in LANGUAGES if language not in HEARD_LANGUAGES)


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, array[int]]:
    """Every clip that a device can play, as it lies on the disk, with short names and with the longest.

    Every day those of the first language; in the slow suite of all.
    """
    directory = tmp_path_factory.mktemp("clips")
    wanted = {file: one for file, one in clips_naming(SHORT).items() if not file.startswith(UNHEARD)}
    named = {file: one for file, one in clips_naming(LONG).items() if file.endswith("-named.wav")}
    wanted |= {f"long/{file}": one for file, one in named.items() if not file.startswith(UNHEARD)}
    wanted["longest.wav"] = words_recipe(LONGEST, "zh-CN", None)
    for file, recipe in wanted.items():
        write_whole(directory / file, make_clip(recipe))
    return {file: samples_of(directory / file) for file in wanted}


def as_floats(samples: array[int]) -> array[float]:
    return array("d", (one / 32768 for one in samples))


@pytest.mark.thorough
@pytest.mark.system
def test_every_sentence_of_both_languages_is_there(heard: dict[str, array[int]]) -> None:
    for language in HEARD_LANGUAGES:
        plain = {file for file in heard if file.startswith(language) and "named" not in file and "count" not in file}
        assert len(plain) == len(list(fixed_words())) == 18
        named = {Path(file).name for file in heard if file.startswith(f"long/{language}")}
        assert named == {Path(file).name for file in heard if file.startswith(language) and "named" in file}
        assert len(named) == 9


@pytest.mark.thorough
@pytest.mark.system
def test_all_clips_are_equally_loud(heard: dict[str, array[int]]) -> None:
    levels = {file: loudness_lufs(as_floats(samples)) for file, samples in heard.items()}
    assert max(levels.values()) - min(levels.values()) < 3.0
    for file, lufs in levels.items():
        assert lufs == pytest.approx(CHIME_LUFS if file.startswith("chimes/") else SPEECH_LUFS, abs=1.0), file


@pytest.mark.thorough
@pytest.mark.system
def test_no_clip_clips_clicks_or_has_an_offset(heard: dict[str, array[int]]) -> None:
    for file, samples in heard.items():
        assert peak_dbfs(as_floats(samples)) <= -1.0, file
        assert max(abs(samples[0]), abs(samples[-1])) <= 100, file
        assert abs(sum(samples) / len(samples)) < 0.002 * 32768, file
        # No step between two samples that a full-scale sine of 4 kHz would not have.
        assert max(abs(a - b) for a, b in pairwise(samples)) < 32768 * 2 * math.pi * 4000 / RATE, file


@pytest.mark.thorough
@pytest.mark.system
def test_speech_sounds_like_speech(heard: dict[str, array[int]]) -> None:
    """Its strongest frequency is a voice's, and it pauses; it lasts as long as its words need at an old ear's pace."""
    for language in HEARD_LANGUAGES:
        for words in fixed_words():
            said = sentence(words, language)
            key = f"call_{words.kind}" if words.phrase is Phrase.CALL else words.phrase
            samples = heard[f"{language}/{key}.wav"]
            loudest = max(range(0, len(samples) - 8820, 4410), key=lambda at: sum(map(abs, samples[at : at + 8820])))
            assert 150 <= strongest(samples[loudest : loudest + 8820]) <= 1400
            syllables = len(said) if language == "zh-CN" else len(said.split()) * 1.4
            assert 2.0 < syllables / (len(samples) / RATE) < 6.0, said


@pytest.mark.thorough
@pytest.mark.system
def test_a_name_is_heard_as_part_of_its_sentence(heard: dict[str, array[int]]) -> None:
    assert len(heard["zh-CN/coming-named.wav"]) != len(heard["zh-CN/coming.wav"])
    for file in (file for file in heard if file.startswith("long/")):
        assert len(heard[file]) > len(heard[file.removeprefix("long/")]), file


@pytest.mark.thorough
@pytest.mark.system
def test_chimes_and_tones_have_their_notes(heard: dict[str, array[int]]) -> None:
    assert_is_the_chime(heard["chimes/ding-dong-3.wav"])
    assert_is_t3(heard["chimes/t3-520.wav"])
    assert_is_the_chime(heard["chimes/ding-dong.wav"])
    rising = heard["chimes/rising.wav"]
    notes = [strongest(rising[round(at * RATE) + 300 : round((at + 0.24) * RATE)]) for at in (0, 0.25, 0.5, 0.75)]
    assert notes == [pytest.approx(hz, abs=8) for hz in (523.25, 659.26, 783.99, 1046.5)]
    for tone in Tone:
        samples, at = heard[f"tones/{tone}.wav"], 0.0
        for note in TONE_SCORES[tone]:
            stretch = samples[round(at * RATE) + 200 : round((at + min(note.lasts_s, 0.3)) * RATE)]
            at += note.lasts_s
            if note.hz:
                assert strongest(stretch) == pytest.approx(note.hz, abs=12), tone
        assert len(samples) / RATE == pytest.approx(at, abs=0.01)


def test_tones_chimes_and_beeps_can_be_told_apart() -> None:
    recipes = [*map(tone_recipe, Tone), *map(waking_recipe, ChimeName), ding_dong_recipe()]
    assert len({recipe.file_name for recipe in recipes}) == len(recipes)
    assert len({make_clip(recipe) for recipe in recipes}) == len(recipes)
    assert set(BEEPS) == set(Tone)
    assert len(set(BEEPS.values())) == len(Tone)
    for beeps in BEEPS.values():
        assert len(beeps) % 2 == 1  # ends with a sound
        assert min(beeps) >= 60  # shorter ones a buzzer does not speak, and an ear does not count


# --- level ----------------------------------------------------------------------------------------------------------


def sine(hz: float, seconds: float, height: float = 1.0) -> array[float]:
    return array("d", (height * math.sin(2 * math.pi * hz * i / RATE) for i in range(round(seconds * RATE))))


# ITU-R BS.1770-4, tables 1 and 2: b0, b1, b2, a1, a2 at 48 kHz.
SHELF_48K = (1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585)
HIGH_PASS_48K = (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621)


def response_db(biquad: tuple[float, ...], hz: float, rate: int) -> float:
    b0, b1, b2, a1, a2 = biquad
    z = cmath.exp(-2j * math.pi * hz / rate)
    return 20 * math.log10(abs((b0 + b1 * z + b2 * z * z) / (1 + a1 * z + a2 * z * z)))


@pytest.mark.parametrize("hz", [40.0, 150.0, 520.0, 997.0, 2000.0, 4000.0])
def test_the_measure_is_that_of_bs1770(hz: float) -> None:
    """Its published filters at another rate than theirs; -0.691 + 10 lg of half the square of a full-scale sine."""
    wanted = -0.691 - 3.01 + response_db(SHELF_48K, hz, 48_000) + response_db(HIGH_PASS_48K, hz, 48_000)
    assert loudness_lufs(sine(hz, 1.0)) == pytest.approx(wanted, abs=0.2)
    assert loudness_lufs(sine(hz, 1.0, 0.1)) == pytest.approx(loudness_lufs(sine(hz, 1.0)) - 20, abs=0.01)


def test_the_limiter_keeps_peaks_down_without_moving_what_is_low() -> None:
    quiet = sine(300, 2.0, 0.05)
    peaky = quiet[:]
    peaky[RATE] = 1.0
    limited = levelled(peaky, SPEECH_LUFS)
    assert max(map(abs, limited)) <= CEILING
    assert loudness_lufs(limited) == pytest.approx(SPEECH_LUFS, abs=0.3)
    far = levelled(quiet, SPEECH_LUFS)
    assert limited[RATE // 4] == pytest.approx(far[RATE // 4], rel=0.02)


def test_silence_and_nothing_stay_what_they_are() -> None:
    for samples in (array("d", [0.0] * 1000), array("d")):
        assert max(map(abs, levelled(samples, SPEECH_LUFS)), default=0.0) == 0.0
        assert loudness_lufs(samples) == -math.inf
        assert peak_dbfs(samples) == -math.inf
    assert len(trimmed(array("d"))) == 0


def test_a_square_wave_has_no_tones_that_were_not_written() -> None:
    samples = play_notes([Note(520.0, 0.5, shape="square")])
    for hz in (1040.0, 730.0, 2600.0 + 260.0):
        assert power(samples, hz) < power(samples, 520.0) / 1000


# --- WAV files and recordings ---------------------------------------------------------------------------------------


def a_wav(path: Path, *, rate: int = RATE, channels: int = 1, width: int = 2, seconds: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = array("h", (round(6000 * math.sin(2 * math.pi * 440 * i / rate)) for i in range(round(seconds * rate))))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        frames = array("h", (one for one in tone for _ in range(channels)))
        file.writeframes(frames.tobytes() if width == 2 else bytes(width * len(frames)))
    return path


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (RATE, 2), (44_100, 2), (48_000, 1)])
def test_a_recording_of_any_usual_kind_is_brought_to_our_rate_and_level(
    tmp_path: Path, rate: int, channels: int
) -> None:
    path = a_wav(tmp_path / "heard.wav", rate=rate, channels=channels)
    samples = from_wav(make_clip(Recipe("x", Recording(str(path), "1"))), longest_s=2)
    assert len(samples) / RATE == pytest.approx(1.0, abs=0.05)
    assert strongest(samples) == pytest.approx(440, abs=5)
    assert loudness_lufs(samples) == pytest.approx(SPEECH_LUFS, abs=0.3)


def test_a_file_that_is_no_recording_is_named_with_the_reason(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.wav"
    rubbish.write_bytes(b"RIFF\x24\x00\x00\x00WAVE" + bytes(range(256)))
    compressed = a_wav(tmp_path / "compressed.wav")
    compressed.write_bytes(compressed.read_bytes()[:20] + b"\x55" + compressed.read_bytes()[21:])
    empty = tmp_path / "empty.wav"
    empty.write_bytes(wav_header(0))
    large = tmp_path / "large.wav"
    with large.open("wb") as file:
        file.truncate(9 * 1024 * 1024)
    wrong = {
        rubbish: "not a whole WAV file",
        compressed: "not a PCM WAV file",
        empty: "no samples",
        large: "more than 8 MiB",
        tmp_path / "missing.wav": "No such file",
        a_wav(tmp_path / "eight.wav", width=1): "8 bit",
        a_wav(tmp_path / "long.wav", rate=8_000, seconds=21): "longer than 20 s",
    }
    for path, reason in wrong.items():
        with pytest.raises(RecordingError, match=reason) as caught:
            make_clip(Recipe("x", Recording(str(path), "1")))
        assert str(path) in str(caught.value)


@given(st.binary(max_size=200))
def test_no_rubbish_is_more_than_an_error(rubbish: bytes) -> None:
    """Python's own reader fell over some; whatever follows a good beginning counts as well."""
    for content in (
        rubbish,
        wav_header(10) + rubbish,
        b"RIFF\0\0\0\0WAVEfmt " + rubbish,
        wav_header(10)[:36] + rubbish,
    ):
        with suppress(WaveError):
            assert len(from_wav(content, longest_s=1)) > 0


def test_a_stream_without_a_length_is_read_as_far_as_it_goes() -> None:
    stream = wav_header(0x7FFF_F000) + bytes(4410)
    assert len(from_wav(stream, longest_s=1)) == 2205
    with pytest.raises(WaveError):
        from_wav(stream[:20], longest_s=1)


def test_recordings_take_the_place_of_what_they_are_named_after(tmp_path: Path) -> None:
    def material(words: Words) -> object:
        return words_recipe(words, "zh-CN", tmp_path).material

    a_wav(tmp_path / "zh-CN" / "coming.wav")
    a_wav(tmp_path / "zh-CN" / "call_help@柳奶奶.wav")
    a_wav(tmp_path / "zh-CN" / "count_2.wav")
    assert isinstance(material(Words(Phrase.COMING)), Recording)
    assert not isinstance(material(Words(Phrase.COMING, who="彭小平")), Recording)
    assert isinstance(material(Words(Phrase.CALL, label="柳奶奶", place="3栋")), Recording)
    assert not isinstance(material(Words(Phrase.CALL, label="柳奶奶2")), Recording)
    assert not isinstance(material(Words(Phrase.CALL, place="3栋")), Recording)
    assert not isinstance(words_recipe(Words(Phrase.COMING), "en", tmp_path).material, Recording)
    count = count_recipe(2, "zh-CN", tmp_path)
    assert count is not None
    assert isinstance(count.material, Recording)
    # A name from the wire leads nowhere else.
    a_wav(tmp_path / "secret.wav")
    assert not isinstance(material(Words(Phrase.COMING, who="x/../../secret")), Recording)


def test_a_recording_made_anew_is_another_clip(tmp_path: Path) -> None:
    path = a_wav(tmp_path / "zh-CN" / "heard.wav")
    first = words_recipe(Words(Phrase.HEARD), "zh-CN", tmp_path).file_name
    os.utime(path, (1, 1))
    assert words_recipe(Words(Phrase.HEARD), "zh-CN", tmp_path).file_name != first
