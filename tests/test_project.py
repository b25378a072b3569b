"""Rules that a machine can check: documented commands exist, the lock is whole, files stay small and clean."""

import ast
import os
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import structlog

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
READMES = ("README.md", "README.zh-CN.md")
DOCUMENTS = (*READMES, "CONTRIBUTING.md")
MAX_MODULE_LINES = 400
MAX_FILE_BYTES = 300_000  # a clone over a village's line; generated bulk belongs in a release, not in history
# Registry hosts, in halves so that this file does not name them; the checkout's own path; keys.
FORBIDDEN = (
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "registry.npm" + "js",
    "deb.debian" + ".org",
    "proxy.golang" + ".org",
    "PRIVATE KEY" + "-----",
    f"{ROOT}/",
)


@cache
def tracked() -> tuple[Path, ...]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def tracked_python() -> Iterator[tuple[str, str]]:
    for path in tracked():
        if path.suffix == ".py":
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def blocks(readme: str) -> list[str]:
    """The command lines of a README's ```sh blocks, without comments, continued lines joined."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    fenced = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = "\n".join(fenced).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [shlex.join(line) for line in words if line]


def commands(start: str) -> list[str]:
    """Every documented command that starts so, in blocks and in `inline code`, once each."""
    found: dict[str, None] = {}
    for readme in DOCUMENTS:
        inline = re.findall(r"`([^`\n]+)`", (ROOT / readme).read_text(encoding="utf-8"))
        for line in [*blocks(readme), *inline]:
            if re.match(start, line):
                found[line.strip().rstrip("& ")] = None
    return list(found)


def test_readmes_tell_the_same_commands() -> None:
    english, chinese = (blocks(readme) for readme in READMES)
    assert english, "README.md has no ```sh block"
    assert chinese == english


@pytest.mark.parametrize("line", commands(r"make\b"))
def test_documented_make_target_exists(line: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    dry = [*shlex.split(line), "--dry-run"]
    done = subprocess.run(dry, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", commands(r"doorbell-(device|relay|sim)\b"))
def test_documented_command_exists_with_its_options(line: str) -> None:
    words = shlex.split(line)
    program, arguments = words[0], words[1:]
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
    done = subprocess.run(
        [BIN / program, *arguments, "--help"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for option in (word.partition("=")[0] for word in arguments if word.startswith("--")):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", done.stdout), f"{option} is not in the help"


def test_every_make_target_is_explained_and_phony() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z][a-z-]*):(?!=)(.*)$", makefile, re.MULTILINE)
    assert targets
    for name, rest in targets:
        assert "## " in rest, f"{name} has no explanation"
        assert f".PHONY: {name}\n" in makefile, f"{name} is not .PHONY"


def test_no_tracked_file_is_large() -> None:
    large = {path.name: size for path in tracked() if (size := path.stat().st_size) > MAX_FILE_BYTES}
    assert not large


def test_no_module_is_longer_than_a_reader_bears() -> None:
    long = {name: lines for name, text in tracked_python() if (lines := len(text.splitlines())) > MAX_MODULE_LINES}
    assert not long


def test_no_file_names_a_registry_a_checkout_or_a_key() -> None:
    found = []
    for path in tracked():
        text = path.read_bytes().decode(errors="replace")
        found += [(str(path.relative_to(ROOT)), word) for word in FORBIDDEN if word in text]
    assert not found


def sleeps(source: str) -> list[int]:
    """The lines of a test that wait for the wall clock. asyncio.sleep(0) only yields, and is fine."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module="time", names=names) if any(name.name == "sleep" for name in names):
                lines.append(node.lineno)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="time"), attr="sleep")):
                lines.append(node.lineno)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="asyncio"), attr="sleep"), args=arguments):
                if not (arguments and isinstance(arguments[0], ast.Constant) and arguments[0].value == 0):
                    lines.append(node.lineno)
            case _:
                pass
    return lines


def test_no_test_sleeps() -> None:
    found = {name: lines for name, text in tracked_python() if name.startswith("tests/") and (lines := sleeps(text))}
    assert not found


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import time\ntime.sleep(1)", [2]),
        ("from time import sleep\nsleep(1)", [1]),
        ("import asyncio\nasync def f():\n  await asyncio.sleep(0.1)", [3]),
        ("import asyncio\nasync def f():\n  await asyncio.sleep(0)", []),
        ("import threading\nthreading.Event().wait(1)", []),
    ],
)
def test_a_sleep_in_a_test_is_seen(source: str, lines: list[int]) -> None:
    assert sleeps(source) == lines


def pinned(text: str) -> dict[str, int]:
    """Package name -> number of hashes, for each entry of a lock."""
    entries = re.split(r"^(?=\w)", text, flags=re.MULTILINE)
    return {entry.split("==")[0].strip(): entry.count("--hash=sha256:") for entry in entries if entry.strip()}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-relay.lock", "tools/bootstrap.txt"])
def test_every_locked_package_has_a_hash_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    packages = pinned(text)
    assert packages
    assert not [name for name, hashes in packages.items() if not hashes]
    assert "://" not in text


def test_the_lock_knows_every_dependency() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(item for extra in project["optional-dependencies"].values() for item in extra),
    ]
    names = {re.split(r"[^\w.-]", item)[0].lower() for item in wanted}
    locked = pinned((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    assert names <= set(locked), "run make lock"


def test_the_changelog_knows_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_log_watch_sees_errors_of_threads_and_of_programs_that_configure_logging(
    allow_error_logs: list[dict[str, Any]],
) -> None:
    log = structlog.get_logger()
    thread = threading.Thread(target=lambda: log.error("in.thread"))
    thread.start()
    thread.join()
    structlog.configure(processors=[structlog.processors.JSONRenderer()], cache_logger_on_first_use=True)
    log.critical("after.configure")
    log.warning("only.a.warning")
    assert [event["event"] for event in allow_error_logs] == ["in.thread", "after.configure"]
