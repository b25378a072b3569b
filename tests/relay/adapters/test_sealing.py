"""What is sealed opens in its own place with its own key, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.errors import SetupError
from relay.adapters.sealing import Seal, UnsealError
from relay.privacy_key import KEY_FILE_VARIABLE, new_key, read_keys, write_keys

KEYS = (new_key(), new_key())


@pytest.fixture(scope="module")
def seal(tmp_path_factory: pytest.TempPathFactory) -> Seal:
    path = tmp_path_factory.mktemp("seal") / "privacy.key"
    write_keys(path, KEYS)
    seal = Seal(path)
    seal.prepare(KEYS[1].id)
    return seal


@given(st.binary(max_size=200), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_it_comes_back_the_same(seal: Seal, plain: bytes, text: str) -> None:
    assert seal.open("here", seal.close("here", plain)) == plain
    assert seal.open_text("here", seal.close_text("here", text)) == text


def test_twice_the_same_is_sealed_differently(seal: Seal) -> None:
    assert len({seal.close("here", b"x") for _ in range(1_000)}) == 1_000


def test_it_does_not_open_in_another_place(seal: Seal) -> None:
    with pytest.raises(UnsealError):
        seal.open("person.name wu", seal.close("person.name peng", "彭小平".encode()))


@given(st.data())
def test_no_byte_of_it_can_be_changed(seal: Seal, data: st.DataObject) -> None:
    sealed = bytearray(seal.close("here", b"3-502"))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(UnsealError):
        seal.open("here", bytes(sealed))


@given(st.binary(max_size=60))
def test_what_was_never_sealed_does_not_open(seal: Seal, rubbish: bytes) -> None:
    with pytest.raises(UnsealError):
        seal.open("here", rubbish)
    with pytest.raises(UnsealError):
        seal.open("here", KEYS[0].secret[:0] + seal.close("here", b"")[:4] + rubbish)


@pytest.mark.parametrize("open_text", ["彭小平", "Peng Xiaoping", "AAAA", "é"])
def test_a_name_that_stands_there_openly_is_not_taken(seal: Seal, open_text: str) -> None:
    with pytest.raises(UnsealError):
        seal.open_text("here", open_text)
    assert seal.open_text_or("peng", "here", open_text) == "peng"


def test_the_newest_key_seals_and_an_older_one_still_opens(seal: Seal, tmp_path: Path) -> None:
    assert seal.current == KEYS[1].id
    write_keys(tmp_path / "old.key", KEYS[:1])
    old = Seal(tmp_path / "old.key")
    old.prepare(KEYS[0].id)
    assert seal.open("here", old.close("here", b"x")) == b"x"
    with pytest.raises(UnsealError):
        old.open("here", seal.close("here", b"x"))


def test_without_the_key_it_says_which_and_where(tmp_path: Path) -> None:
    path = tmp_path / "privacy.key"
    with pytest.raises(SetupError, match=f"{KEYS[0].id}, and its file {path} is not there: put the copy"):
        Seal(path).prepare(KEYS[0].id)
    assert not path.exists()
    write_keys(path, KEYS[1:])
    with pytest.raises(SetupError, match=f"{KEYS[0].id}, which {path} does not hold .it has {KEYS[1].id}."):
        Seal(path).prepare(KEYS[0].id)


def test_a_database_that_is_not_sealed_yet_has_its_key_made(tmp_path: Path) -> None:
    seal = Seal(tmp_path / "privacy.key")
    seal.prepare(None)
    assert [key.id for key in read_keys(seal.file)] == [seal.current]


def test_where_the_key_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "a"))
    assert Seal.beside(tmp_path / "relay.db").file == Seal.beside("postgresql://h/n").file == tmp_path / "a"
    monkeypatch.delenv(KEY_FILE_VARIABLE)
    assert Seal.beside(tmp_path / "relay.db").file == tmp_path / "relay.db.key"
    assert Seal.beside(str(tmp_path / "relay.db")).file == tmp_path / "relay.db.key"
    with pytest.raises(SetupError, match=KEY_FILE_VARIABLE):
        Seal.beside("postgresql://h/n")
