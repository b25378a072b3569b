"""The threat model names tests that there are, and looks at each link from all six sides."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
LINKS = re.split(r"^### ", PAGE.partition("## The links")[2].partition("\n## ")[0], flags=re.MULTILINE)[1:]


@cache
def functions_of(file: str) -> frozenset[str]:
    """The tests in all files of that name; empty if there is none."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob(file):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        found |= {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    return frozenset(found)


def rows(link: str) -> list[list[str]]:
    lines = [line.strip("|").split(" | ") for line in link.splitlines() if line.startswith("|")]
    return [[cell.strip(" |") for cell in line] for line in lines[2:]]


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", PAGE)
    assert len(named) > 80
    missing = [
        (file, test) for file, test in named if not functions_of(file) or (test and test not in functions_of(file))
    ]
    assert not missing


@pytest.mark.parametrize("link", LINKS, ids=[link.splitlines()[0] for link in LINKS])
def test_a_link_is_looked_at_from_all_six_sides_and_each_row_has_its_test(link: str) -> None:
    found = rows(link)
    assert set("".join(row[0] for row in found)) - {" "} == set("STRIDE")
    for row in found:
        assert len(row) >= 4, row
        assert re.search(r"`test_\w+\.py", row[3]) or row[3].startswith("no test: "), row[1]
