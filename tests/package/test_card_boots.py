"""Two cards as ``doorbell-relay provision`` writes them, booted: a pair that rings, with nothing typed into it.

A system container, not a Pi: Debian 13 with its cloud-init, set up as Raspberry Pi OS does, the card's files where
the boot partition is, pins of memory, this machine's loopback as the network. Real are cloud-init, systemd, apt, the
package, TLS, broker and relay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from relay.adapters.authority import keys
from tests.package.debian_root import DebianRoot
from tests.package.debs import BuiltDeb
from tests.package.workshop import (
    BOOT,
    BOOTED_S,
    PINS,
    Workshop,
    assert_clean,
    blank_pi,
    first_boot,
    stages,
    workshop,
)
from tests.relay.identities import SCRYPT_N
from tests.system.processes import until

pytestmark = [pytest.mark.slow, pytest.mark.system]

WIFI, WIFI_PASSWORD = "邓家: #1", "'\"\\:{}#&*%"
"""Whatever is special in YAML."""


def netplan(root: DebianRoot) -> None:
    """What the Wi-Fi's daemon is told, of the card's network."""
    root.run("install", "-D", "-m", "600", f"{BOOT}/network-config", "/srv/plan/etc/netplan/50-cloud-init.yaml")
    root.run("netplan", "generate", "--root-dir", "/srv/plan")
    told = root.inside("/srv/plan/run/netplan/wpa-wlan0.conf").read_text("utf-8")
    assert f'psk="{WIFI_PASSWORD}"' in told
    assert f'ssid=P"{WIFI}"' in told
    assert "country=CN" in told


CUTS = (
    "/etc/systemd/system/doorbell-first-boot.service",  # cloud-init has just begun
    "/etc/doorbell/key.pem",  # the key is in two places
    "/usr/lib/doorbell-device",  # dpkg unpacks
)
"""The power goes as soon as this is there."""


PANEL = ("provision", "--household", "lin", "--role", "panel", "--label", "林奶奶", "--place", "7栋301")
BELL = ("provision", "--household", "lin", "--role", "bell", "--person", "deng", "--name", "邓明")


@pytest.fixture
def office(tmp_path: Path, deb: BuiltDeb, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """It runs, and has a home's Wi-Fi password on file."""
    monkeypatch.setattr(keys, "SCRYPT_N", SCRYPT_N)
    folder = tmp_path / "office"
    folder.mkdir()
    with workshop(folder, deb.path) as made:
        (folder / "wifi.password").write_text(f"{WIFI_PASSWORD}\n", "utf-8")
        yield made


def test_what_a_card_says_is_understood(office: Workshop, tmp_path: Path, deb: BuiltDeb) -> None:
    """By cloud-init, by netplan and by the kernel's firewall."""
    card = tmp_path / "card"
    office.ask(*PANEL, "--to", str(card), "--wifi", WIFI, "--wifi-password-file", str(office.folder / "wifi.password"))
    with blank_pi(tmp_path / "root", deb, card) as root:
        # Of a network it has a schema for cables only, and hands everything to netplan.
        root.run("cloud-init", "schema", "--config-file", f"{BOOT}/user-data")
        netplan(root)
        root.run("nft", "--file", f"{BOOT}/doorbell/doorbell.nft")  # in a network of its own


def test_two_cards_become_a_pair_that_rings(office: Workshop, tmp_path: Path, deb: BuiltDeb) -> None:
    """Nothing is typed into them: switched on together they register, pass their tests, and ring."""
    cards = {name: tmp_path / f"card-{name}" for name in ("panel-lin", "bell-deng")}
    office.ask(*PANEL, "--to", str(cards["panel-lin"]))
    office.ask(*BELL, "--to", str(cards["bell-deng"]))
    assert stages(office) == {"panel-lin": "made", "bell-deng": "made"}
    secrets = {name: (card / "doorbell" / "key.pem").read_bytes() for name, card in cards.items()}
    with ExitStack() as stack:
        roots = {name: stack.enter_context(blank_pi(tmp_path / name, deb, card)) for name, card in cards.items()}
        machines = {name: stack.enter_context(root.booted(network=True, up_s=0)) for name, root in roots.items()}
        for name, machine in machines.items():
            first_boot(roots[name], machine)
            until(machine.is_up, "it has booted", within_s=BOOTED_S)
            assert_clean(roots[name], machine, name, secrets[name])
        until(lambda: set(stages(office).values()) == {"tested"}, "both have passed their test", BOOTED_S)
        machines["panel-lin"].run("doorbell-device", "pins", "press", "help", "--socket", PINS)
        until(lambda: set(stages(office).values()) == {"installed"}, "the bell has rung", BOOTED_S)


def test_a_first_boot_goes_on_wherever_the_power_was_cut(office: Workshop, tmp_path: Path, deb: BuiltDeb) -> None:
    card = tmp_path / "card"
    office.ask(*PANEL, "--to", str(card))
    secret = (card / "doorbell" / "key.pem").read_bytes()
    with blank_pi(tmp_path / "root", deb, card) as root:
        for place in CUTS:
            with root.booted(network=True, up_s=0) as machine:
                until(root.inside(place).exists, f"{place} is there", within_s=BOOTED_S)
                machine.cut()
        with root.booted(network=True, up_s=0) as machine:
            first_boot(root, machine)
            until(machine.is_up, "it has booted", within_s=BOOTED_S)
            assert_clean(root, machine, "panel-lin", secret)
            until(lambda: stages(office) == {"panel-lin": "tested"}, "it has passed its test", BOOTED_S)
