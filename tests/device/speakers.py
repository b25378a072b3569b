"""A speaker for tests: with players that are scripts, a buzzer's line, and ears for what they were fed."""

from __future__ import annotations

import os
import queue
import shutil
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.adapters.sound import SoundEvent, Speaker
from device.blinker import Blinker
from device.core.role import Role
from device.core.signals import Call, Phrase, Tone, Words
from device.repertoire import SpeakerOptions, words_of
from device.sounds.making import make_clip
from device.sounds.recipes import ding_dong_recipe, tone_recipe, waking_recipe, words_recipe
from device.sounds.rendering import write_whole
from device.sounds.scores import ChimeName
from device.sounds.waves import RATE
from tests.device.doubles import ALARM, OTHER
from tests.device.waiting import wait_until

LIU, WU = Call(ALARM, "柳奶奶", "3栋502"), Call(OTHER, "吴爷爷", "5栋101")
TAKES = 'exec cat "$1" > "$0.heard.$$"'
"""The body of a player that takes whatever it is fed."""
TAKES_AND_HANGS = 'head -c 20000 "$1" > /dev/null; exec sleep 60'


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


@pytest.fixture(scope="module")
def made_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clips of a bell that has run before: scores, and what is said of two calls."""
    directory = tmp_path_factory.mktemp("made")
    words = [words_of(LIU), words_of(WU), Words(Phrase.GO, label="柳奶奶"), Words(Phrase.HEARD)]
    recipes = [ding_dong_recipe(), waking_recipe(ChimeName.T3_520), *map(tone_recipe, Tone)]
    for recipe in [*recipes, *(words_recipe(one, "zh-CN", None) for one in words)]:
        write_whole(directory / recipe.file_name, make_clip(recipe))
    return directory


@pytest.fixture
def speaker(tmp_path: Path, heard: queue.Queue[SoundEvent], buzzer: Buzzer, made_clips: Path) -> Iterator[Make]:
    made: list[Speaker] = []

    def make(
        player: list[str] | None, *, buzzer_fitted: bool = True, fresh: bool = False, **options: object
    ) -> Speaker:
        if not fresh:
            shutil.copytree(made_clips, tmp_path / "sounds", dirs_exist_ok=True)
        wanted: dict[str, object] = {"role": Role.BELL, "voice": False, **options}
        blinker = buzzer.blinker if buzzer_fitted else None
        one = SpeakerOptions(player, **wanted)  # type: ignore[arg-type]  # of whatever kind a test needs
        made.append(Speaker(one, tmp_path / "sounds", buzzer=blinker, sink=heard.put))
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


def played(tmp_path: Path) -> list[int]:
    """The process ids of the players there were."""
    file = tmp_path / "played"
    lines = file.read_text().splitlines() if file.exists() else []
    assert all(line.split()[1] == "/dev/stdin" for line in lines)
    return [int(line.split()[0]) for line in lines]


def fed(tmp_path: Path, which: int = -1) -> array[int]:
    """What a player that ``TAKES`` was fed, without the header."""
    content = (tmp_path / f"player.sh.heard.{played(tmp_path)[which]}").read_bytes()[44:]
    return array("h", content[: len(content) - len(content) % 2])


def fed_s(tmp_path: Path, seconds: float, which: int = -1) -> array[int]:
    """So many seconds of it, as soon as they are there."""
    wait_until(lambda: len(played(tmp_path)) > 0, within_s=20)
    heard = tmp_path / f"player.sh.heard.{played(tmp_path)[which]}"
    wait_until(lambda: heard.exists() and heard.stat().st_size >= 44 + 2 * RATE * seconds, within_s=30)
    return fed(tmp_path, which)


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def sounding(pid: int) -> bool:
    """Whether a process of another parent runs; one that nobody has waited for yet is dead."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the second: it ended between opening and reading
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
