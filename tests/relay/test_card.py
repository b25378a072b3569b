"""The files of a card: what cloud-init is told, what the daemon is told, and where secrets are."""

from __future__ import annotations

import stat
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from device.settings import DaemonSettings
from doorbell.settings import load_settings
from relay.card import Common, card_files, check_more
from relay.card_places import check_place, find_packages, write_card
from relay.core.register import Device, DeviceRole
from relay.provisioning import Wanted
from relay.provisioning_settings import Hardware, ProvisionSettings
from relay.texts.refusal import RefusalError

IDENTITY = {"certificate.pem": b"certificate\n", "key.pem": b"a secret\n", "ca.pem": b"ca\n"}
PANEL = Wanted(
    Device("panel-liu", "xihushan", DeviceRole.PANEL, household="liu"), Hardware.PI_4, "柳家: #1", "'\"\\:{}#&*"
)
BELL = Wanted(Device("bell-peng", "xihushan", DeviceRole.BELL, person="peng"), Hardware.PI_3)
COMMON = Common(ProvisionSettings(), ("192.168.1.10", "broker-2.local"), 8883, "doorbell/v1")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample technician@office"


def made(wanted: Wanted = PANEL, common: Common = COMMON) -> dict[str, bytes]:
    return card_files(wanted, IDENTITY, f"{wanted.device.id}-0123", common)


def loaded(content: bytes) -> dict[str, object]:
    return dict(yaml.safe_load(content))


def test_cloud_init_is_told_who_it_is_and_that_nobody_comes_in() -> None:
    card = made()
    data = loaded(card["user-data"])
    assert card["user-data"].startswith(b"#cloud-config\n")
    assert (data["hostname"], data["timezone"]) == ("panel-liu", "Asia/Shanghai")
    assert (data["users"], data["ssh_pwauth"], data["disable_root"]) == ([], False, True)
    assert b"passw" not in card["user-data"].lower().replace(b"lock_passwd", b"")
    # With a hyphen: Raspberry Pi OS's own file has an underscore, which is not heard, and cards would be one machine.
    assert loaded(card["meta-data"]) == {
        "instance-id": "panel-liu-0123",
        "local-hostname": "panel-liu",
        "dsmode": "local",
    }


def test_with_keys_a_technician_comes_in_by_them_alone() -> None:
    common = Common(ProvisionSettings(), ("b",), 8883, "doorbell/v1", ssh_keys=(KEY,))
    card = made(common=common)
    (user,) = yaml.safe_load(card["user-data"])["users"]
    assert (user["lock_passwd"], user["ssh_authorized_keys"]) == (True, [KEY])
    assert b"dport 22 accept" in card["doorbell/doorbell.nft"]
    assert "doorbell/ssh" in card
    assert b"dport 22" not in made()["doorbell/doorbell.nft"]
    assert "doorbell/ssh" not in made()


def test_the_network_is_by_cable_and_by_the_wifi_of_this_home() -> None:
    config = yaml.safe_load(made()["network-config"])["network"]
    assert config["ethernets"]["eth0"]["dhcp4"]
    wifi = config["wifis"]["wlan0"]
    assert (wifi["regulatory-domain"], wifi["access-points"]) == ("CN", {"柳家: #1": {"password": "'\"\\:{}#&*"}})
    assert "wifis" not in yaml.safe_load(made(BELL)["network-config"])["network"]


@pytest.mark.parametrize("wanted", [PANEL, BELL], ids=lambda one: one.device.role)
def test_the_daemon_accepts_its_settings(wanted: Wanted, tmp_path: Path) -> None:
    more = '[pins]\nlight = "rgb"\n\n[sound]\nlanguage = "en"\n'
    common = Common(
        ProvisionSettings(), ("192.168.1.10", "broker-2.local"), 8884, "x/v1", more=dict.fromkeys(DeviceRole, more)
    )
    path = tmp_path / "device.toml"
    path.write_bytes(made(wanted, common)["doorbell/device.toml"])
    settings = load_settings(DaemonSettings, path)
    assert (settings.device, settings.community, settings.role.value) == (
        wanted.device.id,
        "xihushan",
        wanted.device.role.value,
    )
    assert [one.host for one in settings.mqtt.brokers()] == ["192.168.1.10", "broker-2.local"]
    assert (settings.mqtt.port, settings.mqtt.prefix, settings.sound.language) == (8884, "x/v1", "en")
    tls = settings.mqtt.tls
    assert tls is not None
    assert (tls.ca, tls.certificate, tls.key) == tuple(
        tmp_path / name for name in ("ca.pem", "certificate.pem", "key.pem")
    )


@pytest.mark.parametrize("text", ["device = 'x'\n", "[mqtt]\nhost = 'x'\n", "report_interval_s = 30\n", "[pins\n"])
def test_more_settings_are_tables_that_no_card_has_itself(text: str, tmp_path: Path) -> None:
    with pytest.raises(RefusalError):
        check_more(tmp_path / "more.toml", text)
    assert check_more(tmp_path / "more.toml", "# note\n[sound]\nvolume = 60\n")


def test_the_key_is_in_one_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    package = tmp_path / "doorbell-device_1.0.0_all.deb"
    package.write_bytes(b"!<arch>\n")
    for place in (tmp_path / "card", tmp_path / "card.tar"):
        write_card(place, made(), [package])
        with pytest.raises(RefusalError):
            write_card(place, made(), [package])
    folder = tmp_path / "card"
    files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    assert [name for name, file in files.items() if b"a secret" in file.read_bytes()] == ["doorbell/key.pem"]
    modes = {name: stat.S_IMODE(file.stat().st_mode) for name, file in files.items()}
    assert modes["doorbell/key.pem"] == modes["network-config"] == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "card.tar").stat().st_mode) == 0o600
    with tarfile.open(tmp_path / "card.tar") as tar:
        inside = {one.name: (one.mode, one.uid) for one in tar}
    assert inside == {name: (mode, 0) for name, mode in modes.items()}
    assert f"doorbell/packages/{package.name}" in inside


def test_a_blank_card_is_written_and_nothing_else_is_written_over(tmp_path: Path) -> None:
    boot = tmp_path / "bootfs"
    boot.mkdir()
    for name in ("config.txt", "cmdline.txt", "user-data", "meta-data"):
        (boot / name).write_text("of Raspberry Pi OS\n")
    write_card(boot, made(), [])
    assert loaded((boot / "user-data").read_bytes())["hostname"] == "panel-liu"
    assert (boot / "config.txt").read_text() == "of Raspberry Pi OS\n"
    with pytest.raises(RefusalError):  # the card of another device
        check_place(boot)
    home = tmp_path / "home"
    home.mkdir()
    for place in (home, tmp_path / "nowhere" / "card", boot / "config.txt"):
        with pytest.raises(RefusalError):
            check_place(place)


def test_user_data_is_written_last_so_that_half_a_card_does_nothing() -> None:
    assert list(made())[-1] == "user-data"


def test_packages_are_files_or_folders_and_ours_is_among_them(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    ours, other = tmp_path / "doorbell-device_1_all.deb", tmp_path / "more" / "python3-structlog_25_all.deb"
    for file in (ours, other):
        file.touch()
    assert find_packages([ours, tmp_path / "more"]) == (ours, other)
    (tmp_path / "empty").mkdir()
    for places in ([], [tmp_path / "more"], [tmp_path / "empty"], [ours, ours], [tmp_path / "none.deb", ours]):
        with pytest.raises(RefusalError):
            find_packages(places)


def test_the_settings_on_a_card_are_toml_whatever_the_names() -> None:
    assert tomllib.loads(made()["doorbell/device.toml"].decode())["mqtt"]["fallback"] == [{"host": "broker-2.local"}]
