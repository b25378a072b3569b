"""``doorbell-relay provision``: what a technician types, picks and reads."""

from __future__ import annotations

import getpass
import io
import json
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doorbell.service import ExitCode
from relay.card_places import PI_OS
from relay.ports import Batch, JournalRow
from tests.relay.identities import PASSPHRASE, cheap
from tests.relay.office import Office

__all__ = ["cheap"]

PROVISION = '\n[provision]\nhosts = ["broker.example.org"]\npackages = ["doorbell-device_1.0.0_all.deb"]\n'


@pytest.fixture
def workshop(cheap: None, office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office with a register, an authority, and the device's package."""
    monkeypatch.chdir(office.folder)
    (office.folder / "root.passphrase").write_text(f"{PASSPHRASE}\n", "utf-8")
    (office.folder / "doorbell-device_1.0.0_all.deb").write_bytes(b"!<arch>\n")
    with office.config.open("a", encoding="utf-8") as config:
        config.write(PROVISION)
    assert office.run("register", "import", str(office.register))[0] == 0
    assert office.run("authority", "create", "--name", "x", "--root-passphrase-file", "root.passphrase")[0] == 0
    return office


class Terminal(io.StringIO):
    """Somebody who types these lines."""

    def isatty(self) -> bool:
        return True


def identities(office: Office) -> list[tuple[str, bool]]:
    code, out, _ = office.run("authority", "show", "--json")
    assert code == 0
    return [(one["name"], one["stands"]) for one in json.loads(out)["identities"]]


def devices(office: Office) -> set[str]:
    store = office.store()
    try:
        return set(store.load_register()[1].devices)
    finally:
        store.close()


def settings(card: Path) -> dict[str, object]:
    return tomllib.loads((card / "doorbell" / "device.toml").read_text("utf-8"))


def test_a_pair_by_two_commands_onto_two_blank_cards(workshop: Office) -> None:
    cards = [workshop.folder / "one", workshop.folder / "two"]
    for card in cards:
        card.mkdir()
        for name in PI_OS:
            (card / name).touch()
    before = devices(workshop)
    words = ("provision", "--household", "lin", "--role")
    code, out, _ = workshop.run(*words, "panel", "--label", "林奶奶", "--place", "7栋301", "--to", str(cards[0]))
    assert (code, "林奶奶 7栋301" in out, "broker config" in out) == (0, True, True)
    code, _, _ = workshop.run(*words, "bell", "--person", "deng", "--name", "邓明", "--to", str(cards[1]))
    assert code == 0
    assert devices(workshop) - before == {"panel-lin", "bell-deng"}
    assert [settings(card)["device"] for card in cards] == ["panel-lin", "bell-deng"]
    assert identities(workshop) == [("panel-lin", True), ("bell-deng", True)]
    store = workshop.store()
    assert store.load_register()[1].households["lin"].volunteers == ("deng",)
    store.close()


def test_nothing_is_done_where_something_is_wrong(workshop: Office) -> None:
    before = devices(workshop)
    taken = workshop.folder / "taken"
    taken.mkdir()
    for words in (
        ("--role", "panel", "--household", "nobody"),
        ("--role", "panel", "--household", "liu", "--to", str(taken)),
        ("--role", "panel", "--household", "liu", "--hardware", "pi-zero-2w"),
        (),  # nobody is at the terminal
    ):
        code, _, err = workshop.run("provision", *words)
        assert (code, bool(err)) == (ExitCode.SETUP, True), words
    code, out, _ = workshop.run("provision", "--role", "panel", "--household", "liu", "--dry-run")
    assert (code, "panel-liu" in out) == (0, True)
    assert (devices(workshop), identities(workshop)) == (before, [])
    assert not [*workshop.folder.glob("card-*")]


def test_a_wrong_passphrase_is_told_before_anything_is_registered(workshop: Office) -> None:
    before = devices(workshop)
    key = workshop.folder / "authority" / "issuing-1-key.pem"
    key.write_bytes(key.read_bytes().replace(b"M", b"N"))
    code, _, _ = workshop.run("provision", "--role", "panel", "--household", "liu")
    assert (code, devices(workshop)) == (ExitCode.SETUP, before)


def test_a_list_is_done_whole_or_not_at_all(workshop: Office) -> None:
    table = workshop.folder / "today.csv"
    rows = ["role,household,label,person,name,wifi,wifi_password", "panel,lin,林奶奶,,,林家,12345678"]
    table.write_text("\n".join([*rows, "bell,lin,,deng", "panel,lou", "bell,liu,,peng,彭大平"]), "utf-8")
    before = devices(workshop)
    code, _, err = workshop.run("provision", "batch", str(table), "--to", "cards", "--language", "en")
    assert code == ExitCode.SETUP
    told = [line.split(": ")[:2] for line in err.splitlines() if line.startswith(str(table))]
    assert told == [[f"{table}:3", "person"], [f"{table}:4", "household"], [f"{table}:5", "name"]]
    assert devices(workshop) == before
    table.write_text("\n".join([*rows, "bell,lin,,deng,邓明"]), "utf-8")
    code, out, _ = workshop.run("provision", "batch", str(table), "--to", "cards", "--tar")
    assert (code, "panel-lin" in out, "12345678" in out) == (0, True, False)
    assert sorted(path.name for path in (workshop.folder / "cards").iterdir()) == ["bell-deng.tar", "panel-lin.tar"]
    assert devices(workshop) - before == {"panel-lin", "bell-deng"}


def test_a_broken_device_has_a_new_card_and_the_pair_is_untouched(workshop: Office) -> None:
    store = workshop.store()
    before = store.load_register()
    store.close()
    code, _, _ = workshop.run("provision", "replace", "bell-peng", "--to", "first")
    assert code == 0
    code, _, _ = workshop.run("provision", "replace", "bell-peng", "--to", "second", "--why", "broken")
    assert (code, identities(workshop)) == (0, [("bell-peng", False), ("bell-peng", True)])
    keys = {(workshop.folder / card / "doorbell" / "key.pem").read_bytes() for card in ("first", "second")}
    ids = {(workshop.folder / card / "meta-data").read_bytes() for card in ("first", "second")}
    assert (len(keys), len(ids)) == (2, 2)
    store = workshop.store()
    assert store.load_register() == before
    store.close()


def test_a_card_that_could_not_be_written_is_told_by_name(workshop: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("relay.card_places._write_files", full)
    code, _, err = workshop.run("provision", "--role", "panel", "--household", "liu", "--to", "card")
    assert (code, "panel-liu" in err, "provision replace" in err) == (ExitCode.SETUP, True, True)
    monkeypatch.undo()
    monkeypatch.chdir(workshop.folder)
    assert workshop.run("provision", "replace", "panel-liu", "--to", "card")[0] == 0


def test_what_can_be_picked_is_picked_and_every_step_can_be_undone(
    workshop: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bell, no, a panel; of somebody whose id begins with s; on the usual board, by a cable."""
    typed = ["2", "0", "1", "柳", "0", "1", "孙爷爷", "1", "1", "7", "1", "1"]
    monkeypatch.setattr(sys, "stdin", Terminal("\n".join(typed) + "\n"))
    code, out, err = workshop.run("provision", "--to", "card")
    assert (code, "panel-sun" in out) == (0, True), out + err
    assert "7" in err
    assert settings(workshop.folder / "card")["device"] == "panel-sun"


@pytest.mark.parametrize("typed", [["1"], ["0", "1", "1", "1", "1", "q"]])
def test_whoever_leaves_has_done_nothing(workshop: Office, monkeypatch: pytest.MonkeyPatch, typed: list[str]) -> None:
    before = devices(workshop)
    monkeypatch.setattr(sys, "stdin", Terminal("\n".join(typed) + "\n"))
    code, out, _ = workshop.run("provision", "--to", "card", "--language", "en")
    assert (code, "Nothing was done" in out) == (0, True)
    assert (devices(workshop), identities(workshop), (workshop.folder / "card").exists()) == (before, [], False)


def test_a_new_household_and_a_new_volunteer_are_typed_once(workshop: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["2", "1", "新志愿者", "1", "deng", "邓明", "", "1", "2", "柳家", "", "1"]
    monkeypatch.setattr(sys, "stdin", Terminal("\n".join(typed) + "\n"))
    monkeypatch.setattr(getpass, "getpass", lambda _: "12345678")
    code, out, err = workshop.run("provision", "--to", "card")
    assert (code, "bell-deng" in out, "12345678" in out) == (0, True, False), out + err
    assert "12345678" in (workshop.folder / "card" / "network-config").read_text("utf-8")


def say_in_journal(office: Office, *rows: JournalRow) -> None:
    store = office.store()
    try:
        store.commit(Batch(journal=list(rows)))
    finally:
        store.close()


def test_how_far_a_device_is_and_what_is_next(workshop: Office) -> None:
    words = ("provision", "status", "button-liu", "bell-peng", "--language", "en")
    code, out, _ = workshop.run(*words)
    assert (code, out.count("no card"), "provision replace button-liu" in out) == (1, 2, True)
    for name in ("button-liu", "bell-peng"):
        assert workshop.run("provision", "replace", name, "--to", name)[0] == 0
    code, out, _ = workshop.run(*words)
    assert (code, out.count("made"), "power" in out) == (1, 2, True)
    now = datetime.now(UTC)
    failed = {"of": "selftest", "proven": ["relay.receipted"], "not_proven": ["sound.failed"]}
    say_in_journal(
        workshop,
        JournalRow(now, "xihushan", "device_online", "liu", device="button-liu"),
        JournalRow(now, "xihushan", "test", device="bell-peng", data={"detail": failed}),
    )
    code, out, _ = workshop.run(*words)
    assert (code, out.count("registered"), "repair: sound.failed" in out) == (1, 2, True)
    passed = {"detail": failed | {"not_proven": []}}
    say_in_journal(
        workshop,
        *(JournalRow(now, "xihushan", "test", device=name, data=passed) for name in ("button-liu", "bell-peng")),
        JournalRow(now, "xihushan", "raised", "liu", "alarm", "button-liu"),
        JournalRow(now, "xihushan", "sounding", "liu", "alarm", data={"bells": ["bell-peng"]}),
    )
    code, out, _ = workshop.run(*words)
    assert (code, out.count("installed"), "柳奶奶" in out, "彭小平" in out) == (0, 2, True, True)
    code, out, _ = workshop.run("provision", "status", "bell-peng", "--json")
    (told,) = json.loads(out)
    assert (told["stage"], told["heard_with"], told["has_card"]) == ("installed", "button-liu", True)
    assert workshop.run("provision", "status")[0] == 1  # all of the register: the others have no card yet
    assert workshop.run("provision", "lock-out", "bell-peng", "--why", "stolen")[0] == 0
    code, out, _ = workshop.run(*words)
    assert (code, out.count("no card")) == (1, 1), "what was installed once counts no more"


def test_a_stolen_bell_is_locked_out_and_who_is_still_heard_is_told(workshop: Office) -> None:
    assert workshop.run("provision", "replace", "bell-peng", "--to", "card")[0] == 0
    now = datetime.now(UTC)
    say_in_journal(workshop, JournalRow(now, "xihushan", "device_offline", device="bell-xu"))
    words = ("provision", "lock-out", "bell-peng", "--why", "stolen", "--language", "en")
    code, out, _ = workshop.run(*words)
    assert (code, identities(workshop)) == (0, [("bell-peng", False)])
    told = {line.split("  ")[0].split(":")[0]: line for line in out.splitlines() if "bells that can" in line}
    assert "thin; bells that can still ring: bell-zhang" in told["柳奶奶 西湖山小区 3栋502"]
    assert "uncovered; bells that can still ring: none" in told["孙爷爷 西湖山小区 2栋604"]
    assert workshop.run(*words)[0] == ExitCode.SETUP  # there is nothing left to take back


def test_a_lost_panel_leaves_a_household_that_cannot_press(workshop: Office) -> None:
    assert workshop.run("provision", "replace", "button-liu", "--to", "card")[0] == 0
    code, out, _ = workshop.run("provision", "lock-out", "button-liu", "--why", "lost", "--language", "en")
    assert (code, "柳奶奶 西湖山小区 3栋502: no panel is left" in out) == (0, True)


def replace_setting(office: Office, before: str, after: str) -> None:
    text = office.config.read_text("utf-8")
    assert before in text
    office.config.write_text(text.replace(before, after), "utf-8")


def test_where_the_broker_is_follows_from_the_relay_if_it_is_elsewhere(workshop: Office) -> None:
    hosts = 'hosts = ["broker.example.org"]\n'
    replace_setting(workshop, hosts, "")
    words = ("provision", "--role", "panel", "--household", "liu", "--to", "card")
    code, _, err = workshop.run(*words)
    assert (code, "[provision] hosts" in err) == (ExitCode.SETUP, True)
    tls = '[mqtt.tls]\nca = "ca.pem"\n'
    mqtt = f'[mqtt]\nhost = "10.1.2.3"\nport = 8885\n{tls}[[mqtt.fallback]]\nhost = "10.1.2.4"\n\n[provision]\n'
    replace_setting(workshop, "[provision]\n", mqtt)
    assert workshop.run(*words)[0] == 0
    told = tomllib.loads((workshop.folder / "card" / "doorbell" / "device.toml").read_text("utf-8"))["mqtt"]
    assert (told["host"], told["port"], told["fallback"]) == ("10.1.2.3", 8885, [{"host": "10.1.2.4"}])


def test_keys_of_technicians_are_keys(workshop: Office) -> None:
    replace_setting(workshop, "[provision]\n", '[provision]\nssh_keys = "keys.pub"\n')
    keys, key = workshop.folder / "keys.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample technician"
    words = ("provision", "--role", "panel", "--household", "liu", "--to", "card")
    for text in (None, f"# ours\n{key}\npassword123\n"):
        if text is not None:
            keys.write_text(text, "utf-8")
        assert workshop.run(*words)[0] == ExitCode.SETUP
    keys.write_text(f"# ours\n\n{key}\n", "utf-8")
    assert workshop.run(*words)[0] == 0
    assert key in (workshop.folder / "card" / "user-data").read_text("utf-8")


def test_a_broker_that_cannot_be_told_keeps_no_card_back(workshop: Office) -> None:
    replace_setting(workshop, "[provision]\n", '[broker]\ndirectory = "broker"\n\n[provision]\n')
    code, out, err = workshop.run(
        "provision", "--role", "panel", "--household", "liu", "--to", "card", "--language", "en"
    )
    assert (code, "panel-liu: panel" in out, "broker reload" in err) == (0, True, True)
    assert (workshop.folder / "card" / "user-data").exists()


def test_what_was_done_is_in_the_audit_log(workshop: Office) -> None:
    assert workshop.run("provision", "--role", "panel", "--household", "liu", "--to", "card")[0] == 0
    code, out, _ = workshop.run("audit", "list", "--json")
    assert code == 0
    assert all(word in out for word in ("register_imported", "identity_issued", "panel-liu"))
    assert out.count('"identity_issued"') == 1
