"""The speaker: what is heard of it, how loud, and where its clips come from when something fails."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import tempfile
import threading
from array import array
from collections.abc import Sequence
from pathlib import Path

import pytest

from device import clips
from device.adapters.sound import SoundEvent, Speaker
from device.core.effects import Play
from device.core.machine import Trouble
from device.core.role import ChimeStarted, ChimeStopped, Role
from device.core.signals import Call, Phrase, Tone, Words
from device.repertoire import words_of
from device.sounds.making import make_clip
from device.sounds.recipes import ding_dong_recipe, tone_recipe, waking_recipe, words_recipe
from device.sounds.rendering import write_whole
from device.sounds.scores import C6, DING_DONG_SCORE, E5, ChimeName
from device.sounds.waves import RATE
from device.stream import Stream
from tests.device.doubles import ALARM, OTHER
from tests.device.hearing import assert_is_the_chime, bursts, power, strongest
from tests.device.speakers import (
    LIU,
    TAKES,
    WU,
    Buzzer,
    Make,
    fed,
    fed_s,
    played,
    running,
    script,
    told,
)
from tests.device.waiting import wait_until

# --- what is heard --------------------------------------------------------------------------------------------------


def test_a_ring_is_ding_dong_then_who_calls_then_the_waking_chime_rising(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], made_clips: Path
) -> None:
    one = speaker(script(tmp_path, TAKES), percent=100)
    one.chime((LIU,))
    samples = fed_s(tmp_path, 13.0)
    assert_is_the_chime(samples)
    dong_dong_s = sum(note.lasts_s for note in DING_DONG_SCORE)
    said = (made_clips / words_recipe(words_of(LIU), "zh-CN", None).file_name).stat().st_size / 2 / RATE
    waking = samples[round((dong_dong_s + 0.2 + said + 0.2) * RATE) :]
    begins = [begin for begin, _ in bursts(waking[: 3 * RATE])]
    assert [round(at, 1) for at in begins] == [0.0, 1.0, 2.0]
    assert strongest(waking[500:9000]) == pytest.approx(520, abs=5)
    # It begins at 60 per cent and is at full volume after half a minute.
    first, later = max(map(abs, samples[: RATE // 3])), max(map(abs, waking[:9000]))
    full_first = max(map(abs, array("h", make_clip(ding_dong_recipe())[44 : 44 + 2 * (RATE // 3)])))
    full_later = max(map(abs, array("h", make_clip(waking_recipe(ChimeName.T3_520))[44:18044])))
    assert first / full_first == pytest.approx(0.60, abs=0.02)
    assert later / full_later == pytest.approx(0.60 + 0.40 * (dong_dong_s + said + 0.4) / 30, abs=0.03)


def test_an_answer_is_heard_in_between_and_the_other_alarm_rings_on(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, TAKES))
    one.chime((LIU, WU))
    assert {told(heard), told(heard)} == {ChimeStarted(ALARM), ChimeStarted(OTHER)}
    one.chime((WU,))
    one.play(Play(Tone.HEARD, Words(Phrase.GO, label="柳奶奶")))
    assert told(heard) == ChimeStopped(ALARM)
    wait_until(lambda: len(played(tmp_path)) == 2)
    samples = fed_s(tmp_path, 0.5)
    assert strongest(samples[: round(0.15 * RATE)]) == pytest.approx(C6, abs=12)
    assert heard.empty()  # no word of silence for the other
    assert running(played(tmp_path)[-1])


def test_the_answer_to_a_press_is_said_to_its_end_and_then_the_newest(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, TAKES), role=Role.PANEL)
    one.play(Play(Tone.HEARD, Words(Phrase.HEARD)))
    wait_until(lambda: len(played(tmp_path)) == 1)
    one.play(Play(Tone.RECEIVED))
    one.play(Play(Tone.RINGING))
    wait_until(lambda: played(tmp_path) and not running(played(tmp_path)[0]), within_s=20)
    samples = fed(tmp_path)
    assert strongest(samples[: round(0.15 * RATE)]) == pytest.approx(C6, abs=12)
    ringing = array("h", make_clip(tone_recipe(Tone.RINGING))[44:])
    end = len(samples) - len(ringing) - 2 * round(0.2 * RATE)
    assert power(samples[end : end + RATE // 3], E5) > 100 * power(samples[end : end + RATE // 3], C6)
    assert len(samples) / RATE < 0.18 + 3.1 + 0.4 + 1.3  # the one in between was overtaken
    assert len(played(tmp_path)) == 1


def test_a_press_is_answered_at_once_whatever_is_being_said(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, TAKES), role=Role.PANEL)
    for times in (1, 2):
        one.play(Play(Tone.HEARD, Words(Phrase.HEARD)))
        wait_until(lambda times=times: len(played(tmp_path)) == times)  # type: ignore[misc]
        assert strongest(fed_s(tmp_path, 0.15)[: round(0.15 * RATE)]) == pytest.approx(C6, abs=12)
    assert not running(played(tmp_path)[0])


def test_a_tone_is_played_once_and_the_chime_interrupts_it(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, TAKES))
    one.play(Play(Tone.ARRIVED))
    wait_until(lambda: len(played(tmp_path)) == 1)
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    assert not running(played(tmp_path)[0])
    one.chime(())
    assert told(heard) == ChimeStopped(ALARM)
    one.play(Play(Tone.CLOSED))
    wait_until(lambda: len(played(tmp_path)) == 3)
    wait_until(lambda: not running(played(tmp_path)[2]))
    assert len(played(tmp_path)) == 3


def test_a_tone_that_cannot_be_played_beeps_and_is_told(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], buzzer: Buzzer
) -> None:
    one = speaker(script(tmp_path, "exit 1"))
    one.play(Play(Tone.ARRIVED))
    assert told(heard) == Trouble("player_failed", "sound", "the player cannot play")
    wait_until(lambda: buzzer.level)
    wait_until(lambda: not buzzer.level)


def test_nobody_waits_for_a_player_that_takes_its_time_to_start(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that hangs, and the player's program on it: the next press used to wait for it, and with it the device."""
    starts, go = threading.Event(), threading.Event()

    class Slow(Stream):
        def __init__(self, command: Sequence[str]) -> None:
            starts.set()
            assert go.wait(30)
            super().__init__(command)

    monkeypatch.setattr("device.adapters.sound.Stream", Slow)
    one = speaker(script(tmp_path, TAKES))
    one.play(Play(Tone.ARRIVED))
    assert starts.wait(10)

    def order() -> None:
        one.play(Play(Tone.HEARD))
        one.chime((Call(ALARM),))

    orders = threading.Thread(target=order, daemon=True)
    orders.start()
    orders.join(10)
    waited = orders.is_alive()
    go.set()
    assert not waited
    assert told(heard) == ChimeStarted(ALARM)


# --- volume ---------------------------------------------------------------------------------------------------------


def loudness_of(tmp_path: Path, one: Speaker, notice: Play) -> float:
    """The first tone's peak, as a part of the clip's own."""
    before = len(played(tmp_path))
    one.play(notice)
    wait_until(lambda: len(played(tmp_path)) == before + 1)
    clip = array("h", make_clip(tone_recipe(notice.tone))[44:])
    size = len(clip) // 2
    return max(map(abs, fed_s(tmp_path, size / RATE)[:size])) / max(map(abs, clip[:size]))


def test_quiet_hours_make_routine_softer_and_never_an_alarm_or_an_answer(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    night = [True]
    one = speaker(script(tmp_path, TAKES), percent=80, quiet=lambda: night[0], quiet_percent=20)
    routine, answer = Play(Tone.NOTICE, Words(Phrase.REMINDER)), Play(Tone.COMING, Words(Phrase.COMING))
    assert loudness_of(tmp_path, one, routine) == pytest.approx(0.20, abs=0.02)
    assert loudness_of(tmp_path, one, answer) == pytest.approx(0.80, abs=0.02)
    night[0] = False
    assert loudness_of(tmp_path, one, routine) == pytest.approx(0.80, abs=0.02)
    one.tune(10, None)
    assert loudness_of(tmp_path, one, routine) == pytest.approx(0.10, abs=0.02)
    assert loudness_of(tmp_path, one, answer) == pytest.approx(0.40, abs=0.02)
    one.tune(None, None)
    assert loudness_of(tmp_path, one, answer) == pytest.approx(0.80, abs=0.02)


def test_an_alarm_is_never_played_below_40_per_cent(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, TAKES), quiet=lambda: True, quiet_percent=0)
    one.tune(5, None)
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    full = max(map(abs, array("h", make_clip(ding_dong_recipe())[44 : 44 + 2 * RATE])))
    assert max(map(abs, fed_s(tmp_path, 1.0)[:RATE])) / full == pytest.approx(0.40, abs=0.01)


# --- sentences and files --------------------------------------------------------------------------------------------


def files(tmp_path: Path) -> set[str]:
    return {path.name.split(".")[0] for path in (tmp_path / "sounds").glob("*.wav")}


def test_a_tone_does_not_wait_for_a_sentence_and_a_name_that_is_late_is_left_out(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    never = tmp_path / "renderer"
    never.write_text("#!/bin/sh\nexec sleep 60\n")
    never.chmod(0o755)
    monkeypatch.setattr(clips, "_RENDERER", (str(never),))
    one = speaker(script(tmp_path, TAKES), role=Role.PANEL, voice=True)
    plain = words_recipe(Words(Phrase.COMING), "zh-CN", None)
    write_whole(tmp_path / "sounds" / plain.file_name, make_clip(plain))
    one.play(Play(Tone.HEARD))
    wait_until(lambda: len(played(tmp_path)) == 1 and not running(played(tmp_path)[0]))
    one.play(Play(Tone.COMING, Words(Phrase.COMING, who="彭小平")))
    wait_until(lambda: len(played(tmp_path)) == 2)
    wait_until(lambda: not running(played(tmp_path)[1]), within_s=30)
    seconds = len(fed(tmp_path)) / RATE
    said_s = (len(make_clip(plain)) - 44) / 2 / RATE
    assert 1.06 + 0.4 + said_s + 1.0 < seconds < 1.06 + 0.4 + said_s + 2.5


@pytest.mark.system
def test_every_sentence_is_there_after_a_start_and_in_another_language_when_told(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, TAKES), role=Role.PANEL, voice=True, fresh=True)
    phrases = {
        "heard",
        "heard_offline",
        "received",
        "ringing",
        "coming",
        "arrived",
        "unreachable",
        "closed",
        "ok_heard",
    }
    wanted = {f"tone-{tone}" for tone in Tone} | {"ding-dong", "wake-t3-520"} | {f"say-zh-CN-{one}" for one in phrases}
    wait_until(lambda: files(tmp_path) == wanted, within_s=60)
    one.tune(None, "en-GB")
    wait_until(lambda: files(tmp_path) == wanted | {f"say-en-{one}" for one in phrases}, within_s=60)
    one.play(Play(Tone.COMING, Words(Phrase.COMING, who="彭小平")))
    wait_until(lambda: "name-en-coming" in files(tmp_path), within_s=30)
    assert heard.empty()


def test_without_a_voice_tones_sound_alone_and_it_is_told_once(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    player = script(tmp_path, TAKES)
    (tmp_path / "bin").mkdir()
    for needed in ("sh", "cat", "setpriv"):
        found = shutil.which(needed)
        assert found
        (tmp_path / "bin" / needed).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    one = speaker(player, role=Role.PANEL, voice=True)
    trouble = told(heard)
    assert trouble == Trouble("voice_failed", "voice", "espeak-ng is not installed: apt-get install espeak-ng")
    one.play(Play(Tone.COMING, Words(Phrase.COMING, who="彭小平")))
    wait_until(lambda: len(played(tmp_path)) == 1)
    wait_until(lambda: not running(played(tmp_path)[0]), within_s=20)
    tone = array("h", make_clip(tone_recipe(Tone.COMING))[44:])
    assert len(fed(tmp_path)) / RATE < len(tone) / RATE + 0.5 + 2.2
    assert one.alive()
    assert heard.empty()


@pytest.mark.system
def test_a_recording_that_cannot_be_used_is_told_and_the_voice_speaks(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    recordings = tmp_path / "recordings"
    (recordings / "zh-CN").mkdir(parents=True)
    (recordings / "zh-CN" / "heard.wav").write_bytes(b"not a sound")
    one = speaker(script(tmp_path, TAKES), role=Role.PANEL, voice=True, recordings=recordings)
    trouble = told(heard)
    assert isinstance(trouble, Trouble)
    assert (trouble.code, trouble.subject) == ("voice_failed", "recording")
    assert "heard.wav" in trouble.text
    one.play(Play(Tone.HEARD, Words(Phrase.HEARD)))
    wait_until(lambda: played(tmp_path) and not running(played(tmp_path)[-1]), within_s=20)
    assert len(fed(tmp_path)) / RATE > 3.0
    assert heard.empty()


@pytest.mark.system
def test_of_sentences_with_names_only_so_many_are_kept(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "MAX_NAMED", 2)
    one = speaker(script(tmp_path, TAKES), role=Role.PANEL, voice=True)
    directory = tmp_path / "sounds"
    left = {path.name for path in directory.glob("name-*")}
    for who in ("甲", "乙", "丙"):
        words = Words(Phrase.ARRIVED, who=who)
        one.play(Play(Tone.ARRIVED, words))
        newest = words_recipe(words, "zh-CN", None).file_name
        wait_until((directory / newest).exists, within_s=30)
        left = {*left, newest}
    wait_until(lambda: len(list(directory.glob("name-*"))) == 2, within_s=30)
    assert (directory / newest).exists()
    assert heard.empty()


def test_a_broken_file_and_what_a_power_cut_left_are_replaced(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    directory = tmp_path / "sounds"
    directory.mkdir()
    name = ding_dong_recipe().file_name
    (directory / "chime-80-v1.wav").write_bytes(b"of an older version")
    (directory / f"{name}.123.part").write_bytes(b"half")
    one = speaker(script(tmp_path, TAKES), fresh=True)
    (directory / name).write_bytes(b"RIFF")
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    assert_is_the_chime(fed_s(tmp_path, 3.7))
    wait_until(lambda: {path.suffix for path in directory.iterdir()} == {".wav"})
    assert not (directory / "chime-80-v1.wav").exists()


def test_a_disk_that_cannot_hold_the_sounds_does_not_silence_the_bell(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    (tmp_path / "sounds").write_text("a file where the directory should be")
    one = speaker(script(tmp_path, TAKES), fresh=True, buzzer_fitted=False)
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    assert_is_the_chime(fed_s(tmp_path, 3.7))


def test_no_room_for_the_sounds_anywhere_does_not_silence_it_either(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The speaker's thread ended where even the directory for temporary files could not be written."""
    (tmp_path / "sounds").write_text("a file where the directory should be")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    one = speaker(script(tmp_path, TAKES), fresh=True, buzzer_fitted=False)
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    assert_is_the_chime(fed_s(tmp_path, 3.7))
    assert one.alive()


def test_a_renderer_that_dies_is_told_and_started_again(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "renderer"
    broken.write_text("#!/bin/sh\nread line; exit 3\n")
    broken.chmod(0o755)
    whole = clips._RENDERER
    monkeypatch.setattr(clips, "_RENDERER", (str(broken),))
    one = speaker(script(tmp_path, TAKES), fresh=True)
    trouble = told(heard)
    assert isinstance(trouble, Trouble)
    assert trouble.text == "no clip can be made: the renderer ended with status 3"
    assert one.alive()
    monkeypatch.setattr(clips, "_RENDERER", whole)
    one.play(Play(Tone.HEARD, Words(Phrase.DONE)))
    wait_until(
        lambda: played(tmp_path) and not running(played(tmp_path)[0]), within_s=20
    )  # the tone is made on the spot
    assert strongest(fed(tmp_path)[: round(0.15 * RATE)]) == pytest.approx(C6, abs=12)


def children() -> str:
    """The command lines of this process's children."""
    command = ["ps", "--ppid", str(os.getpid()), "-o", "args="]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_renderer_goes_when_it_has_nothing_to_do(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, TAKES), fresh=True)
    wait_until(lambda: len(files(tmp_path)) == len(Tone) + 2, within_s=60)
    wait_until(lambda: "device.sounds.rendering" not in children())
    assert one.alive()
