"""Builds dist/doorbell-device_VERSION_all.deb from this tree and .venv: ``make deb``. No network, no compiler.

Private copies of what Debian 13 has not new enough come from .venv, which tools/setup.sh has filled by hash; each
file is compared with its wheel's own record.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from tools.command_pages import bash_completion, manual_page
from tools.deb_tree import BUILD, DIST, ROOT, DebTree, PackagingError, package_version

PRIVATE = "/usr/lib/doorbell-device"
DOC = "/usr/share/doc/doorbell-device"
PACKAGES = ("doorbell", "device")
VENDORED = {
    "gpiozero": ("gpiozero",),  # Debian 13 has 1.6.2, which does not know the Pi 5
    "colorzero": ("colorzero",),  # gpiozero's own; goes with it
    "paho-mqtt": ("paho",),  # Debian 13 has 2.1, in which rubbish from a broker kills the link's thread
}
"""Distribution -> its import packages that are taken."""
INSTALLED = {
    "systemd/doorbell-device.service": "/usr/lib/systemd/system/doorbell-device.service",
    "systemd/doorbell-device-selftest.service": "/usr/lib/systemd/system/doorbell-device-selftest.service",
    "systemd/doorbell-device-selftest.timer": "/usr/lib/systemd/system/doorbell-device-selftest.timer",
    "systemd/doorbell-device.sysusers": "/usr/lib/sysusers.d/doorbell-device.conf",
    "systemd/doorbell-device.tmpfiles": "/usr/lib/tmpfiles.d/doorbell-device.conf",
    "systemd/50-doorbell-watchdog.conf": "/usr/lib/systemd/system.conf.d/50-doorbell-watchdog.conf",
    "systemd/50-doorbell-journal.conf": "/usr/lib/systemd/journald.conf.d/50-doorbell-journal.conf",
    "systemd/60-doorbell-gpio.rules": "/usr/lib/udev/rules.d/60-doorbell-gpio.rules",
    "packaging/device/copyright": f"{DOC}/copyright",
    "docs/install.md": f"{DOC}/install.md",
    "docs/install.zh-CN.md": f"{DOC}/install.zh-CN.md",
}
"""Path in the repository -> path on the device, for what goes there as it is."""
PROGRAMS = {
    "packaging/device/doorbell-device": "/usr/bin/doorbell-device",
    "packaging/device/rtupdate": "/usr/share/python3/runtime.d/doorbell-device.rtupdate",
}
UNITS = ("doorbell-device.service", "doorbell-device-selftest.timer")
"""What is enabled at installation and started where it can be."""
EXAMPLES = ("panel.example.toml", "bell.example.toml")
SCRIPTS = ("postinst", "prerm", "postrm")


def main(arguments: list[str] | None = None) -> int:
    """Build the package and print its path."""
    parser = argparse.ArgumentParser(prog="make deb", description=__doc__)
    parser.add_argument("--version", help="instead of the one that pyproject.toml and git give")
    options = parser.parse_args(arguments)
    try:
        print(build_device(options.version))
    except PackagingError as error:
        print(f"make deb: {error}", file=sys.stderr)
        return 1
    return 0


def build_device(version: str | None = None, *, dist: Path = DIST, work: Path = BUILD) -> Path:
    """Build the package below ``work``; returns where it lies in ``dist``."""
    project = tomllib.loads(_text("pyproject.toml"))["project"]
    version = version or package_version(project["version"])
    tree = DebTree(work / "doorbell-device")
    _add_code(tree, version)
    for name in VENDORED:
        _add_vendored(tree, name)
    for source, target in INSTALLED.items():
        tree.write(target, _text(source))
    for source, target in PROGRAMS.items():
        tree.write(target, _text(source), executable=True)
    for name in EXAMPLES:
        tree.write(f"{DOC}/examples/{name}", example_for_a_pi(_text(f"config/{name}")))
    tree.write_compressed(f"{DOC}/changelog", _text("CHANGELOG.md"))
    tree.write("/usr/share/bash-completion/completions/doorbell-device", bash_completion())
    tree.write_compressed("/usr/share/man/man1/doorbell-device.1", manual_page("en"))
    tree.write_compressed("/usr/share/man/zh_CN/man1/doorbell-device.1", manual_page("zh-CN"))
    bounds = {re.split(r"[<>=]", item)[0]: item.partition(">=")[2] for item in project["dependencies"]}
    control = _filled(
        _text("packaging/device/control"),
        {"VERSION": version, "PYDANTIC": bounds["pydantic"], "STRUCTLOG": bounds["structlog"]},
    )
    scripts = {name: _filled(_text(f"packaging/device/{name}"), {"UNITS": " ".join(UNITS)}) for name in SCRIPTS}
    out = dist / f"doorbell-device_{version}_all.deb"
    tree.build(control, scripts, out)
    return out


def example_for_a_pi(text: str) -> str:
    """An example as it is right on a device: the paths of the package instead of those of a checkout."""
    text, states = re.subn(r'^state_dir = ".*"$', 'state_dir = "/var/lib/doorbell-device"', text, flags=re.MULTILINE)
    if states != 1:
        raise PackagingError("an example in config/ has no line 'state_dir = ...': adapt tools/deb_device.py")
    return re.sub(r"(--config )config/\S+", r"\1/etc/doorbell/device.toml", text)


def _add_code(tree: DebTree, version: str) -> None:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                tree.write(f"{PRIVATE}/{path.relative_to(ROOT)}", path.read_bytes())
    # What the daemon reports as its firmware is the package's version.
    fields = f"Metadata-Version: 2.1\nName: love-doorbell\nVersion: {version}\nLicense: Apache-2.0\n"
    tree.write(f"{PRIVATE}/love_doorbell-{version}.dist-info/METADATA", fields)


def _add_vendored(tree: DebTree, name: str) -> None:
    installed = metadata.distribution(name)
    pin = re.search(rf"^{re.escape(name)}==(\S+)", _text("requirements.lock"), re.MULTILINE)
    if pin is None or installed.version != pin[1]:
        raise PackagingError(f"{name} {installed.version} in .venv is not what requirements.lock pins: run make setup")
    if "Root-Is-Purelib: true" not in (installed.read_text("WHEEL") or ""):
        raise PackagingError(f"{name} is compiled for one kind of machine; the package is for all")
    for file in installed.files or ():
        top, data = file.parts[0], file.read_binary
        if "__pycache__" in file.parts:
            continue
        licence = top.endswith(".dist-info") and re.match(
            r"(licen[cs]e|edl|epl|notice|authors)", file.name, re.IGNORECASE
        )
        if top in VENDORED[name] or (top.endswith(".dist-info") and file.name in {"METADATA", "entry_points.txt"}):
            tree.write(f"{PRIVATE}/{file}", _verified(name, file, data()))
        elif licence:
            tree.write(f"{DOC}/licences/{name}/{file.name}", _verified(name, file, data()))
    if not (tree.path / DOC.lstrip("/") / "licences" / name).is_dir():
        raise PackagingError(f"{name} has brought no licence; find it before you ship it")


def _verified(name: str, file: metadata.PackagePath, data: bytes) -> bytes:
    kept = file.hash
    if kept is None or kept.mode != "sha256":
        raise PackagingError(f"{name}: {file} is not in the record of its wheel")
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    if digest != kept.value:
        raise PackagingError(f"{name}: {file} was changed in .venv after it was installed: make clean setup")
    return data


def _filled(text: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
