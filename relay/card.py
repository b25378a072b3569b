"""What a blank Raspberry Pi OS card needs on its boot partition to become a device by itself.

Raspberry Pi OS (Trixie) runs cloud-init, which reads ``user-data``, ``meta-data`` and ``network-config`` there
(``NoCloud``). They set the name, the time zone, the network and who may come in, and start ``doorbell/first-boot.sh``,
which does the rest. Nothing is typed into the device, and there is no password on it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from relay.core.register import DeviceRole
from relay.provisioning import Wanted
from relay.provisioning_settings import ProvisionSettings
from relay.texts import provisioning as say
from relay.texts.refusal import RefusalError

BOOT = "/boot/firmware"
"""Where the boot partition is mounted in a running Raspberry Pi OS."""
FOLDER = "doorbell"
"""Of our files on it."""
STATE_DIR = "/var/lib/doorbell-device"
TECHNICIAN = "technician"
"""The user who may come in by SSH, if anybody may."""
OWN_KEYS = ("device", "community", "role", "state_dir", "mqtt")
"""What a card says itself; the file with more settings may not."""
_COPIED = ("first-boot.sh", "doorbell-first-boot.service")


@dataclass(frozen=True, slots=True)
class Common:
    """What the cards of one community have in common."""

    settings: ProvisionSettings
    hosts: tuple[str, ...]
    port: int
    prefix: str
    ssh_keys: tuple[str, ...] = ()
    more: Mapping[DeviceRole, str] = field(default_factory=dict)
    """TOML tables for every device of a role."""
    packages: tuple[Path, ...] = ()


def card_files(wanted: Wanted, identity: Mapping[str, bytes], instance: str, common: Common) -> dict[str, bytes]:
    """Every file of a card but its packages, by its path on the boot partition, in the order of writing.

    ``identity``: certificate, key and authority. ``instance``: unlike that of any other card ever written: by it
    cloud-init knows that this is a first boot. What cloud-init starts with comes last: half a card does nothing.
    """
    name = wanted.device.id
    ours = files("relay") / "card_files"
    inside = {one: (ours / one).read_bytes() for one in _COPIED}
    inside["doorbell.nft"] = _firewall((ours / "doorbell.nft").read_text("utf-8"), ssh=bool(common.ssh_keys))
    inside["device.toml"] = device_settings(wanted, common).encode()
    if common.settings.upgrades:
        inside["upgrades"] = b"yes\n"
    if common.ssh_keys:
        inside["ssh"] = b"yes\n"
    made = {f"{FOLDER}/{one}": content for one, content in (inside | dict(identity)).items()}
    made["network-config"] = _yaml(network_config(wanted, common.settings))
    made["meta-data"] = _yaml({"instance-id": instance, "local-hostname": name, "dsmode": "local"})
    made["user-data"] = b"#cloud-config\n" + _yaml(user_data(name, common))
    return made


def user_data(name: str, common: Common) -> dict[str, Any]:
    """For cloud-init: who the machine is, and who may come in."""
    users: list[dict[str, Any]] = []
    if common.ssh_keys:
        users.append(
            {
                "name": TECHNICIAN,
                "gecos": "Love Doorbell technician",
                "groups": ["adm", "gpio", "audio"],
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": True,
                "ssh_authorized_keys": list(common.ssh_keys),
            }
        )
    return {
        "hostname": name,
        "manage_etc_hosts": "localhost",
        "timezone": common.settings.timezone,
        "disable_root": True,
        "ssh_pwauth": False,
        "users": users,
        "package_update": False,
        "package_upgrade": False,
        "bootcmd": [["sh", f"{BOOT}/{FOLDER}/first-boot.sh", "begin"]],
    }


def network_config(wanted: Wanted, settings: ProvisionSettings) -> dict[str, Any]:
    """By cable and by Wi-Fi; no boot waits for either."""
    config: dict[str, Any] = {"version": 2, "ethernets": {"eth0": {"dhcp4": True, "optional": True}}}
    if wanted.wifi:
        point = {"password": wanted.wifi_password} if wanted.wifi_password else {}
        config["wifis"] = {
            "wlan0": {
                "dhcp4": True,
                "optional": True,
                "regulatory-domain": settings.wifi_country,
                "access-points": {wanted.wifi: point},
            }
        }
    return {"network": config}


def device_settings(wanted: Wanted, common: Common) -> str:
    """``/etc/doorbell/device.toml``. Its paths are beside it."""
    device, more = wanted.device, common.more.get(wanted.device.role, "")
    first, *others = common.hosts
    fallbacks = "".join(f"[[mqtt.fallback]]\nhost = {_text(host)}\n\n" for host in others)
    return (
        f"device = {_text(device.id)}\n"
        f"community = {_text(device.community)}\n"
        f"role = {_text(device.role.value)}\n"
        f"state_dir = {_text(STATE_DIR)}\n\n"
        f"[mqtt]\nhost = {_text(first)}\nport = {common.port}\nprefix = {_text(common.prefix)}\n\n"
        '[mqtt.tls]\nca = "ca.pem"\ncertificate = "certificate.pem"\nkey = "key.pem"\n\n'
        f"{fallbacks}{more}"
    )


def check_more(path: Path, text: str) -> str:
    """A file with more of a device's settings. ``RefusalError`` unless it is TOML of tables that no card has itself."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RefusalError(say.BAD_MORE, path=path, reason=error) from None
    own = [key for key in content if key in OWN_KEYS]
    bare = [key for key, value in content.items() if not isinstance(value, dict)]
    if own or bare:
        raise RefusalError(say.OWN_MORE, path=path, keys=", ".join(own or bare))
    return text


def _firewall(rules: str, *, ssh: bool) -> bytes:
    rule = "tcp dport 22 accept" if ssh else "# no SSH"
    return rules.replace("# SSH\n", f"{rule}\n").encode()


def _yaml(content: Mapping[str, Any]) -> bytes:
    text: str = yaml.safe_dump(dict(content), allow_unicode=True, sort_keys=False, width=1000)
    return text.encode()


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
