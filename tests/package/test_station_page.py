"""docs/install-relay.md and what it leads through: no command, path or setting that is not there."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from doorbell.settings import load_settings
from relay.commands.program import build_command
from relay.settings import RelaySettings
from relay.texts import Language
from tests.package.debian_root import ROOT
from tests.package.station import LOCK, PAGE, commands
from tests.test_project import pinned

SCRIPT = ROOT / "tools" / "install-relay.sh"
EXAMPLE = ROOT / "config" / "station.example.toml"
SECTIONS = re.findall(r"^## (?:\d )?(.+?) · ", PAGE.read_text("utf-8"), re.MULTILINE)
TYPED = [line for section in SECTIONS for line in commands(section)]
INLINE = re.findall(r"`(sudo [^`…]+)`", PAGE.read_text("utf-8"))


@pytest.mark.parametrize(
    "line", dict.fromkeys(line for line in [*TYPED, *INLINE] if line.startswith("sudo doorbell-relay "))
)
def test_a_command_of_the_page_exists_with_its_options(line: str) -> None:
    words = shlex.split(line)[2:]
    command: Any = build_command(Language.EN)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    if not words or words[0].startswith("-") or not getattr(command, "commands", None):
        known = {name for param in command.params for name in param.opts}
        assert {word for word in words if word.startswith("-")} <= known
    else:
        pytest.fail(f"no command {words[0]}")


def test_units_programs_and_files_of_the_page_are_there() -> None:
    words = " ".join([*TYPED, *INLINE]).split()
    units = {word for word in words if re.fullmatch(r"doorbell-\S+\.(service|timer)", word)}
    assert units == {path.name for path in (ROOT / "systemd").glob("doorbell-*") if "device" not in path.name} - {
        f"doorbell-relay-{chore}.service" for chore in ("retain", "verify", "renew")
    }
    for word in words:
        if re.match(r"(tools|config)/", word):
            assert (ROOT / word).is_file()


def test_the_installer_is_a_shell_script_that_says_everything_in_both_languages() -> None:
    subprocess.run(["bash", "-n", SCRIPT], check=True)
    text = SCRIPT.read_text("utf-8").replace("\\\n", " ")
    said = re.findall(r'\b(?:say|die) "([^"]*)"\s+"([^"]*)"', text)
    assert len(said) == len(re.findall(r'\b(?:say|die) ["$]', text)) > 10
    for chinese, english in said:
        assert re.search(r"[\u4e00-\u9fff]", chinese)
        assert not re.search(r"[\u4e00-\u9fff]", english)


def test_the_settings_that_are_installed_fit_the_page(tmp_path: Path) -> None:
    there = tmp_path / "relay.toml"
    there.write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    settings = load_settings(RelaySettings, there)
    assert settings.authority.directory == Path("/var/lib/love-doorbell/authority")
    assert settings.database == Path("/var/lib/love-doorbell/relay.sqlite3")
    assert settings.mqtt.tls
    assert settings.mqtt.tls.key == tmp_path / "identity" / "key.pem"
    assert settings.broker
    assert settings.broker.port == settings.mqtt.port
    issued = {line.split(" --to ")[1] for line in TYPED if " --to " in line}
    assert issued == {"/etc/love-doorbell/identity", str(settings.broker.directory)}
    # As the page opens the pages, and [provision] as a technician would.
    text = EXAMPLE.read_text("utf-8").replace("# [web]", "[web]").replace("# base_url", "base_url")
    there.write_text(re.sub(r"^# (\[provision\]|hosts|packages)", r"\1", text, flags=re.MULTILINE), "utf-8")
    opened = load_settings(RelaySettings, there)
    name = (opened.web.base_url or "").removeprefix("https://")
    assert f"{name} {{" in (ROOT / "config" / "Caddyfile.example").read_text("utf-8")
    assert opened.provision.hosts


def test_what_is_installed_is_what_is_tested() -> None:
    """The relay's part of the lock, in the same versions with the same hashes."""
    relay, whole = (path.read_text("utf-8") for path in (LOCK, ROOT / "requirements.lock"))

    def pins(text: str) -> set[str]:
        return {line.removesuffix(" \\") for line in text.splitlines() if re.match(r"\w", line)}

    def hashes(text: str) -> set[str]:
        return set(re.findall(r"sha256:\w+", text))

    assert pins(relay) <= pins(whole), "make lock"
    assert hashes(relay) <= hashes(whole), "make lock"
    assert {"setuptools", "psycopg-binary", "uvicorn", "alembic"} <= pinned(relay).keys()
    assert not {"pytest", "mypy", "gpiozero"} & pinned(relay).keys()
