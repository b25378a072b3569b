"""The silent proof of the player: zeros to their end, and whatever must be heard comes first."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from device.adapters.sound import SoundEvent, SoundProof
from device.core.machine import Trouble
from device.core.role import ChimeStarted
from device.core.signals import Call
from device.sounds.waves import RATE
from tests.device.doubles import ALARM
from tests.device.speakers import TAKES, Buzzer, Make, fed, played, script
from tests.device.waiting import wait_until


def test_the_proof_plays_zeros_to_their_end(speaker: Make, tmp_path: Path) -> None:
    made = speaker(script(tmp_path, TAKES))
    assert made.prove(10) is SoundProof.PLAYED
    assert len(played(tmp_path)) == 1
    samples = fed(tmp_path)
    assert len(samples) / RATE == pytest.approx(0.5, abs=0.01)
    assert set(samples) == {0}


def test_a_player_that_cannot_play_silence_is_told_and_nothing_buzzes(
    speaker: Make, tmp_path: Path, heard: queue.Queue[SoundEvent], buzzer: Buzzer
) -> None:
    works = tmp_path / "works"
    made = speaker(script(tmp_path, f"test -e {works} || exit 1\n{TAKES}"))
    assert made.prove(10) is SoundProof.FAILED
    assert heard.get(timeout=10) == Trouble("player_failed", "sound", "the player cannot play silence")
    assert not buzzer.blinker.toggling()
    works.touch()
    assert made.prove(10) is SoundProof.PLAYED
    assert heard.get(timeout=10) == Trouble("player_failed", "sound", cleared=True)


def test_an_alarm_cuts_the_proof_short_and_rings_at_once(
    speaker: Make, tmp_path: Path, heard: queue.Queue[SoundEvent]
) -> None:
    made = speaker(script(tmp_path, f"[ -e {tmp_path}/hung ] && {TAKES}\ntouch {tmp_path}/hung; exec sleep 30"))
    proofs: queue.Queue[SoundProof] = queue.Queue()
    prover = threading.Thread(target=lambda: proofs.put(made.prove(10)))
    prover.start()
    wait_until((tmp_path / "hung").exists)
    made.chime([Call(ALARM)])
    assert proofs.get(timeout=10) is SoundProof.OVERTAKEN
    assert heard.get(timeout=10) == ChimeStarted(ALARM)
    assert made.prove(0.05) is SoundProof.OVERTAKEN  # while it rings there is no time for it
    prover.join()


def test_without_a_player_there_is_nothing_to_prove_in_silence(speaker: Make, buzzer: Buzzer) -> None:
    assert speaker(None).prove(10) is SoundProof.NO_PLAYER
    assert not buzzer.blinker.toggling()
