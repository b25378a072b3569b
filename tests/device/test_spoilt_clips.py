"""Clips on a card that loses blocks: a file that is there and cannot be read must silence nothing and end nothing.

It used to end the speaker's or the voice's thread, and with it the whole device, at every start anew.
"""

from __future__ import annotations

import errno
import io
import queue
from pathlib import Path
from typing import BinaryIO

import pytest

from device.adapters.sound import SoundEvent
from device.clips import PIECE_BYTES, Clips
from device.core.effects import Play
from device.core.role import Role
from device.core.signals import Phrase, Tone, Words
from device.sounds.making import Recipe, make_clip
from device.sounds.recipes import ding_dong_recipe, tone_recipe, waking_recipe, words_recipe
from device.sounds.rendering import write_whole
from device.sounds.scores import C6, ChimeName
from device.sounds.waves import HEADER_BYTES, RATE
from tests.device.hearing import strongest
from tests.device.speakers import TAKES, Make, fed_s, played, running, script
from tests.device.waiting import wait_until

WAKE = waking_recipe(ChimeName.T3_520)


def spoil(directory: Path, recipe: Recipe) -> Path:
    """Opened as ever, and each read of it is an I/O error."""
    file = directory / recipe.file_name
    file.unlink(missing_ok=True)
    file.symlink_to("/proc/self/mem")
    with file.open("rb") as opened, pytest.raises(OSError, match="Input/output error"):
        opened.read(HEADER_BYTES)
    return file


def test_a_chime_sounds_whole_though_no_block_of_it_can_be_read(tmp_path: Path) -> None:
    clips = Clips(tmp_path, sink=lambda _trouble: None)
    for recipe in (ding_dong_recipe(), WAKE):
        spoil(tmp_path, recipe)
        assert b"".join(clips.pieces(recipe) or ()) == make_clip(recipe)[HEADER_BYTES:]


def test_a_press_is_answered_and_what_is_spoilt_is_made_anew(
    tmp_path: Path, speaker: Make, heard: queue.Queue[SoundEvent]
) -> None:
    (tmp_path / "sounds").mkdir()
    waking, answer = (spoil(tmp_path / "sounds", one) for one in (WAKE, tone_recipe(Tone.HEARD)))
    said = spoil(tmp_path / "sounds", words_recipe(Words(Phrase.HEARD), "zh-CN", None))
    one = speaker(script(tmp_path, TAKES), role=Role.PANEL, fresh=True)
    wait_until(lambda: waking.is_file() and answer.is_file() and not waking.is_symlink(), within_s=60)
    one.play(Play(Tone.HEARD, Words(Phrase.HEARD)))
    wait_until(lambda: len(played(tmp_path)) == 1 and not running(played(tmp_path)[0]), within_s=20)
    assert strongest(fed_s(tmp_path, 0.15)[: round(0.15 * RATE)]) == pytest.approx(C6, abs=12)
    assert not said.is_symlink()
    assert one.alive()
    assert heard.empty()


class WornClips(Clips):
    """Of a file the first piece can be read, and no other."""

    def _file(self, recipe: Recipe) -> BinaryIO | None:
        found = super()._file(recipe)
        if found is None:
            return None
        with found:
            return _Worn(found.read())


class _Worn(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


def test_a_clip_that_cannot_be_read_to_its_end_is_cut_once_and_then_made_on_the_spot(tmp_path: Path) -> None:
    """Also where the card is read-only by now and does not let go of the file."""
    clips = WornClips(tmp_path, sink=lambda _trouble: None)
    whole = make_clip(WAKE)
    write_whole(tmp_path / WAKE.file_name, whole)

    def read() -> bytes:
        return b"".join(clips.pieces(WAKE) or ())

    assert read() == whole[HEADER_BYTES : HEADER_BYTES + PIECE_BYTES]
    write_whole(tmp_path / WAKE.file_name, whole)
    assert read() == whole[HEADER_BYTES:]
    assert read() == whole[HEADER_BYTES:]
