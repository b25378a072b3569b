"""The package: the same bytes from whoever builds it, owned by root, all that a Pi needs, nothing to compile."""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from device.settings import DaemonSettings
from doorbell.settings import load_settings
from tests.package.debs import BuiltDeb, build_unpacked, output
from tools import deb_device
from tools.deb_device import VENDORED, example_for_a_pi
from tools.deb_tree import PackagingError, package_version

ROOT = Path(__file__).parents[2]
PRIVATE = "usr/lib/doorbell-device"


def contents(deb: BuiltDeb) -> Iterator[tuple[str, str, str]]:
    """Mode, owner and path of each entry."""
    for line in output("dpkg-deb", "--contents", str(deb.path)).splitlines():
        mode, owner, _, _, _, path = line.split(maxsplit=5)
        yield mode, owner, path.removeprefix(".")


def test_two_builds_are_the_same_bytes(deb: BuiltDeb, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        again = build_unpacked(tmp_path, deb.version)
    finally:
        os.umask(before)
    assert again.path.read_bytes() == deb.path.read_bytes()


def test_everything_is_roots_and_nobody_else_may_write(deb: BuiltDeb) -> None:
    for mode, owner, path in contents(deb):
        assert owner == "root/root", path
        assert mode in {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"}, path


def test_it_brings_nothing_compiled_no_byte_code_and_no_settings(deb: BuiltDeb) -> None:
    paths = [path for _, _, path in contents(deb)]
    assert not [path for path in paths if path.endswith((".so", ".pyc")) or "__pycache__" in path]
    assert not [path for path in paths if path.startswith(("/etc/", "/var/", "/usr/local/"))]


def test_its_own_code_is_the_trees(deb: BuiltDeb) -> None:
    for package in ("device", "doorbell"):
        tree = {path.relative_to(ROOT): path.read_bytes() for path in (ROOT / package).rglob("*.py")}
        packed = {
            path.relative_to(deb.root / PRIVATE): path.read_bytes()
            for path in (deb.root / PRIVATE / package).rglob("*.py")
        }
        assert packed == tree
    assert not (deb.root / PRIVATE / "relay").exists()


def test_every_private_copy_comes_with_its_licence(deb: BuiltDeb) -> None:
    for name in VENDORED:
        licences = [*(deb.root / "usr/share/doc/doorbell-device/licences" / name).iterdir()]
        assert any("redistribution" in path.read_text(encoding="utf-8").lower() for path in licences), name


def test_a_file_that_was_changed_after_its_installation_is_not_packed() -> None:
    distribution = metadata.distribution("colorzero")
    (file,) = [path for path in distribution.files or () if str(path) == "colorzero/__init__.py"]
    assert deb_device._verified("colorzero", file, file.read_binary())
    with pytest.raises(PackagingError, match="was changed"):
        deb_device._verified("colorzero", file, file.read_binary() + b"#")


def test_it_depends_on_what_debian_13_has(deb: BuiltDeb) -> None:
    depends = deb.field("Depends")
    for wanted in (
        "python3-pydantic (>= 2.10)",
        "python3-structlog (>= 25.1)",
        "python3-lgpio (>= 0.2.2~)",
        "alsa-utils",
    ):
        assert wanted in depends


def test_versions_sort_as_they_follow_each_other() -> None:
    def lower(one: str, other: str) -> bool:
        return subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False).returncode == 0

    building = package_version("0.1.0")
    assert re.fullmatch(r"0\.1\.0(~git\d{14}\.[0-9a-f]{8}(\.dirty)?)?", building)
    assert len(building) <= 40  # it is what the device reports as its firmware
    assert lower("0.1.0~git20261124221355.9030bc71", "0.1.0")
    assert lower("0.1.0~git20261124221355.9030bc71", "0.1.0~git20261124221356.00000000")


def test_the_program_runs_from_the_package_and_says_its_version(deb: BuiltDeb) -> None:
    told = output(
        sys.executable, "-I", "-c",
        f"import sys; sys.path.insert(0, {str(deb.root / PRIVATE)!r})\n"
        "import device.daemon, gpiozero, paho, importlib.metadata as m\n"
        "print(m.version('love-doorbell'), device.daemon.__file__, gpiozero.__file__, paho.__path__[0])\n"
        "print(next(e.value for e in m.entry_points(group='gpiozero_pin_factories') if e.name == 'lgpio'))",
    )  # fmt: skip
    version, *files = told.splitlines()[0].split()
    assert version == deb.version
    assert all(file.startswith(str(deb.root / PRIVATE)) for file in files)
    assert told.splitlines()[1] == "gpiozero.pins.lgpio:LGPIOFactory"


@pytest.mark.parametrize("name", ["panel", "bell"])
def test_the_example_is_right_on_a_pi(deb: BuiltDeb, name: str) -> None:
    path = deb.root / f"usr/share/doc/doorbell-device/examples/{name}.example.toml"
    settings = load_settings(DaemonSettings, path)
    assert settings.state_dir == Path("/var/lib/doorbell-device")
    assert "config/" not in path.read_text(encoding="utf-8")


def test_an_example_that_cannot_be_adapted_stops_the_build() -> None:
    with pytest.raises(PackagingError, match="state_dir"):
        example_for_a_pi('device = "button-liu"\n')


def completed(deb: BuiltDeb, *words: str) -> set[str]:
    """What bash offers after these words; the last is the one that is being typed."""
    script = deb.root / "usr/share/bash-completion/completions/doorbell-device"
    typed = " ".join(f"'{word}'" for word in words)
    return set(
        output(
            "bash", "--norc", "-c",
            f"compopt() {{ :; }}; source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; "
            '_doorbell_device; printf "%s\\n" "${COMPREPLY[@]}"',
        ).split()
    )  # fmt: skip


def test_bash_completes_commands_options_and_choices(deb: BuiltDeb) -> None:
    assert {"run", "check", "pins"} <= completed(deb, "doorbell-device", "")
    assert completed(deb, "doorbell-device", "ru") == {"run"}
    assert {"--config", "--pins"} <= completed(deb, "doorbell-device", "run", "--")
    assert completed(deb, "doorbell-device", "run", "--config", "a.toml", "--pins", "") == {"real", "mock"}
    assert {"help", "answer"} <= completed(deb, "doorbell-device", "pins", "press", "")


@pytest.mark.parametrize(("place", "word"), [("man", "run the device"), ("man/zh_CN", "运行设备")])
def test_the_manual_page_explains_every_command(deb: BuiltDeb, place: str, word: str) -> None:
    page = gzip.decompress((deb.root / f"usr/share/{place}/man1/doorbell-device.1.gz").read_bytes()).decode()
    assert word in page
    for command in ("run", "check", "pins press"):
        assert f'.SH "doorbell-device {command}"' in page
