"""A card as ``doorbell-relay provision`` writes it, in the virtual Pi: it boots, registers, rings and is answered.

The machine is as Raspberry Pi OS is flashed: our package is not in it, the card brings it, and nothing is typed. The
panel that is pressed is a process on this machine, with the identity and the settings of a card of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from device.core.signals import Light
from device.sounds.scores import C5, E5
from relay.adapters.authority import keys
from tests.package.workshop import BOOT, Workshop, stages, workshop
from tests.relay.identities import SCRYPT_N
from tests.system.processes import ROOT, Device, environment, until
from tests.virtual_pi.build import Blank, build_blank
from tests.virtual_pi.disk import FileDisk
from tests.virtual_pi.house import DING_DONG_ENDS_S, House, Instance
from tests.virtual_pi.machine import BROKER, Machine

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.virtual_pi]

FIRST_BOOT_S, STEP_S = 2400.0, 600.0
"""Bounds: cloud-init, apt and byte code by an emulated processor that has other work."""
BELL = Instance("doorbell-device", "bell", {"answer": 17, "decline": 27}, 22)
"""As a card has it that says nothing of pins."""
WIFI, WIFI_PASSWORD = "LinHome", "lin-home-2026-wifi"
SPOKEN = "find /var/lib/doorbell-device -name '*.wav' | grep ."
BOOT_KIB = 64 * 1024
MORE = '[logs]\nformat = "json"\n'
SILENT = '[sound]\nplayer = "none"\nvoice = "none"\n'


@dataclass(frozen=True, slots=True)
class CardDisk:
    """A boot partition of FAT with the files of a card on it."""

    image: Path

    @classmethod
    def made(cls, image: Path, card: Path) -> CardDisk:
        """A new one."""
        subprocess.run(["mkfs.vfat", "-C", "-n", "bootfs", str(image), str(BOOT_KIB)], check=True, capture_output=True)
        entries = [str(entry) for entry in card.iterdir()]
        subprocess.run(["mcopy", "-s", "-i", str(image), *entries, "::"], check=True, capture_output=True)
        return cls(image)

    def holds(self, secret: bytes) -> bool:
        """Whether these bytes lie anywhere on it, in a file or not."""
        return secret in self.image.read_bytes()


@dataclass(frozen=True, slots=True)
class Site:
    """The bell's machine is on, the panel runs, and office and broker wait for both."""

    office: Workshop
    machine: Machine
    panel: Device
    panel_config: Path
    disk: CardDisk
    key: bytes
    """The bell's, as its card has it."""

    def told(self, *kinds: str) -> list[dict[str, Any]]:
        """The relay's journal: lines of these types."""
        lines = [json.loads(line) for line in self.office.ask("journal", "--format", "jsonl").splitlines()]
        return [line for line in lines if line["type"] in kinds]

    def last_words(self) -> str:
        """What the machine says of its first boot, and of our daemon."""
        if not self.machine.answering:
            return f"{self.machine.console()[-3000:]}\n{self.panel.last_words()}"
        units = ("doorbell-first-boot", "doorbell-device", "doorbell-device-selftest", "cloud-init*", "cloud-config")
        names = " ".join(f"-u '{unit}'" for unit in units)
        told = self.machine.run(f"journalctl -b -o short-precise --no-pager -n 80 {names}; systemctl --failed").out
        return f"{told}\n{self.panel.last_words()}"


@pytest.fixture
def blank(say: Callable[[str], None]) -> Blank:
    return build_blank(say)


@pytest.fixture
def site(blank: Blank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(keys, "SCRYPT_N", SCRYPT_N)
    folder, cards = tmp_path / "office", {name: tmp_path / name for name in ("panel-lin", "bell-deng")}
    folder.mkdir()
    root = tmp_path / "root.qcow2"
    backing = ["-F", "raw", "-b", str(blank.image / "root.ext4")]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(root)], check=True)
    with ExitStack() as stack:
        office = stack.enter_context(workshop(folder, blank.packages[0], BROKER[0], more=MORE + SILENT))
        for package in blank.packages[1:]:
            shutil.copy(package, folder / "packages")
        (folder / "wifi").write_text(f"{WIFI_PASSWORD}\n", "utf-8")
        words = ("provision", "--household", "lin", "--role")
        office.ask(*words, "panel", "--label", "林奶奶", "--place", "7栋301", "--to", str(cards["panel-lin"]))
        (folder / "more.toml").write_text(MORE, "utf-8")
        office.reached_at(*BROKER)
        who = ("--person", "deng", "--name", "邓明", "--wifi", WIFI, "--wifi-password-file", str(folder / "wifi"))
        office.ask(*words, "bell", *who, "--to", str(cards["bell-deng"]))
        assert stages(office) == {"panel-lin": "made", "bell-deng": "made"}
        config = _panel_of(cards["panel-lin"], tmp_path / "panel")
        panel = Device("panel", config, tmp_path / "panel" / "control.sock")
        stack.callback(panel.close)
        panel.start()
        disk = CardDisk.made(tmp_path / "boot.img", cards["bell-deng"])
        key = (cards["bell-deng"] / "doorbell" / "key.pem").read_bytes()
        state = FileDisk(disk.image).node()
        machine = Machine(blank.image, root, port=office.port, state=state, words="net.ifnames=0")
        stack.enter_context(machine)
        yield Site(office, machine, panel, config, disk, key)


def test_a_card_becomes_a_bell_that_rings_and_is_answered(site: Site, say: Callable[[str], None]) -> None:
    machine, panel, house, began = site.machine, site.panel, House(site.machine), time.monotonic()

    def done(what: str) -> None:
        say(f"virtual pi: {time.monotonic() - began:.0f} s: {what}")

    secrets = (site.key.splitlines()[1], WIFI_PASSWORD.encode())
    assert all(site.disk.holds(secret) for secret in secrets)
    try:
        machine.boot(FIRST_BOOT_S)  # its agent starts after cloud-init
        assert machine.run("dpkg-query -W doorbell-device").code == 1, "the card brings it"
        done("the machine answers")
        until(lambda: machine.run(f"test -e {BOOT}/doorbell").code == 1, "the card is done", FIRST_BOOT_S, 1.0)
        done("the card is done")
        _prove(site.panel_config, panel)
        machine.settle(STEP_S)
        _assert_clean(site)
        assert not any(site.disk.holds(secret) for secret in secrets)
        wanted = {"panel-lin": "tested", "bell-deng": "tested"}
        until(lambda: stages(site.office) == wanted, "both have passed their test", STEP_S, 1.0)
        house.await_light(BELL, Light.READY)
        assert not house.logged(BELL, "sound.voice_failed")
        done("tested")

        house.forget_recordings()
        panel.press("help")
        until(lambda: house.ring(BELL).seconds > DING_DONG_ENDS_S, "the bell plays its chime", STEP_S, 1.0)
        assert house.ring(BELL).ding_dong_hz() == pytest.approx([E5, C5] * 3, abs=4)
        until(lambda: site.told("sounding"), "the relay knows that it sounds", STEP_S, 1.0)
        assert [line["data"]["bells"] for line in site.told("sounding")] == [["bell-deng"]]
        assert set(stages(site.office).values()) == {"installed"}
        done("it rings")

        house.press(BELL, "answer")
        until(lambda: panel.now.light == Light.COMING, "the panel says that somebody comes", STEP_S)
        house.await_light(BELL, Light.MINE)
        (accepted,) = site.told("accepted")
        assert (accepted["device"], accepted["alarm"]) == ("bell-deng", site.told("raised")[0]["alarm"])
        done("somebody comes")
        until(lambda: machine.run(SPOKEN).code == 0, "it speaks sentences in advance", STEP_S, 1.0)
        assert not house.logged(BELL, "sound.voice_failed")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{site.last_words()}") from None


def _panel_of(card: Path, home: Path) -> Path:
    """The settings of a panel that lives in this folder instead of a Pi's; identity and all else are its card's."""
    shutil.copytree(card / "doorbell", home)
    config = home / "device.toml"
    text = config.read_text("utf-8")
    assert "/var/lib/doorbell-device" in text
    config.write_text(text.replace("/var/lib/doorbell-device", str(home / "state")), "utf-8")
    return config


def _prove(config: Path, panel: Device) -> None:
    """What a first boot asks for last, for the panel too."""
    socket = config.with_name("control.sock")
    words = [sys.executable, "-m", "device", "selftest", "--config", str(config), "--socket", str(socket)]
    done = subprocess.run(words, capture_output=True, cwd=ROOT, env=environment(), check=False, text=True)
    assert done.returncode in (0, 1), f"{done.stdout}{done.stderr}{panel.last_words()}"  # 1: warnings


def _assert_clean(site: Site) -> None:
    """It is who it should be, in force is what the card says, and nobody can come in."""
    machine = site.machine
    assert machine.sh(f"ls -A {BOOT}") == ""
    assert machine.sh(f"findmnt -n -o FSTYPE,SOURCE {BOOT}").split() == ["vfat", "/dev/vdb"]
    assert machine.sh("hostname") == "bell-deng\n"
    assert machine.sh("date +%Z") == "CST\n"
    assert machine.read("/etc/doorbell/key.pem") == site.key
    assert machine.sh("stat -c '%a %U %G' /etc/doorbell/key.pem") == "640 root doorbell\n"
    assert machine.sh("nft list chain inet doorbell input").count("policy drop") == 1
    assert machine.run("systemctl is-enabled ssh.service").out == "masked\n"
    assert machine.sh("awk -F: '$2 !~ /^[!*]/' /etc/shadow") == ""
    assert machine.sh("systemctl --failed --plain --no-legend") == ""
    shown = machine.sh("systemctl show doorbell-device -p ActiveState,NRestarts,User").splitlines()
    assert sorted(shown) == ["ActiveState=active", "NRestarts=0", "User=doorbell"]
    pid = machine.sh("systemctl show doorbell-device -p MainPID --value").strip()
    assert "_lgpio" in machine.sh(f"cat /proc/{pid}/maps")
    assert WIFI_PASSWORD in machine.sh("cat /run/netplan/wpa-wlan0.conf")
    assert machine.sh("systemctl is-active netplan-wpa-wlan0.service") == "active\n"
