"""The speaker: what the sounds contain, that a real player plays them, and that nothing is told that does not sound."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.adapters import sound
from device.adapters.sound import SoundEvent, Speaker
from device.blinker import Blinker
from device.core.effects import Play
from device.core.machine import Trouble
from device.core.role import ChimeStarted, ChimeStopped
from device.core.signals import Call, Tone
from device.synth import BEEPS, RATE, Clip, length_s, render, size_bytes
from tests.device.doubles import ALARM, OTHER
from tests.device.hearing import assert_is_the_chime, samples_of
from tests.device.waiting import wait_until


@pytest.fixture
def heard() -> queue.Queue[SoundEvent]:
    return queue.Queue()


def told(heard: queue.Queue[SoundEvent]) -> SoundEvent:
    return heard.get(timeout=10)


class Buzzer:
    """A buzzer's line, written by a real ``Blinker``."""

    def __init__(self) -> None:
        self.level = False
        self.blinker = Blinker("buzzer", self._write)

    def _write(self, level: bool) -> None:
        self.level = level


@pytest.fixture
def buzzer() -> Iterator[Buzzer]:
    made = Buzzer()
    yield made
    made.blinker.close()


Make = Callable[..., Speaker]


@pytest.fixture
def speaker(tmp_path: Path, heard: queue.Queue[SoundEvent], buzzer: Buzzer) -> Iterator[Make]:
    made: list[Speaker] = []

    def make(player: list[str] | None, *, buzzer_fitted: bool = True, percent: int = 80) -> Speaker:
        blinker = buzzer.blinker if buzzer_fitted else None
        made.append(Speaker(player, tmp_path / "sounds", percent=percent, buzzer=blinker, sink=heard.put))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close()
        assert not one.alive()


def script(tmp_path: Path, body: str) -> list[str]:
    """A player: notes its process id, then does as told."""
    path = tmp_path / "player.sh"
    path.write_text(f'#!/bin/sh\necho "$$ $1" >> {tmp_path}/played\n{body}\n')
    path.chmod(0o755)
    return [str(path)]


def played(tmp_path: Path) -> list[tuple[int, str]]:
    file = tmp_path / "played"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(int(pid), Path(wav).name) for pid, wav in (line.split() for line in lines)]


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def sounding(pid: int) -> bool:
    """Whether a process of another parent runs; one that nobody has waited for yet is dead."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


# --- the sounds -----------------------------------------------------------------------------------------------------


def test_the_chime_is_three_times_ding_dong_and_silence(tmp_path: Path) -> None:
    path = tmp_path / "chime.wav"
    path.write_bytes(render(Clip.CHIME, 100))
    assert_is_the_chime(samples_of(path))


@pytest.mark.parametrize("what", [Clip.CHIME, *Tone])
def test_no_sound_clips_or_clicks_and_its_size_is_known(what: Clip | Tone, tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(render(what, 100))
    samples = samples_of(path)
    assert path.stat().st_size == size_bytes(what)
    assert 0.25 * 32767 < max(map(abs, samples)) <= 0.91 * 32767
    assert (abs(samples[0]), abs(samples[-1])) <= (300, 300)
    assert len(samples) / RATE == pytest.approx(length_s(what), abs=0.01)


def test_tones_and_beeps_can_be_told_apart() -> None:
    assert len({render(tone, 50) for tone in Tone}) == len(Tone)
    assert set(BEEPS) == set(Tone)
    assert len(set(BEEPS.values())) == len(Tone)


def test_half_the_volume_is_half_as_high(tmp_path: Path) -> None:
    peaks = []
    for percent in (100, 50):
        path = tmp_path / f"{percent}.wav"
        path.write_bytes(render(Tone.COMING, percent))
        peaks.append(max(map(abs, samples_of(path))))
    assert peaks[1] == pytest.approx(peaks[0] / 2, rel=0.01)


# --- a real player --------------------------------------------------------------------------------------------------


@pytest.mark.system
def test_aplay_plays_the_chime_into_an_alsa_device_and_stops(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shutil.which("aplay"), "aplay is missing and this test needs it: run `make test-deps`"
    recorded = tmp_path / "recorded.wav"
    conf = tmp_path / "asound.conf"
    conf.write_text(
        f'pcm.!default {{ type file slave.pcm "null" file "{recorded}" format "wav" }}\npcm.null {{ type null }}\n'
    )
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(conf))
    one = speaker(["aplay", "-q", "-N"])
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    one.chime(())
    assert told(heard) == ChimeStopped(ALARM)
    written = recorded.stat().st_mtime_ns
    samples = samples_of(recorded)
    assert_is_the_chime(samples[: round(length_s(Clip.CHIME) * RATE)])
    one.close()
    assert recorded.stat().st_mtime_ns == written
    assert heard.empty()


# --- what is told ---------------------------------------------------------------------------------------------------


def test_started_is_told_when_the_process_runs_and_stopped_when_it_is_dead(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, "exec sleep 60"))
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    ((pid, wav),) = played(tmp_path)
    assert wav.startswith("chime-80-")
    assert running(pid)
    one.chime((Call(ALARM), Call(OTHER)))
    assert told(heard) == ChimeStarted(OTHER)
    one.chime((Call(OTHER),))
    assert told(heard) == ChimeStopped(ALARM)
    one.chime(())
    assert told(heard) == ChimeStopped(OTHER)
    assert not running(pid)
    assert len(played(tmp_path)) == 1  # other alarms, the same chime


def test_a_player_that_is_killed_is_started_again(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, "exec sleep 60"), buzzer_fitted=False)
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    os.kill(played(tmp_path)[0][0], signal.SIGKILL)
    seen = [told(heard) for _ in range(4)]
    assert seen == [
        Trouble("player_failed", "sound", "the player cannot play the chime"),
        ChimeStopped(ALARM),
        Trouble("player_failed", "sound", cleared=True),
        ChimeStarted(ALARM),
    ]
    assert len(played(tmp_path)) == 2


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sounds of half a second, and a player is killed after one."""
    monkeypatch.setattr(sound, "length_s", lambda _: 0.5)
    monkeypatch.setattr(sound, "_PATIENCE_S", 0.5)
    monkeypatch.setattr(sound, "_RETRY_S", (0.2,))


@pytest.mark.usefixtures("impatient")
def test_a_player_that_hangs_is_killed_and_the_buzzer_sounds_until_it_has_played_to_an_end(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], buzzer: Buzzer
) -> None:
    one = speaker(script(tmp_path, f"[ -e {tmp_path}/works ] && exec sleep 0.3\nexec sleep 60"))
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    assert told(heard) == Trouble("player_failed", "sound", "the player cannot play the chime")
    assert not running(played(tmp_path)[0][0])
    wait_until(buzzer.blinker.toggling)
    wait_until(lambda: len(played(tmp_path)) == 3)  # a whole second try has hung as well
    assert buzzer.blinker.toggling()
    one.chime((Call(ALARM), Call(OTHER)))
    while (event := told(heard)) == Trouble("player_failed", "sound", "the player cannot play the chime"):
        pass
    assert event == ChimeStarted(OTHER)
    (tmp_path / "works").touch()
    while (event := told(heard)) == Trouble("player_failed", "sound", "the player cannot play the chime"):
        pass
    assert event == Trouble("player_failed", "sound", cleared=True)
    wait_until(lambda: not buzzer.blinker.toggling())
    assert heard.empty()  # it sounded all the time


@pytest.mark.usefixtures("impatient")
def test_a_player_that_hangs_without_a_buzzer_is_told_as_silence(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, f"sleep 60 & echo $! >> {tmp_path}/child\nwait"), buzzer_fitted=False)
    one.chime((Call(ALARM),))
    assert [told(heard) for _ in range(3)] == [
        ChimeStarted(ALARM),
        Trouble("player_failed", "sound", "the player cannot play the chime"),
        ChimeStopped(ALARM),
    ]
    wait_until(lambda: len(played(tmp_path)) == 3)
    child = int((tmp_path / "child").read_text().split()[0])
    wait_until(lambda: not sounding(child))  # what a script has started must not sound on
    assert all(isinstance(event, Trouble) and not event.cleared for event in heard.queue)


def test_the_buzzer_takes_over_at_once_where_the_player_cannot_play(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], buzzer: Buzzer
) -> None:
    one = speaker(script(tmp_path, "exit 1"))
    one.chime((Call(ALARM),))
    assert isinstance(told(heard), Trouble)
    assert told(heard) == ChimeStarted(ALARM)
    assert buzzer.blinker.toggling()
    wait_until(lambda: buzzer.level)
    one.chime(())
    assert told(heard) == ChimeStopped(ALARM)
    wait_until(lambda: not buzzer.level)


def test_a_player_that_works_again_takes_over_from_the_buzzer(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], buzzer: Buzzer
) -> None:
    one = speaker(script(tmp_path, f"[ -e {tmp_path}/works ] || exit 1\nexec sleep 60"))
    one.chime((Call(ALARM),))
    assert isinstance(told(heard), Trouble)
    assert told(heard) == ChimeStarted(ALARM)
    (tmp_path / "works").touch()
    assert told(heard) == Trouble("player_failed", "sound", cleared=True)
    wait_until(lambda: not buzzer.blinker.toggling())
    assert heard.empty()  # it sounded all the time


def test_without_player_and_buzzer_nothing_is_told_to_sound(speaker: Make, heard: queue.Queue[SoundEvent]) -> None:
    one = speaker(["/nonexistent/player"], buzzer_fitted=False)
    one.chime((Call(ALARM),))
    assert isinstance(told(heard), Trouble)
    one.chime(())
    one.close()
    assert all(isinstance(event, Trouble) for event in heard.queue)


def test_player_none_is_the_buzzer_only(speaker: Make, heard: queue.Queue[SoundEvent], buzzer: Buzzer) -> None:
    one = speaker(None)
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    assert buzzer.blinker.toggling()
    one.chime((Call(OTHER),))
    assert {told(heard), told(heard)} == {ChimeStopped(ALARM), ChimeStarted(OTHER)}


def test_a_tone_is_played_once_and_the_chime_interrupts_it(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, "exec sleep 60"))
    one.play(Play(Tone.COMING))
    wait_until(lambda: len(played(tmp_path)) == 1)
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    (tone_pid, tone), (_, chime) = played(tmp_path)
    assert (tone.split("-")[0], chime.split("-")[0]) == ("coming", "chime")
    assert not running(tone_pid)
    one.play(Play(Tone.HEARD))  # not over the chime
    one.chime(())
    assert told(heard) == ChimeStopped(ALARM)
    one.play(Play(Tone.CLOSED))
    wait_until(lambda: len(played(tmp_path)) == 3)
    assert played(tmp_path)[2][1].startswith("closed-")


def test_a_tone_that_cannot_be_played_beeps_and_is_told(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], buzzer: Buzzer
) -> None:
    one = speaker(script(tmp_path, "exit 1"))
    one.play(Play(Tone.ARRIVED))
    assert told(heard) == Trouble("player_failed", "sound", "the player cannot play the tone arrived")
    wait_until(lambda: buzzer.level)
    wait_until(lambda: not buzzer.level)


def test_an_alarm_is_never_played_below_40_per_cent(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, "exec sleep 60"))
    one.tune(5, None)
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    assert played(tmp_path)[0][1].startswith("chime-40-")


def test_a_new_volume_is_rendered_before_it_is_needed_and_the_old_one_deleted(tmp_path: Path, speaker: Make) -> None:
    def files() -> set[str]:
        return {file.name for file in (tmp_path / "sounds").glob("*.wav")}

    one = speaker(script(tmp_path, "exec sleep 60"))
    wait_until(lambda: len(files()) == 1 + len(Tone))
    one.tune(60, None)
    wait_until(lambda: files() == {f"{what.value}-60-v1.wav" for what in (Clip.CHIME, *Tone)})
    one.tune(None, None)
    wait_until(lambda: files() == {f"{what.value}-80-v1.wav" for what in (Clip.CHIME, *Tone)})


def test_a_half_written_cached_file_is_rendered_anew(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "chime-80-v1.wav").write_bytes(b"RIFF")
    one = speaker(script(tmp_path, "exec sleep 60"))
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    assert (tmp_path / "sounds" / "chime-80-v1.wav").stat().st_size == size_bytes(Clip.CHIME)


def test_a_disk_that_cannot_hold_the_sounds_does_not_silence_the_bell(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    (tmp_path / "sounds").write_text("a file where the directory should be")
    one = speaker(script(tmp_path, '[ -s "$1" ] || exit 1\nexec sleep 60'), buzzer_fitted=False)
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)


def test_no_room_for_the_sounds_anywhere_leaves_the_buzzer(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The speaker's thread ended where even the directory for temporary files could not be written."""
    (tmp_path / "sounds").write_text("a file where the directory should be")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    one = speaker(script(tmp_path, '[ -s "$1" ] || exit 1\nexec sleep 60'))
    one.chime((Call(ALARM),))
    assert isinstance(told(heard), Trouble)
    assert told(heard) == ChimeStarted(ALARM)
