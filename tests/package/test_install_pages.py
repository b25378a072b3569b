"""The pages about installation: two languages with the same commands, and no path or target that is not there."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.package.debs import BuiltDeb

ROOT = Path(__file__).parents[2]
PAGES = ("install.md", "install.zh-CN.md")
MADE_ON_THE_PI = ("/etc/", "/var/", "/run/")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    return re.findall(r"^```.*?^```", text, re.DOTALL | re.MULTILINE)


def test_both_languages_have_the_same_blocks_headings_and_tables() -> None:
    english, chinese = (page(name) for name in PAGES)
    assert blocks(english) == blocks(chinese)
    assert len(re.findall(r"^#", english, re.MULTILINE)) == len(re.findall(r"^#", chinese, re.MULTILINE))
    here, there = (re.findall(r"^\| `(/[^`]+)`", text, re.MULTILINE) for text in (english, chinese))
    assert here == there


@pytest.mark.parametrize("name", PAGES)
def test_every_path_of_the_package_is_in_the_package(deb: BuiltDeb, name: str) -> None:
    paths = re.findall(r"^\| `(/[^`]+)`", page(name), re.MULTILINE)
    assert paths
    missing = [path for path in paths if not path.startswith(MADE_ON_THE_PI) and not (deb.root / path[1:]).exists()]
    assert missing == []


@pytest.mark.parametrize("name", PAGES)
def test_every_make_target_of_the_page_exists(name: str) -> None:
    targets = set(re.findall(r"^make [a-z-]+|(?<=`)make [a-z-]+", page(name), re.MULTILINE))
    assert targets
    for target in targets:
        done = subprocess.run([*target.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
