"""The process that makes clips, and the command and the page that list them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from device import command, sounds_page
from device.core.signals import Phrase, Tone, Words
from device.sounds import making, rendering
from device.sounds.level import CHIME_LUFS, SPEECH_LUFS
from device.sounds.making import Recipe, Recording, VoiceError, make_clip
from device.sounds.recipes import tone_recipe, words_recipe
from device.sounds.rendering import write_whole
from device.sounds.sentences import LANGUAGES, fixed_words
from device.sounds_command import wanted_clips
from doorbell.service import ExitCode
from tests.device.hearing import samples_of
from tests.device.test_command import BELL
from tests.device.test_sounds import LONG, SHORT, a_wav, clips_naming

ROOT = Path(__file__).parents[2]


# --- recipes and the process that makes clips -----------------------------------------------------------------------


def test_a_recipe_survives_its_way_to_another_process_and_names_its_file() -> None:
    recipes = [*clips_naming(SHORT).values(), *clips_naming(LONG).values(), Recipe("x", Recording("/r.wav", "1"))]
    assert [Recipe.from_plain(json.loads(json.dumps(one.to_plain()))) for one in recipes] == recipes
    different = set(recipes)
    assert len({one.file_name for one in different}) == len(different)
    assert all("彭" not in one.file_name and "柳" not in one.file_name for one in different)


@pytest.mark.system
def test_the_process_answers_every_job_and_goes_on_after_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    jobs = [
        (words_recipe(Words(Phrase.HEARD), "zh-CN", None), tmp_path / "deep" / "heard.wav"),
        (Recipe("x", Recording("/nonexistent.wav", "1")), tmp_path / "recorded.wav"),
        (tone_recipe(Tone.HEARD), tmp_path / "file" / "tone.wav"),
        (tone_recipe(Tone.HEARD), tmp_path / "tone.wav"),
    ]
    lines = "".join(json.dumps({"recipe": one.to_plain(), "path": str(path)}) + "\n" for one, path in jobs)
    done = subprocess.run(
        [sys.executable, "-m", "device.sounds.rendering"],
        input=lines, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["path"] for answer in answers] == [str(path) for _, path in jobs]
    assert [answer["failed"] for answer in answers] == ["", "recording", "disk", ""]
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["heard.wav", "tone.wav"]
    assert samples_of(tmp_path / "deep" / "heard.wav")


def test_the_process_works_where_it_may_not_lower_its_priority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a sandbox that denies it."""

    def denied(_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    path = tmp_path / "tone.wav"
    job = {"recipe": tone_recipe(Tone.HEARD).to_plain(), "path": str(path)}
    monkeypatch.setattr(os, "nice", denied)
    monkeypatch.setattr(sys, "stdin", StringIO(json.dumps(job) + "\n"))
    assert rendering.main() == 0
    assert json.loads(capsys.readouterr().out)["failed"] == ""
    assert samples_of(path)


def test_the_process_is_small() -> None:
    """It runs beside the daemon on a machine with 512 MB: nothing of the wire or the settings is in it."""
    done = subprocess.run(
        [sys.executable, "-c", "import device.sounds.rendering, sys; print(*sys.modules)"],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=True,
    )  # fmt: skip
    assert not {"pydantic", "structlog", "asyncio", "device.core.signals"} & set(done.stdout.split())


@pytest.fixture
def no_espeak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which only what a test puts there is found."""
    found = tmp_path / "bin"
    found.mkdir()
    monkeypatch.setenv("PATH", str(found))
    return found


def fake_espeak(directory: Path, body: str) -> None:
    path = directory / "espeak-ng"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_a_voice_that_fails_says_what_to_do(no_espeak: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = words_recipe(Words(Phrase.HEARD), "zh-CN", None)
    with pytest.raises(VoiceError, match="apt-get install espeak-ng"):
        make_clip(recipe)
    fake_espeak(no_espeak, "echo 'no such voice' >&2; exit 1")
    with pytest.raises(VoiceError, match="voice cmn-latn-pinyin: no such voice"):
        make_clip(recipe)
    fake_espeak(no_espeak, "exit 0")
    with pytest.raises(VoiceError, match="not a WAV file"):
        make_clip(recipe)
    fake_espeak(no_espeak, "exec /bin/sleep 60")
    monkeypatch.setattr(making, "_ESPEAK_TIMEOUT_S", 0.05)
    with pytest.raises(VoiceError, match="did not end"):
        make_clip(recipe)
    assert make_clip(tone_recipe(Tone.HEARD))


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "a.wav", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a.wav", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.wav", b"old")]


# --- the command and the page ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.system
def test_the_command_writes_and_lists_every_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert command.main(["sounds", "--out", str(out), "--language", "en", "--label", "Grandma Wu"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[0] for line in lines[1:]}
    assert listed == {str(path.relative_to(out)) for path in out.rglob("*.wav")}
    assert listed == {file for file in clips_naming(SHORT) if not file.startswith("zh-CN")}
    (call,) = (line for line in lines if line.startswith("en/call_help-named.wav"))
    assert call.endswith("Grandma Wu is calling for help, at 西湖山小区 3栋502.")
    assert float(call.split()[2]) == pytest.approx(SPEECH_LUFS, abs=1.0)


def test_the_command_takes_language_and_recordings_from_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in fixed_words():
        key = f"call_{words.kind}" if words.phrase is Phrase.CALL else words.phrase
        for name in (key, f"{key}@W", f"{key}@L"):
            a_wav(tmp_path / "voices" / "en" / f"{name}.wav", seconds=0.2)
    for count in range(2, 10):
        a_wav(tmp_path / "voices" / "en" / f"count_{count}.wav", seconds=0.2)
    config = tmp_path / "device.toml"
    config.write_text(BELL + '[sound]\nlanguage = "en"\nrecordings = "voices"\n')
    monkeypatch.setenv("PATH", str(tmp_path))  # no espeak-ng: nothing of it is needed
    options = ["--config", str(config), "--name", "W", "--label", "L"]
    assert command.main(["sounds", "--out", str(tmp_path / "out"), *options]) == ExitCode.OK
    assert all(line.split()[1] in ("0.20", "0.19") for line in capsys.readouterr().out.splitlines() if "en/" in line)


def test_the_command_names_what_is_wrong(tmp_path: Path, no_espeak: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["sounds", "--out", str(tmp_path / "out"), "--language", "fr"]) == ExitCode.SETUP
    assert "fr" in capsys.readouterr().err
    assert command.main(["sounds", "--out", str(tmp_path / "out")]) == ExitCode.SETUP
    assert "apt-get install espeak-ng" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert command.main(["sounds", "--out", str(tmp_path / "file")]) == ExitCode.SETUP
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_the_page_lists_every_clip_and_what_is_said() -> None:
    """Run `make docs` where this fails."""
    page = sounds_page.PAGE.read_text("utf-8")
    _, _, rest = page.partition(sounds_page.BEGIN)
    table, end, _ = rest.partition(sounds_page.END)
    assert end
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()[2:]]
    wanted = [(file.removesuffix(".wav"), said) for file, _, said in wanted_clips(LANGUAGES, sounds_page.EXAMPLE, None)]
    assert [(row[0], row[-1]) for row in rows] == wanted
    for _, seconds, lufs, peak, hz, _ in rows:
        assert 0.1 < float(seconds) < 20
        assert SPEECH_LUFS - 1 < float(lufs) < CHIME_LUFS + 1
        assert float(peak) <= -1.0
        assert 100 <= int(hz) < 2000
