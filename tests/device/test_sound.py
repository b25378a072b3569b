"""The speaker: a real player plays it, and nothing is told that does not sound."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import time
from array import array
from pathlib import Path

import pytest

from device import stream
from device.adapters import sound
from device.adapters.sound import SoundEvent
from device.core.effects import Play
from device.core.machine import Trouble
from device.core.role import ChimeStarted, ChimeStopped
from device.core.signals import Call, Phrase, Tone, Words
from device.sounds.scores import C6
from device.sounds.waves import RATE
from tests.device.doubles import ALARM, OTHER
from tests.device.hearing import assert_is_the_chime, strongest
from tests.device.speakers import (
    LIU,
    TAKES,
    TAKES_AND_HANGS,
    Buzzer,
    Make,
    played,
    running,
    script,
    sounding,
    told,
)
from tests.device.waiting import wait_until

# --- a real player --------------------------------------------------------------------------------------------------


@pytest.mark.system
def test_aplay_plays_the_chime_into_an_alsa_device_and_stops(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that swallows samples faster than time: it is fed no faster than they can be heard."""
    assert shutil.which("aplay"), "aplay is missing and this test needs it: run `make test-deps`"
    recorded = tmp_path / "recorded.raw"
    conf = tmp_path / "asound.conf"
    conf.write_text(
        f'pcm.!default {{ type file slave.pcm "null" file "{recorded}" format "raw" }}\npcm.null {{ type null }}\n'
    )
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(conf))
    one = speaker(["aplay", "-q", "-N"], percent=100)
    began = time.monotonic()
    one.chime((LIU,))
    assert told(heard) == ChimeStarted(ALARM)
    wait_until(lambda: recorded.stat().st_size > 2 * RATE * 4.5, within_s=30)
    assert recorded.stat().st_size / 2 / RATE < time.monotonic() - began + stream.LEAD_S + 0.5
    one.chime(())
    assert told(heard) == ChimeStopped(ALARM)
    written = recorded.stat().st_mtime_ns
    content = recorded.read_bytes()
    assert_is_the_chime(array("h", content[: len(content) // 2 * 2]))
    one.close()
    assert recorded.stat().st_mtime_ns == written
    assert heard.empty()


def test_a_loose_plug_costs_no_more_than_a_second_each_time(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pauses used to grow to 30 s though every player had been heard."""
    monkeypatch.setattr(sound, "_RETRY_S", (0.05, 60.0))
    monkeypatch.setattr(sound, "_RANG_BYTES", 20_000)
    one = speaker(script(tmp_path, 'head -c 30000 "$1" > /dev/null; exit 1'), buzzer_fitted=False)
    one.chime((LIU,))
    wait_until(lambda: len(played(tmp_path)) == 4)


@pytest.mark.system
def test_aplay_plays_a_tone_to_its_end(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, conf = tmp_path / "recorded.raw", tmp_path / "asound.conf"
    conf.write_text(
        f'pcm.!default {{ type file slave.pcm "null" file "{recorded}" format "raw" }}\npcm.null {{ type null }}\n'
    )
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(conf))
    one = speaker(["aplay", "-q", "-N"])
    one.play(Play(Tone.HEARD))
    wait_until(lambda: recorded.exists() and recorded.stat().st_size > 2 * RATE * 0.3)
    tone = array("h", recorded.read_bytes()[: 2 * round(0.18 * RATE)])
    assert strongest(tone) == pytest.approx(C6, abs=12)
    one.close()
    assert heard.empty()


# --- what is told ---------------------------------------------------------------------------------------------------


def test_started_is_told_when_the_player_takes_what_it_is_fed_and_stopped_when_it_is_dead(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, TAKES))
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    (first,) = played(tmp_path)
    assert running(first)
    one.chime((Call(ALARM), Call(OTHER)))
    assert told(heard) == ChimeStarted(OTHER)
    assert not running(first)  # the new one is announced at once
    one.chime((Call(OTHER),))
    assert told(heard) == ChimeStopped(ALARM)
    second = played(tmp_path)[-1]
    assert running(second)  # the other goes on without a gap
    one.chime(())
    assert told(heard) == ChimeStopped(OTHER)
    assert not running(second)
    assert len(played(tmp_path)) == 2


def test_a_chime_that_is_answered_ends_at_once(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever says so kills the player: here the speaker's thread would not look before a minute."""
    monkeypatch.setattr(sound, "_LOOK_S", 60.0)
    one = speaker(script(tmp_path, f'head -c 9000 "$1" > /dev/null; touch {tmp_path}/blocked; exec sleep 60'))
    one.chime((Call(ALARM),))
    wait_until((tmp_path / "blocked").exists)
    one.chime(())
    wait_until(lambda: not sounding(played(tmp_path)[0]), within_s=5.0)


def test_a_player_that_has_gone_before_the_end_proves_nothing() -> None:
    gone = stream.Stream(["true"])
    assert gone.wait(10.0) == 0
    assert not gone.proven(doubted=False)
    gone.end_input()
    assert gone.proven(doubted=False)  # to the end, this is: all there was has been played
    gone.close()


def test_a_player_that_is_killed_is_started_again(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, TAKES), buzzer_fitted=False)
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    os.kill(played(tmp_path)[0], signal.SIGKILL)
    seen = [told(heard) for _ in range(4)]
    assert seen == [
        Trouble("player_failed", "sound", "the player cannot play the chime"),
        ChimeStopped(ALARM),
        Trouble("player_failed", "sound", cleared=True),
        ChimeStarted(ALARM),
    ]
    assert len(played(tmp_path)) == 2


def test_a_player_that_takes_nothing_is_never_told_to_sound(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    """It lives, and that was proof enough until now."""
    one = speaker(script(tmp_path, "exec sleep 60"), buzzer_fitted=False)
    one.chime((Call(ALARM),))
    assert told(heard) == Trouble("player_failed", "sound", "the player cannot play the chime")
    one.close()
    assert all(isinstance(event, Trouble) for event in heard.queue)


def test_a_player_that_hangs_is_noticed_within_three_seconds(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], buzzer: Buzzer
) -> None:
    """It was held as sounding for up to ten."""
    assert stream.STALL_S + stream.PIPE_BYTES / stream.BYTES_S < 2.5
    one = speaker(script(tmp_path, f'head -c 20000 "$1" > /dev/null; touch {tmp_path}/hangs; exec sleep 60'))
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    wait_until((tmp_path / "hangs").exists)
    assert told(heard) == Trouble("player_failed", "sound", "the player cannot play the chime")
    wait_until(buzzer.blinker.toggling)
    hung = time.time() - (tmp_path / "hangs").stat().st_mtime
    assert hung < 20  # a bound on a busy machine; the rule is the first line's
    assert heard.empty()  # it sounded all the time


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A player hangs after half a second, and after one half a second of sound is proof again."""
    monkeypatch.setattr(stream, "STALL_S", 0.5)
    monkeypatch.setattr(stream, "DOUBTED_PROOF_S", 0.7)
    monkeypatch.setattr(sound, "_RETRY_S", (0.2,))


FAILED = Trouble("player_failed", "sound", "the player cannot play the chime")


def after_failures(heard: queue.Queue[SoundEvent]) -> SoundEvent:
    while (event := told(heard)) == FAILED:
        pass
    return event


@pytest.mark.usefixtures("impatient")
def test_a_player_that_hangs_is_killed_and_the_buzzer_sounds_until_it_plays_again(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], buzzer: Buzzer
) -> None:
    one = speaker(script(tmp_path, f"[ -e {tmp_path}/works ] && {TAKES}\n{TAKES_AND_HANGS}"))
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    assert told(heard) == FAILED
    assert not running(played(tmp_path)[0])
    wait_until(buzzer.blinker.toggling)
    wait_until(lambda: len(played(tmp_path)) == 3)  # a whole second try has hung as well
    assert buzzer.blinker.toggling()  # and taking what a buffer holds was no proof
    one.chime((Call(ALARM), Call(OTHER)))
    assert after_failures(heard) == ChimeStarted(OTHER)
    (tmp_path / "works").touch()
    assert after_failures(heard) == Trouble("player_failed", "sound", cleared=True)
    wait_until(lambda: not buzzer.blinker.toggling())
    assert heard.empty()  # it sounded all the time


@pytest.mark.usefixtures("impatient")
def test_a_player_that_hangs_without_a_buzzer_is_told_as_silence(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    body = f'head -c 20000 "$1" > /dev/null; sleep 60 & echo $! >> {tmp_path}/child\nwait'
    one = speaker(script(tmp_path, body), buzzer_fitted=False)
    one.chime((Call(ALARM),))
    assert [told(heard) for _ in range(3)] == [ChimeStarted(ALARM), FAILED, ChimeStopped(ALARM)]
    wait_until(lambda: len(played(tmp_path)) == 3)
    child = int((tmp_path / "child").read_text().split()[0])
    wait_until(lambda: not sounding(child))  # what a script has started must not sound on
    assert all(isinstance(event, Trouble) and not event.cleared for event in heard.queue)


@pytest.mark.usefixtures("impatient")
def test_a_player_that_hangs_at_the_end_of_a_tone_is_killed_and_told(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, 'cat "$1" > /dev/null; exec sleep 60'))
    one.play(Play(Tone.HEARD))
    wait_until(lambda: played(tmp_path) and not running(played(tmp_path)[0]))
    assert told(heard) == Trouble("player_failed", "sound", "the player cannot play")


def test_the_buzzer_takes_over_at_once_where_the_player_cannot_play(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], buzzer: Buzzer
) -> None:
    one = speaker(script(tmp_path, "exit 1"))
    one.chime((Call(ALARM),))
    assert told(heard) == FAILED
    assert told(heard) == ChimeStarted(ALARM)
    assert buzzer.blinker.toggling()
    wait_until(lambda: buzzer.level)
    one.chime(())
    assert told(heard) == ChimeStopped(ALARM)
    wait_until(lambda: not buzzer.level)


def test_a_player_that_ends_well_without_playing_has_failed(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    one = speaker(script(tmp_path, "exit 0"), buzzer_fitted=False)
    one.chime((Call(ALARM),))
    assert told(heard) == FAILED
    one.close()
    assert all(isinstance(event, Trouble) and not event.cleared for event in heard.queue)


def test_a_player_that_works_again_takes_over_from_the_buzzer(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], buzzer: Buzzer
) -> None:
    one = speaker(script(tmp_path, f"[ -e {tmp_path}/works ] || exit 1\n{TAKES}"))
    one.chime((Call(ALARM),))
    assert told(heard) == FAILED
    assert told(heard) == ChimeStarted(ALARM)
    (tmp_path / "works").touch()
    assert after_failures(heard) == Trouble("player_failed", "sound", cleared=True)
    wait_until(lambda: not buzzer.blinker.toggling())
    assert heard.empty()  # it sounded all the time


def test_without_player_and_buzzer_nothing_is_told_to_sound(speaker: Make, heard: queue.Queue[SoundEvent]) -> None:
    one = speaker(["/nonexistent/player"], buzzer_fitted=False)
    one.chime((Call(ALARM),))
    assert isinstance(told(heard), Trouble)
    one.chime(())
    one.close()
    assert all(isinstance(event, Trouble) for event in heard.queue)


def test_player_none_is_the_buzzer_only(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent], buzzer: Buzzer
) -> None:
    one = speaker(None, fresh=True, voice=True)
    one.chime((Call(ALARM),))
    assert told(heard) == ChimeStarted(ALARM)
    assert buzzer.blinker.toggling()
    one.chime((Call(OTHER),))
    assert {told(heard), told(heard)} == {ChimeStopped(ALARM), ChimeStarted(OTHER)}
    one.chime(())
    one.play(Play(Tone.HEARD, Words(Phrase.DONE)))
    assert told(heard) == ChimeStopped(OTHER)
    assert not (tmp_path / "sounds").exists()  # nothing is rendered for a device that cannot play it
