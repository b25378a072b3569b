"""The privacy key's file: what is written is read again, and what is wrong with it is told without showing it."""

from __future__ import annotations

import os
import stat
from datetime import date
from pathlib import Path

import pytest

from doorbell.errors import SetupError
from relay.privacy_key import MAX_KEYS, PrivacyKey, format_keys, make_keys, new_key, parse_keys, read_keys, write_keys


def test_keys_come_back_the_newest_last(tmp_path: Path) -> None:
    keys = (new_key(), new_key())
    write_keys(tmp_path / "privacy.key", keys)
    assert read_keys(tmp_path / "privacy.key") == keys
    assert len({key.secret for key in keys}) == 2
    assert stat.S_IMODE((tmp_path / "privacy.key").stat().st_mode) == 0o600


def test_a_key_never_shows_itself() -> None:
    key = new_key()
    assert repr(key) == f"PrivacyKey({key.id}, {key.made})"
    assert key.secret.hex() not in repr([key])


def test_a_key_is_made_once(tmp_path: Path) -> None:
    made = make_keys(tmp_path / "privacy.key")
    assert make_keys(tmp_path / "privacy.key") == made
    assert [path.name for path in tmp_path.iterdir()] == ["privacy.key"]


def test_of_two_that_make_one_at_once_both_have_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process makes its own between our look and our write."""
    path, others = tmp_path / "privacy.key", (new_key(),)

    def too_late() -> PrivacyKey:
        write_keys(path, others)
        return new_key()

    monkeypatch.setattr("relay.privacy_key.new_key", too_late)
    assert make_keys(path) == others


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda line: line.replace(line[9:11], "0g", 1), "line 6: not ID KEY DATE"),
        (lambda line: line[:9] + ("1" if line[9] == "0" else "0") + line[10:], "line 6: a digit is wrong"),
        (lambda line: line[:-14] + line[-13:], "line 6: "),
        (lambda line: line.rpartition(" ")[0] + " soon\n", "line 6: not ID KEY DATE"),
        (lambda line: "", "no key in it"),
        (lambda line: line * (MAX_KEYS + 1), "more than"),
    ],
)
def test_what_was_copied_wrongly_is_told_and_not_shown(tmp_path: Path, spoil: object, told: str) -> None:
    key = new_key()
    text = format_keys([key])
    line = text.splitlines(keepends=True)[-1]
    path = tmp_path / "privacy.key"
    path.write_text(text.replace(line, spoil(line)), encoding="utf-8")  # type: ignore[operator]
    path.chmod(0o600)
    with pytest.raises(SetupError, match=told) as caught:
        read_keys(path)
    assert key.secret.hex()[:16] not in str(caught.value)


def test_digits_from_paper_may_have_lost_their_case(tmp_path: Path) -> None:
    key = new_key()
    assert parse_keys(f"\n# mine\n{key.id.upper()}  {key.secret.hex().upper()}   {key.made}\n") == (key,)
    assert isinstance(key.made, date)


def test_a_key_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "privacy.key"
    make_keys(path)
    path.chmod(0o644)
    with pytest.raises(SetupError, match="chmod 600"):
        read_keys(path)
    path.chmod(0o640)
    assert len(read_keys(path)) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SetupError, match="cannot be made"):
        make_keys(tmp_path / "privacy.key")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be made"):
        make_keys(tmp_path / "gone" / "privacy.key")
    with pytest.raises(SetupError, match="cannot be written"):
        write_keys(tmp_path / "gone" / "privacy.key", [new_key()])
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.raises(SetupError, match="cannot be read"):
        read_keys(tmp_path / "folder")
