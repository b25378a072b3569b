"""An office that makes cards for its real broker and relay, and machines without anything that take one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from relay.adapters.authority import create_authority
from relay.card_places import PI_OS
from relay.issued import Purpose
from relay.whole_files import make_folder_whole
from sim.broker import free_port
from tests.package.debian_root import BootedDebian, DebianRoot, prepared_root
from tests.package.debs import BuiltDeb
from tests.relay.identities import PASSPHRASE
from tests.system.brokers import MosquittoProcess
from tests.system.processes import ROOT, Program, run_to_end, until

PACKAGES = ("cloud-init", "netplan.io", "nftables", "openssh-server")
"""What a Raspberry Pi OS has, and a small Debian has not."""
PI_CLOUD = """\
datasource_list: [ NoCloud, None ]
datasource:
  NoCloud:
    seedfrom: file:///boot/firmware
"""
BOOT = "/boot/firmware"
PINS = "/run/doorbell-device/control.sock"
MOCK = f"""\
[Service]
ExecStart=
ExecStart=/usr/bin/doorbell-device run --config /etc/doorbell/device.toml --pins mock --control {PINS}
"""
MORE = '[sound]\nplayer = "none"\nvoice = "none"\n\n[logs]\nformat = "json"\n'
REGISTER = '[[community]]\nid = "xihushan"\nname = "西湖山小区"\n'
BOOTED_S = 240.0


@dataclass
class Workshop:
    """The office: broker, relay, authority, and where cards are made."""

    folder: Path
    port: int
    """Of the broker, on this machine's loopback."""

    @property
    def config(self) -> Path:
        """The relay's settings."""
        return self.folder / "relay.toml"

    def reached_at(self, host: str, port: int) -> None:
        """Where the devices of the next cards find the broker."""
        text, _, _ = self.config.read_text("utf-8").partition("[provision]\n")
        packages = 'packages = ["packages"]\npanel = "more.toml"\nbell = "more.toml"\n'
        self.config.write_text(f'{text}[provision]\nhosts = ["{host}"]\nport = {port}\n{packages}', "utf-8")

    def ask(self, *words: str) -> str:
        """A command of the relay."""
        return run_to_end([sys.executable, "-m", "relay", *words, "--config", str(self.config)])


@contextmanager
def workshop(folder: Path, package: Path, *more_hosts: str, more: str = MORE) -> Iterator[Workshop]:
    """Everything runs; nobody is registered but the community. ``more_hosts``: where the broker is reached too."""
    port, main = free_port(), folder / "mosquitto.conf"
    broker = MosquittoProcess(main, port, folder / "broker.log", tls=True)
    relay = Program("relay", [sys.executable, "-m", "relay", "run", "--config", str(folder / "relay.toml")], folder)
    authority = create_authority(folder / "authority", "西湖山小区", PASSPHRASE)
    for purpose, name in ((Purpose.BROKER, "first"), (Purpose.RELAY, "main")):
        hosts = ("127.0.0.1", *more_hosts) if purpose is Purpose.BROKER else ()
        make_folder_whole(folder / purpose.value, authority.issue(purpose, name, hosts=hosts).files())
    (folder / "data").mkdir()
    (folder / "packages").mkdir()
    shutil.copy(package, folder / "packages")
    (folder / "more.toml").write_text(more, "utf-8")
    (folder / "register.toml").write_text(REGISTER, "utf-8")
    (folder / "relay.toml").write_text(
        'name = "main"\ndatabase = "relay.sqlite3"\n\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nbackoff_max_s = 1.0\n\n'
        '[mqtt.tls]\nca = "relay/ca.pem"\ncertificate = "relay/certificate.pem"\nkey = "relay/key.pem"\n\n'
        f'[broker]\ndirectory = "broker"\nlisten = "127.0.0.1"\nport = {port}\ndata = "data"\n'
        f'log = "file {folder}/broker.log"\nuser = "root"\npid_file = "broker.pid"\n\n'
        '[status]\nenabled = false\n\n[logs]\nformat = "json"\n\n[provision]\n',
        "utf-8",
    )
    with ExitStack() as stack:
        office = Workshop(folder, port)
        office.reached_at("127.0.0.1", port)
        office.ask("register", "import", str(folder / "register.toml"))
        office.ask("broker", "config")
        main.write_text(f"include_dir {folder / 'broker'}\npid_file {folder / 'broker.pid'}\n", "utf-8")
        stack.callback(broker.stop)
        broker.start()
        stack.callback(relay.stop)
        relay.start()
        yield office


@contextmanager
def blank_pi(where: Path, deb: BuiltDeb, card: Path) -> Iterator[DebianRoot]:
    """A root as Raspberry Pi OS has it, with the files of a card on its boot partition."""
    with prepared_root(where, deb, *PACKAGES) as root:
        root.inside("/etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg").write_text(PI_CLOUD, "utf-8")
        mock = root.inside("/etc/systemd/system/doorbell-device.service.d/mock.conf")
        mock.parent.mkdir(parents=True)
        mock.write_text(MOCK, "utf-8")
        boot = root.inside(BOOT)
        boot.mkdir(parents=True)
        for name in PI_OS:
            (boot / name).write_text("of Raspberry Pi OS\n")
        shutil.copytree(card, boot, dirs_exist_ok=True)
        yield root


def first_boot(root: DebianRoot, machine: BootedDebian) -> None:
    """Wait until the card is done; where it is not, tell what it was about."""
    try:
        until(lambda: not root.inside(f"{BOOT}/doorbell").exists(), "the card is done", within_s=BOOTED_S)
    except AssertionError as error:
        units = ("--unit=doorbell-first-boot", "--unit=cloud-init*", "--unit=cloud-config")
        told = machine.ask("journalctl", "--no-pager", "--lines=60", "--output=cat", *units)
        raise AssertionError(f"{error}\n{told}") from None


def assert_clean(root: DebianRoot, machine: BootedDebian, name: str, secret: bytes) -> None:
    """It is who it should be, keeps its key to itself, and nobody can come in."""
    assert machine.run("hostname") == name
    assert machine.run("date", "+%Z") == "CST"
    left = [path.name for path in root.inside(BOOT).iterdir()]
    assert sorted(left) == sorted(PI_OS)
    key = root.inside("/etc/doorbell/key.pem")
    assert key.read_bytes() == secret
    group = int(machine.run("id", "-g", "doorbell"))
    assert (key.stat().st_uid, key.stat().st_gid, key.stat().st_mode & 0o777) == (0, group, 0o640)
    shadow = root.inside("/etc/shadow").read_text("utf-8").splitlines()
    assert [line for line in shadow if not line.split(":")[1].startswith(("!", "*"))] == []
    assert machine.ask("systemctl", "is-enabled", "ssh.service") == "masked"
    assert machine.ask("systemctl", "is-active", "ssh.service") in ("inactive", "failed")
    # Not told apart from a card that is still to be done: cloud-init would begin anew without its files.
    assert root.inside("/etc/cloud/cloud-init.disabled").exists()
    assert machine.ask("systemctl", "is-enabled", "doorbell-first-boot.service") == "disabled"
    # In a container nobody may load a firewall (nftables), and of two on one loopback one has no port for its SSH.
    failed = machine.run("systemctl", "list-units", "--failed", "--no-legend", "--plain").split("\n")
    assert {line.split()[0] for line in failed if line} <= {"nftables.service", "ssh.service"}


def stages(office: Workshop) -> dict[str, str]:
    """How far the devices are, as the technician is told."""
    words = [sys.executable, "-m", "relay", "provision", "status", "--json", "--config", str(office.config)]
    told = subprocess.run(words, capture_output=True, cwd=ROOT, check=False, text=True)
    assert told.returncode in (0, 1), told.stderr
    return {one["device"]: one["stage"] for one in json.loads(told.stdout)}
