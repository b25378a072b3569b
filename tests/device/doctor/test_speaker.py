"""The speaker is heard by a person or by a recorder; both can say no."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from device.doctor.speaker import PlayerAndRecorder, hear_speaker
from device.findings import Finding
from device.sounds.making import clip_at
from device.sounds.recipes import ding_dong_recipe
from device.sounds.waves import RATE
from tests.device.doctor.showing import ScriptedConsole, codes, severities


class FakeLoudspeaker:
    """A room: what is played is what is recorded."""

    def __init__(self, *, reason: str | None = None, deaf: bool = False, broken: str | None = None) -> None:
        self.played: list[bytes] = []
        self._reason = reason
        self._deaf = deaf
        self._broken = broken

    def play(self, wav: bytes, within_s: float) -> str | None:
        self.played.append(wav)
        return self._reason

    def record(self, device: str, for_s: int, meanwhile: Callable[[], None]) -> array[int] | str:
        meanwhile()
        if self._broken is not None:
            return self._broken
        return array("h", bytes(2 * RATE * for_s)) if self._deaf else array("h", self.played[-1][44:])


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (True, {"speaker.heard": "ok"}),
        (False, {"speaker.unheard": "failure"}),
        (None, {"speaker.not_asked": "note"}),
    ],
)
def test_a_person_says_whether_it_was_heard(answer: bool | None, found: dict[str, str]) -> None:
    loud = FakeLoudspeaker()
    assert severities([hear_speaker(loud, 80, ScriptedConsole(answer), None)]) == found
    assert loud.played[0] == clip_at(ding_dong_recipe(), 80)
    assert len(loud.played) == 2


@pytest.mark.parametrize(
    ("loud", "found"),
    [
        (FakeLoudspeaker(), {"speaker.recorded": "ok"}),
        (FakeLoudspeaker(deaf=True), {"speaker.not_recorded": "failure"}),
        (FakeLoudspeaker(broken="no such device"), {"speaker.recorder_failed": "failure"}),
        (FakeLoudspeaker(reason="busy"), {"speaker.player_failed": "failure"}),
    ],
)
def test_a_recorder_listens_without_a_person(loud: FakeLoudspeaker, found: dict[str, str]) -> None:
    assert severities([hear_speaker(loud, 80, None, "mic")]) == found


def test_without_a_person_and_a_recorder_nothing_is_played() -> None:
    loud = FakeLoudspeaker()
    assert codes([hear_speaker(loud, 80, None, None)]) == ["speaker.not_asked"]
    assert loud.played == []
    assert codes([hear_speaker(None, 80, ScriptedConsole(True), "mic")]) == ["speaker.no_player"]


def test_a_player_that_fails_is_told_in_its_own_words() -> None:
    finding = hear_speaker(FakeLoudspeaker(reason="device busy"), 80, ScriptedConsole(True), None)
    assert (codes([finding]), finding.data["reason"]) == (["speaker.player_failed"], "device busy")


# --- real players ---------------------------------------------------------------------------------------------------


def script(tmp_path: Path, body: str) -> PlayerAndRecorder:
    path = tmp_path / "player.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return PlayerAndRecorder([str(path)])


def test_how_a_real_player_ends_is_what_counts(tmp_path: Path) -> None:
    assert script(tmp_path, "exit 0").play(b"", 10) is None
    assert script(tmp_path, "echo one >&2; echo two >&2; exit 1").play(b"", 10) == "two"
    assert script(tmp_path, "exit 3").play(b"", 10) == f"{tmp_path}/player.sh: 3"
    assert script(tmp_path, "exec sleep 30").play(b"", 0.1) == f"{tmp_path}/player.sh: > 0 s"
    assert "No such file" in (PlayerAndRecorder([str(tmp_path / "none")]).play(b"", 10) or "")


@pytest.mark.system
def test_aplay_and_arecord_hear_each_other_over_a_pair_of_alsa_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loudspeaker writes what it plays to a file, the microphone hears what an earlier one has written."""
    for program in ("aplay", "arecord"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing and this test needs it: run `make test-deps`")
    air, config = tmp_path / "air.raw", tmp_path / "asoundrc"
    config.write_text(
        f'pcm.!default {{ type file slave.pcm null file "{tmp_path}/out.raw" format raw }}\n'
        f'pcm.mic {{ type file slave.pcm null file "/dev/null" infile "{air}" format raw }}\n'
    )
    monkeypatch.setenv("ALSA_CONFIG_PATH", f"/usr/share/alsa/alsa.conf:{config}")
    loud = PlayerAndRecorder(["aplay", "-q", "-N"])

    def listen(recorder: str = "mic") -> Finding:
        return hear_speaker(loud, 80, None, recorder)

    assert loud.play(clip_at(ding_dong_recipe(), 80), 20) is None
    (tmp_path / "out.raw").replace(air)
    heard = listen()
    assert (codes([heard]), heard.data["found"]) == (["speaker.recorded"], 6)
    air.write_bytes(bytes(10 * RATE))
    assert codes([listen()]) == ["speaker.not_recorded"]
    assert codes([listen("no-such-device")]) == ["speaker.recorder_failed"]
    monkeypatch.setenv("ALSA_CONFIG_PATH", "/dev/null")
    assert codes([listen()]) == ["speaker.player_failed"]
