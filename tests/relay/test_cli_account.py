"""``doorbell-relay account``, on a real database."""

from __future__ import annotations

import io
import json
import re
from contextlib import closing
from typing import Any

import pytest

from doorbell.service import ExitCode
from relay.links import Signer, read_link, read_secret
from relay.people import LinkPurpose
from tests.relay.office import Office
from tests.relay.people import GOOD, a_session, told


class NotATerminal(io.StringIO):
    def isatty(self) -> bool:
        return False


@pytest.fixture
def staffed(busy: Office) -> Office:
    """With an office account."""
    assert busy.run("account", "add", "Wang", "--name", "王芳", "--role", "office:*")[0] == 0
    return busy


def accounts(office: Office) -> list[dict[str, Any]]:
    code, out, _ = office.run("account", "list", "--json")
    assert code == 0
    listed: list[dict[str, Any]] = json.loads(out)
    return listed


def last_line(office: Office) -> tuple[str, str | None, dict[str, Any]]:
    with closing(office.store()) as store:
        line = store.audit.newest(limit=1)[0]
    return line.what, line.account, line.facts()


def test_an_account_is_added_listed_and_its_line_written(staffed: Office) -> None:
    (account,) = accounts(staffed)
    assert (account["login"], account["name"], account["roles"], account["has_password"]) == (
        "wang",
        "王芳",
        ["office:*"],
        False,
    )
    assert last_line(staffed) == ("account_added", account["id"], {"roles": ["office:*"]})
    code, out, _ = staffed.run("account", "list")
    assert (code, "办公室 *" in out, "没有密码" in out) == (0, True, True)
    code, out, _ = staffed.run("account", "list", "--language", "en")
    assert ("office *" in out, "no password" in out) == (True, True)


def test_there_are_no_accounts_at_first(busy: Office) -> None:
    code, out, _ = busy.run("account", "list")
    assert (code, out.strip()) == (0, "还没有账号")


@pytest.mark.parametrize(
    "words",
    [
        ("-", "--name", "x"),
        ("wang", "--name", "x"),
        ("WANG", "--name", "x"),
        ("li", "--name", ""),
        ("li", "--name", "a\x1bb"),
        ("li", "--name", "x", "--role", "king:*"),
        ("li", "--name", "x", "--role", "office"),
        ("li", "--name", "x", "--role", "office:nowhere"),
        ("li", "--name", "x", "--role", "volunteer:xihushan"),
        ("li", "--name", "x", "--role", "volunteer:xihushan", "--person", "nobody"),
    ],
)
def test_what_cannot_be_an_account_is_refused(staffed: Office, words: tuple[str, ...]) -> None:
    assert staffed.run("account", "add", *words)[0] == ExitCode.SETUP
    assert len(accounts(staffed)) == 1
    assert last_line(staffed)[0] == "account_added"


def test_roles_are_given_and_taken(staffed: Office) -> None:
    assert (
        staffed.run("account", "add", "peng", "--name", "彭小平", "--person", "peng", "--role", "volunteer:xihushan")[0]
        == 0
    )
    peng = accounts(staffed)[0]
    code, out, _ = staffed.run(
        "account", "role", "peng", "--role", "technician:xihushan", "--take", "volunteer:xihushan"
    )
    assert (code, "技术员 xihushan" in out) == (0, True)
    assert last_line(staffed) == (
        "role_given", peng["id"], {"given": ["technician:xihushan"], "taken": ["volunteer:xihushan"]},
    )  # fmt: skip
    assert staffed.run("account", "role", "peng", "--take", "technician:xihushan")[0] == 0
    assert last_line(staffed)[0] == "role_taken"
    assert staffed.run("account", "role", "peng", "--take", "technician:xihushan")[0] == 0
    assert last_line(staffed)[2] == {"given": [], "taken": ["technician:xihushan"]}, "nothing changed, nothing written"
    assert accounts(staffed)[0]["roles"] == []
    assert staffed.run("account", "role", "nobody", "--role", "office:*")[0] == ExitCode.SETUP


@pytest.mark.parametrize("words", [("lock",), ("role", "--take", "office:*"), ("erase", "--yes")])
def test_the_last_who_manages_accounts_stays(staffed: Office, words: tuple[str, ...]) -> None:
    code, _, err = staffed.run("account", words[0], "wang", *words[1:])
    assert (code, "最后一个" in err) == (ExitCode.SETUP, True)
    assert staffed.run("account", "add", "li", "--name", "李", "--role", "office:xihushan")[0] == 0
    assert staffed.run("account", words[0], "wang", *words[1:])[0] == 0


def test_an_account_is_locked_and_unlocked(staffed: Office) -> None:
    assert staffed.run("account", "add", "li", "--name", "李")[0] == 0
    with closing(staffed.store()) as store:
        found = store.people.by_login("li")
        assert found is not None
        store.people.open_session(a_session(1, found[0]), told())
    code, out, _ = staffed.run("account", "lock", "li")
    assert (code, "account unlock li" in out) == (0, True)
    assert (last_line(staffed)[0], accounts(staffed)[0]["locked"]) == ("account_locked", True)
    assert staffed.run("account", "sessions", "li")[1].strip() == "没有登录"
    assert staffed.run("account", "unlock", "li")[0] == 0
    assert accounts(staffed)[0]["locked"] is False


def test_a_password_comes_by_standard_input_never_by_an_argument(
    staffed: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", NotATerminal(f"{GOOD}\n"))
    assert staffed.run("account", "password", "wang")[0] == 0
    with closing(staffed.store()) as store:
        found = store.people.by_login("wang")
    assert found is not None
    assert str(found[1]).startswith("$argon2id$")
    assert last_line(staffed)[0] == "password_set"
    monkeypatch.setattr("sys.stdin", NotATerminal("wangwang2026\n"))
    assert staffed.run("account", "password", "wang")[0] == ExitCode.SETUP
    assert staffed.run("account", "password", "wang", GOOD)[0] == ExitCode.SETUP
    assert GOOD.encode() not in (staffed.folder / "data" / "relay.sqlite3").read_bytes()


def test_a_password_is_typed_twice_unseen(staffed: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [GOOD, GOOD, GOOD, "another one altogether"]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _: answers.pop(0))
    assert staffed.run("account", "password", "wang")[0] == 0
    code, _, err = staffed.run("account", "password", "wang", "--language", "en")
    assert (code, "not the same" in err) == (ExitCode.SETUP, True)


def test_a_link_is_printed_once_and_only_its_hash_is_kept(staffed: Office) -> None:
    code, _, err = staffed.run("account", "link", "wang")
    assert (code, "[web] base_url" in err) == (ExitCode.SETUP, True)
    settings = staffed.config.read_text("utf-8") + '[web]\nbase_url = "https://bell.example.org"\n'
    staffed.config.write_text(settings, encoding="utf-8")
    code, out, _ = staffed.run("account", "link", "wang", "--for", "sign_in")
    found = re.search(r"https://bell\.example\.org/link/sign_in/(\S+)", out)
    assert code == 0
    assert found is not None
    signer = Signer(read_secret(staffed.folder / "data" / "relay-web-secret"))
    link = read_link(signer, LinkPurpose.SIGN_IN, found[1])
    assert link is not None
    with closing(staffed.store()) as store:
        assert store.people.link(link) is not None
    assert last_line(staffed)[2] == {"for": "sign_in"}
    assert found[1].encode() not in (staffed.folder / "data" / "relay.sqlite3").read_bytes()


@pytest.mark.parametrize(
    "url", ["http://bell.example.org", "https://bell.example.org/path", "ftp://x", "bell.example.org"]
)
def test_a_base_url_that_is_not_safe_is_refused(staffed: Office, url: str) -> None:
    staffed.config.write_text(staffed.config.read_text("utf-8") + f'[web]\nbase_url = "{url}"\n', encoding="utf-8")
    code, _, err = staffed.run("account", "list")
    assert (code, "web" in err) == (ExitCode.SETUP, True)


def test_sessions_are_listed_and_ended(staffed: Office) -> None:
    with closing(staffed.store()) as store:
        found = store.people.by_login("wang")
        assert found is not None
        for number in (1, 2, 3):
            store.people.open_session(a_session(number * 16**60, found[0]), told())
    code, out, _ = staffed.run("account", "sessions", "wang")
    assert (code, out.count("127.0.0.1")) == (0, 3)
    listed = json.loads(staffed.run("account", "sessions", "wang", "--json")[1])
    assert staffed.run("account", "end", "wang", "--session", listed[0]["session"])[1].strip() == "已结束 1 个登录"
    assert staffed.run("account", "end", "wang", "--language", "en")[1].strip() == "2 session(s) ended"
    assert last_line(staffed)[0] == "sessions_ended"


def test_an_erased_account_leaves_its_id_alone(staffed: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    assert staffed.run("account", "add", "chen", "--name", "陈某某")[0] == 0
    monkeypatch.setattr("typer.confirm", lambda _: False)
    assert staffed.run("account", "erase", "chen")[0] == 1
    (chen,) = [one for one in accounts(staffed) if one["login"] == "chen"]
    assert staffed.run("account", "erase", "chen", "--yes")[0] == 0
    assert last_line(staffed)[:2] == ("account_erased", chen["id"])
    (left,) = [one for one in accounts(staffed) if one["erased"]]
    assert (left["id"], left["login"], left["name"], left["roles"]) == (chen["id"], "", "", [])
    assert "已删除" in staffed.run("account", "list")[1]
    assert staffed.run("account", "unlock", chen["id"])[0] == ExitCode.SETUP
    code, out, _ = staffed.run("audit", "list", "--account", chen["id"])
    assert (code, "新建账号" in out, "陈" in out) == (0, True, False)
