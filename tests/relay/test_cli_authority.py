"""``doorbell-relay authority``: what a person at the office types and reads."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from doorbell.service import ExitCode
from tests.relay.identities import PASSPHRASE, cheap, request_of, revoked_in
from tests.relay.office import Office

__all__ = ["cheap"]


@pytest.fixture
def certified(cheap: None, office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office that has an authority, and stands in its own folder."""
    monkeypatch.chdir(office.folder)
    (office.folder / "root.passphrase").write_text(f"{PASSPHRASE}\n", "utf-8")
    code, out, _ = office.run(*CREATE)
    assert (code, "西湖山社区" in out, str(office.folder / "authority" / "root-key.pem") in out) == (0, True, True)
    return office


CREATE = ("authority", "create", "--name", "西湖山社区", "--root-passphrase-file", "root.passphrase")


def test_an_identity_is_a_folder_that_only_its_owner_reads(certified: Office) -> None:
    code, out, _ = certified.run("authority", "issue", "device", "bell-peng", "--language", "en")
    assert (code, out.startswith("issued bell-peng, good until 20")) == (0, True)
    folder = certified.folder / "bell-peng"
    assert sorted(file.name for file in folder.iterdir()) == ["ca.pem", "certificate.pem", "key.pem"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "ca.pem").read_bytes() == (certified.folder / "authority" / "root.pem").read_bytes()


def test_nothing_is_overwritten(certified: Office) -> None:
    assert certified.run("authority", "issue", "device", "bell-peng")[0] == 0
    before = {file: file.read_bytes() for file in sorted(certified.folder.rglob("*")) if file.is_file()}
    for words in (
        ("authority", "issue", "device", "bell-peng", "--replace", "broken"),
        ("authority", "issue", "device", "bell-wu", "--to", "bell-peng"),
        ("authority", "issue", "device", "bell-wu", "--to", "relay.toml"),
        CREATE,
    ):
        code, _, err = certified.run(*words)
        assert (code, "已存在" in err) == (ExitCode.SETUP, True)
    assert {file: file.read_bytes() for file in sorted(certified.folder.rglob("*")) if file.is_file()} == before


def test_a_broken_device_is_replaced_and_a_stolen_one_is_locked_out(certified: Office) -> None:
    assert certified.run("authority", "issue", "device", "bell-peng")[0] == 0
    code, _, err = certified.run("authority", "issue", "device", "bell-peng", "--to", "second")
    assert (code, "--replace" in err) == (ExitCode.SETUP, True)
    assert certified.run("authority", "issue", "device", "bell-peng", "--to", "second", "--replace", "broken")[0] == 0
    code, out, _ = certified.run("authority", "revoke", "bell-peng", "--why", "stolen")
    assert (code, "已吊销 bell-peng（被盗）" in out) == (0, True)
    code, out, _ = certified.run("authority", "show", "--json")
    told = json.loads(out)["identities"]
    assert [(one["name"], one["stands"], one["revoked"]["why"]) for one in told] == [
        ("bell-peng", False, "broken"),
        ("bell-peng", False, "stolen"),
    ]
    listed = revoked_in((certified.folder / "authority" / "revoked.pem").read_bytes())
    assert listed == {each["serial"] for one in told for each in one["certificates"]}
    code, _, err = certified.run("authority", "revoke", "bell-peng", "--why", "stolen", "--language", "en")
    assert (code, "no identity that stands" in err) == (ExitCode.SETUP, True)


def test_relays_and_brokers_get_names_that_no_device_has(certified: Office) -> None:
    assert certified.run("authority", "issue", "relay", "main")[0] == 0
    assert certified.run("authority", "issue", "broker", "first", "--host", "127.0.0.1")[0] == 0
    assert (certified.folder / "relay-main" / "key.pem").exists()
    assert (certified.folder / "broker.first" / "key.pem").exists()
    code, _, err = certified.run("authority", "issue", "device", "relay-main", "--to", "x", "--language", "en")
    assert (code, "is no device id" in err) == (ExitCode.SETUP, True)
    _, out, _ = certified.run("authority", "show", "--language", "en")
    assert [line.split()[:2] for line in out.splitlines()[-2:]] == [["relay-main", "relay"], ["broker.first", "broker"]]


def test_a_request_is_signed_to_a_file_or_to_the_terminal(certified: Office) -> None:
    csr = certified.folder / "bell-peng.csr"
    csr.write_bytes(request_of("bell-peng"))
    code, out, _ = certified.run("authority", "sign", str(csr))
    assert (code, out.count("BEGIN CERTIFICATE")) == (0, 2)
    code, out, _ = certified.run("authority", "sign", str(csr), "--renew", "--to", "new.pem", "--language", "en")
    assert (code, "signed for bell-peng" in out) == (0, True)
    for words, reason in (
        ((str(csr),), "--replace"),
        ((str(csr), "--renew", "--to", "new.pem"), "new.pem"),
        ((str(csr), "--for", "broker"), "issue broker"),
        ((str(certified.config),), "EC P-256"),
        (("none.csr",), "none.csr"),
    ):
        code, _, err = certified.run("authority", "sign", *words, "--language", "en")
        assert (code, reason in err) == (ExitCode.SETUP, True), err
    _, out, _ = certified.run("authority", "show", "--json")
    assert [len(one["certificates"]) for one in json.loads(out)["identities"]] == [2]


def test_the_issuing_authority_is_renewed_with_the_roots_key_from_a_stick(certified: Office) -> None:
    stick = certified.folder / "stick.pem"
    (certified.folder / "authority" / "root-key.pem").rename(stick)
    words = ("authority", "renew-issuing", "--root-passphrase-file", "root.passphrase")
    code, _, err = certified.run(*words)
    assert (code, "--root-key" in err) == (ExitCode.SETUP, True)
    code, out, _ = certified.run(*words, "--root-key", str(stick))
    assert (code, "第 2 把" in out) == (0, True)
    code, out, _ = certified.run("authority", "show", "--json")
    told = json.loads(out)
    assert ([one["number"] for one in told["issuing"]], told["root_key_is_here"]) == ([1, 2], False)
    _, out, _ = certified.run("authority", "show", "--language", "en")
    assert "not on this machine" in out


def test_the_issuing_key_is_encrypted_where_the_settings_say_so(cheap: None, office: Office) -> None:
    with office.config.open("a", encoding="utf-8") as config:
        config.write('[authority]\ndirectory = "ca"\npassphrase_file = "issuing.passphrase"\n')
    (office.folder / "root.passphrase").write_text(f"{PASSPHRASE}\n", "utf-8")
    (office.folder / "issuing.passphrase").write_text("quite another passphrase\n", "utf-8")
    file = str(office.folder / "root.passphrase")
    assert office.run("authority", "create", "--name", "x", "--root-passphrase-file", file)[0] == 0
    target = str(office.folder / "x")
    assert office.run("authority", "issue", "device", "bell-peng", "--to", target)[0] == 0
    (office.folder / "issuing.passphrase").write_text("something else entirely\n", "utf-8")
    code, _, err = office.run("authority", "issue", "device", "bell-wu", "--to", str(office.folder / "y"))
    assert (code, "passphrase_file" in err, (office.folder / "y").exists()) == (ExitCode.SETUP, True, False)


def test_a_passphrase_is_asked_for_twice_and_never_taken_from_the_command_line(
    cheap: None, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = ("authority", "create", "--name", "x")
    code, _, err = office.run(*create, "--language", "en")
    assert (code, "--root-passphrase-file" in err) == (ExitCode.SETUP, True)
    answers = iter([PASSPHRASE, "a slip of the finger", PASSPHRASE, PASSPHRASE])
    asked: list[bool] = []

    def prompt(_text: str, *, hide_input: bool) -> str:
        asked.append(hide_input)
        return next(answers)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", prompt)
    code, _, err = office.run(*create)
    assert (code, "不一样" in err, (office.folder / "authority").exists()) == (ExitCode.SETUP, True, False)
    assert office.run(*create)[0] == 0
    assert asked == [True] * 4


def test_what_is_registered_but_could_not_be_written_is_said(
    certified: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _files: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("relay.commands.authority.make_folder_whole", full)
        code, _, err = certified.run("authority", "issue", "device", "bell-peng", "--language", "en")
    assert (code, "No space left" in err, "--replace broken" in err) == (ExitCode.SETUP, True, True)
    assert certified.run("authority", "issue", "device", "bell-peng", "--replace", "broken")[0] == 0


def test_without_an_authority_every_command_says_how_to_make_one(office: Office) -> None:
    for words in (
        ("show",),
        ("issue", "device", "bell-peng"),
        ("issue", "relay", "main"),
        ("issue", "broker", "first", "--host", "a"),
        ("sign", "x.csr"),
        ("revoke", "bell-peng", "--why", "lost"),
        ("renew-issuing",),
    ):
        code, _, err = office.run("authority", *words, "--language", "en")
        assert (code, "doorbell-relay authority create" in err) == (ExitCode.SETUP, True), words
