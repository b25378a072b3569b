"""Passwords: what is refused, how one is kept; and personal links."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from doorbell.errors import SetupError
from relay.links import LASTS, Signer, link_id, make_link, read_link, read_secret
from relay.passwords import MEMORY_KIB, PASSES, BusyError, Passwords, check_password
from relay.people import LinkPurpose
from relay.texts.refusal import RefusalError
from tests.relay.people import CHEAP, GOOD

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SIGNER = Signer(b"x" * 64)


@pytest.mark.parametrize(
    "password",
    [
        "short", "x" * 11, "aaaaaaaaaaaa", "abababababab", "abcabcabcabc", "111222333444",
        "123456789012", "234567890123", "abcdefghijkl", "qwertyuiopas", "Password1234", "P@SSW0RD1234", "lovedoorbell",
        "Administrator", "x" * 257, "with\x00hidden one", "line\nbreak here", "wangfang2026",
        "王芳王芳王芳王芳王芳王芳", "wangfang王芳123",
    ],
)  # fmt: skip
def test_what_is_easily_guessed_is_refused(password: str) -> None:
    with pytest.raises(RefusalError):
        check_password(password, "wangfang", "王芳")


@pytest.mark.parametrize(
    "password", [GOOD, "四个互不相干的词语放在一起", "tr0ub4dor&3xyz", "wangfang likes green tea", "x" * 200 + GOOD]
)
def test_a_good_one_is_taken(password: str) -> None:
    assert check_password(password, "wangfang", "王芳") == password


def test_a_password_is_the_same_however_it_was_typed() -> None:
    kept = CHEAP.hash(check_password("Ｆｏｕｒ unrelated ｗｏｒｄｓ"))
    assert CHEAP.check("Four unrelated words", kept) == (True, None)
    assert CHEAP.check("four unrelated words", kept) == (False, None)


def test_a_hash_says_how_it_was_made_and_is_made_anew_when_that_changes() -> None:
    strong = Passwords()
    kept = strong.hash(GOOD)
    assert kept.startswith(f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1$")
    assert strong.check(GOOD, kept) == (True, None)
    weak = CHEAP.hash(GOOD)
    right, anew = strong.check(GOOD, weak)
    assert right
    assert anew is not None
    assert anew.startswith(f"$argon2id$v=19$m={MEMORY_KIB},")
    assert strong.check("another password", weak) == (False, None)
    assert CHEAP.hash(GOOD) != weak, "salted"


def test_an_account_without_a_password_or_none_at_all_is_refused_after_the_same_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who tries logins must not learn which there are by how long it takes."""
    worked: list[str] = []
    passwords = Passwords(memory_kib=8, passes=1)
    verify = passwords._hash.verify_and_update

    def counted(password: str | bytes, kept: str | bytes) -> tuple[bool, str | None]:
        worked.append(str(kept))
        return verify(password, kept)

    monkeypatch.setattr(passwords._hash, "verify_and_update", counted)
    assert passwords.check(GOOD, None) == (False, None)
    assert passwords.check("nobody has this password", None) == (False, None), "not even by knowing what is compared"
    assert passwords.check("wrong", passwords.hash(GOOD)) == (False, None)
    assert [kept.split("$")[3] for kept in worked] == ["m=8,t=1,p=1"] * 3
    assert passwords.check(GOOD, "no hash of ours") == (False, None)


def test_one_password_is_checked_at_a_time() -> None:
    passwords = Passwords(memory_kib=8, passes=1, wait_s=0)
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> bool:
        inside.set()
        return go_on.wait(30)

    def work() -> None:
        passwords._alone(hold)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(30)
    with pytest.raises(BusyError):
        passwords.check(GOOD, None)
    go_on.set()
    thread.join(timeout=30)
    assert passwords.check(GOOD, None) == (False, None)


@pytest.mark.parametrize("purpose", list(LinkPurpose))
def test_a_link_is_read_for_its_purpose_until_it_ends(purpose: LinkPurpose) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        link, token = make_link(SIGNER, "0123456789abcdef", purpose, NOW)
        assert (link.purpose, link.until, link.used_at) == (purpose, NOW + LASTS[purpose], None)
        assert read_link(SIGNER, purpose, token) == link.id
        assert token.isascii()
        assert "/" not in token
        other = next(one for one in LinkPurpose if one is not purpose)
        assert read_link(SIGNER, other, token) is None, "bound to its purpose"
        assert read_link(Signer(b"y" * 64), purpose, token) is None, "by our secret alone"
        clock.move_to(NOW + LASTS[purpose] + timedelta(seconds=2))
        assert read_link(SIGNER, purpose, token) is None


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "." * 50, "x" * 10_000, "é", "W10.aaaa.bbbb"])
def test_rubbish_is_no_link(token: str) -> None:
    assert read_link(SIGNER, LinkPurpose.SIGN_IN, token) is None


def test_any_changed_character_is_noticed_and_the_database_has_no_token() -> None:
    link, token = make_link(SIGNER, "0123456789abcdef", LinkPurpose.SIGN_IN, datetime.now(UTC))
    for place in range(len(token) - 1):  # the last one has bits that mean nothing
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert read_link(SIGNER, LinkPurpose.SIGN_IN, changed) is None
    assert link.id not in token
    nonce = SIGNER.read("link/sign_in", token, timedelta(hours=1))
    assert link.id == link_id(str(nonce))
    signed = SIGNER.sign("link/sign_in", ["no", "text"])
    assert read_link(SIGNER, LinkPurpose.SIGN_IN, signed) is None


def test_the_secret_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "web.secret"
    made = read_secret(path)
    assert len(made) == 64
    assert read_secret(path) == made
    assert path.stat().st_mode & 0o077 == 0
    assert [one.name for one in tmp_path.iterdir()] == ["web.secret"]
    path.write_text("short")
    with pytest.raises(SetupError, match="at least 32"):
        read_secret(path)
    with pytest.raises(SetupError, match="No such file"):
        read_secret(tmp_path / "none" / "web.secret")
