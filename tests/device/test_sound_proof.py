"""The silent proof of the player: zeros to their end, and whatever must be heard comes first."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.adapters.sound import SoundEvent, SoundProof, Speaker
from device.blinker import Blinker
from device.core.machine import Trouble
from device.core.role import ChimeStarted
from device.core.signals import Call
from tests.device.doubles import ALARM
from tests.device.hearing import samples_of
from tests.device.waiting import wait_until

Make = Callable[[list[str] | None], Speaker]


@pytest.fixture
def heard() -> queue.Queue[SoundEvent]:
    return queue.Queue()


@pytest.fixture
def buzzer() -> Iterator[Blinker]:
    made = Blinker("buzzer", lambda _lit: None)
    yield made
    made.close()


@pytest.fixture
def speaker(tmp_path: Path, heard: queue.Queue[SoundEvent], buzzer: Blinker) -> Iterator[Make]:
    made: list[Speaker] = []

    def make(player: list[str] | None) -> Speaker:
        made.append(Speaker(player, tmp_path / "sounds", percent=80, buzzer=buzzer, sink=heard.put))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close()


def script(tmp_path: Path, body: str) -> list[str]:
    """A player: notes what it is given, then does as told."""
    path = tmp_path / "player.sh"
    path.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/played\n{body}\n')
    path.chmod(0o755)
    return [str(path)]


def played(tmp_path: Path) -> list[str]:
    file = tmp_path / "played"
    return [Path(line).name for line in file.read_text().splitlines()] if file.exists() else []


def test_the_proof_plays_zeros_to_their_end(speaker: Make, tmp_path: Path) -> None:
    made = speaker(script(tmp_path, f'cp "$1" {tmp_path}/heard.wav'))
    assert made.prove(10) is SoundProof.PLAYED
    assert played(tmp_path) == ["silence-0-v1.wav"]
    assert set(samples_of(tmp_path / "heard.wav")) == {0}


def test_a_player_that_cannot_play_silence_is_told_and_nothing_buzzes(
    speaker: Make, tmp_path: Path, heard: queue.Queue[SoundEvent], buzzer: Blinker
) -> None:
    works = tmp_path / "works"
    made = speaker(script(tmp_path, f"test -e {works}"))
    assert made.prove(10) is SoundProof.FAILED
    assert heard.get(timeout=10) == Trouble("player_failed", "sound", "the player cannot play silence")
    assert not buzzer.toggling()
    works.touch()
    assert made.prove(10) is SoundProof.PLAYED
    assert heard.get(timeout=10) == Trouble("player_failed", "sound", cleared=True)


def test_an_alarm_cuts_the_proof_short_and_rings_at_once(
    speaker: Make, tmp_path: Path, heard: queue.Queue[SoundEvent]
) -> None:
    made = speaker(script(tmp_path, "exec sleep 30"))
    proofs: queue.Queue[SoundProof] = queue.Queue()
    prover = threading.Thread(target=lambda: proofs.put(made.prove(10)))
    prover.start()
    wait_until(lambda: len(played(tmp_path)) == 1)
    made.chime([Call(ALARM)])
    assert proofs.get(timeout=10) is SoundProof.OVERTAKEN
    assert heard.get(timeout=10) == ChimeStarted(ALARM)
    assert made.prove(0.05) is SoundProof.OVERTAKEN  # while it rings there is no time for it
    prover.join()


def test_without_a_player_there_is_nothing_to_prove_in_silence(speaker: Make, buzzer: Blinker) -> None:
    assert speaker(None).prove(10) is SoundProof.NO_PLAYER
    assert not buzzer.toggling()
