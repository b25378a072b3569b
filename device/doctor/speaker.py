"""The speaker: 叮咚 by the player of the settings; a person says whether it was heard, or a recorder does."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from device.core.signals import Tone
from device.doctor.console import Console
from device.doctor.hearing import ENOUGH, EXPECTED, notes_heard
from device.doctor.words_talk import say
from device.findings import Finding, Severity
from device.player import dies_with_us
from device.sounds.making import clip_at, length_s
from device.sounds.recipes import ding_dong_recipe, tone_recipe
from device.sounds.waves import RATE

_PATIENCE_S = 10.0
"""How much longer than its sound a player may take before it counts as hanging."""
_MARGIN_S = 2
"""A recorder listens so much longer than the sound: the player has to open its device first."""


class Loudspeaker(Protocol):
    """Plays and records. A reason instead of None is a failure, in the program's own words."""

    def play(self, wav: bytes, within_s: float) -> str | None:
        """Play a WAV file to its end."""
        ...

    def record(self, device: str, for_s: int, meanwhile: Callable[[], None]) -> array[int] | str:
        """What ``device`` hears within ``for_s`` (mono, 16 bit, ``RATE``), while ``meanwhile`` runs."""
        ...


@dataclass(frozen=True, slots=True)
class PlayerAndRecorder:
    """The ``Loudspeaker`` of a real device: the player of the settings, and arecord."""

    player: Sequence[str]

    def play(self, wav: bytes, within_s: float) -> str | None:
        """Play a WAV file to its end, through a pipe as the daemon does."""
        try:
            done = subprocess.run(
                [*dies_with_us(), *self.player, "/dev/stdin"],
                input=wav,
                capture_output=True,
                timeout=within_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{self.player[0]}: > {within_s:.0f} s"
        except OSError as error:
            return f"{self.player[0]}: {error.strerror}"
        return None if done.returncode == 0 else _last_words(done.stderr, f"{self.player[0]}: {done.returncode}")

    def record(self, device: str, for_s: int, meanwhile: Callable[[], None]) -> array[int] | str:
        """By ``arecord``, which ends by itself."""
        command = ["arecord", "-q", "-D", device, "-t", "raw", "-f", "S16_LE", "-r", str(RATE), "-c", "1"]
        with tempfile.TemporaryFile() as heard, _recording([*command, "-d", str(for_s)], heard) as process:
            if isinstance(process, str):
                return process
            meanwhile()
            try:
                words = process.communicate(timeout=for_s + _PATIENCE_S)[1]
            except subprocess.TimeoutExpired:
                return f"arecord: > {for_s + _PATIENCE_S:.0f} s"
            heard.seek(0)
            raw = heard.read()
            samples = array("h", raw[: len(raw) // 2 * 2])
            if sys.byteorder == "big":
                samples.byteswap()
            return samples if process.returncode == 0 else _last_words(words, f"arecord: {process.returncode}")


@contextmanager
def _recording(command: list[str], heard: object) -> Iterator[subprocess.Popen[bytes] | str]:
    try:
        process = subprocess.Popen(
            [*dies_with_us(), *command],
            stdin=subprocess.DEVNULL,
            stdout=heard,
            stderr=subprocess.PIPE,  # type: ignore[call-overload]
        )
    except OSError as error:
        yield f"{command[0]}: {error.strerror}"
        return
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def hear_speaker(loud: Loudspeaker | None, percent: int, console: Console | None, recorder: str | None) -> Finding:
    """叮咚 three times and a tune. ``loud`` None: a buzzer only. ``recorder``: an ALSA device that listens instead of
    a person; ``console`` None: nobody is there."""
    if loud is None:
        return Finding("speaker", "no_player", Severity.NOTE)
    if recorder is not None:
        return _recorded(loud, percent, console, recorder)
    if console is None:
        return Finding("speaker", "not_asked", Severity.NOTE)
    console.tell([say("listen_now")])
    for recipe in (ding_dong_recipe(), tone_recipe(Tone.COMING)):
        wav = clip_at(recipe, percent)
        reason = loud.play(wav, length_s(wav) + _PATIENCE_S)
        if reason is not None:
            return Finding("speaker", "player_failed", Severity.FAILURE, {"reason": reason})
    match console.ask(say("did_you_hear")):
        case True:
            return Finding("speaker", "heard", Severity.OK)
        case False:
            return Finding("speaker", "unheard", Severity.FAILURE)
        case _:
            return Finding("speaker", "not_asked", Severity.NOTE)


def _recorded(loud: Loudspeaker, percent: int, console: Console | None, recorder: str) -> Finding:
    if console is not None:
        console.tell([say("recording", recorder=recorder)])
    failed: list[str | None] = []
    wav = clip_at(ding_dong_recipe(), percent)
    heard = loud.record(
        recorder,
        math.ceil(length_s(wav)) + _MARGIN_S,
        lambda: failed.append(loud.play(wav, length_s(wav) + _PATIENCE_S)),
    )
    if failed and failed[0] is not None:
        return Finding("speaker", "player_failed", Severity.FAILURE, {"reason": failed[0]})
    if isinstance(heard, str):
        return Finding("speaker", "recorder_failed", Severity.FAILURE, {"reason": heard})
    found = notes_heard(heard, RATE)
    data = {"found": found, "notes": EXPECTED, "recorder": recorder}
    if found >= ENOUGH:
        return Finding("speaker", "recorded", Severity.OK, data)
    return Finding("speaker", "not_recorded", Severity.FAILURE, data)


def _last_words(words: bytes, otherwise: str) -> str:
    lines = words.decode(errors="replace").strip().splitlines()
    return lines[-1][-200:] if lines else otherwise
