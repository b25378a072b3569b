"""docs/wiring*.md and their drawings: current, legible, true to the settings, the same in both languages."""

from __future__ import annotations

import re
import tomllib
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from device.core.role import Role
from device.core.signals import LIGHT_PATTERNS, Light
from device.settings import DaemonSettings
from device.wiring import GROUND_PINS, HEADER_PINS
from doorbell.settings import parse_settings
from tools import wiring
from tools.canvas import Canvas
from tools.wiring import GROUND_OF, drawings, lit_spans, main, uses

ROOT = Path(__file__).resolve().parent.parent
PAGES = {language: ROOT / path for language, path in wiring.PAGES.items()}
SHEETS = drawings()


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_the_drawings_and_tables_are_current() -> None:
    assert main(["--check"]) == 0, "run make docs"
    assert {path.name for path in (ROOT / "docs/wiring").iterdir()} == SHEETS.keys()


@pytest.mark.parametrize(
    ("constant", "value"),
    [("DEFAULT_LIGHT_PIN", 5), ("LIGHT_PATTERNS", LIGHT_PATTERNS | {Light.MINE: (9, 9)})],
)
def test_another_default_makes_them_stale(constant: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, constant, value)
    assert main(["--check"]) == 1


def test_make_docs_writes_what_check_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in wiring.PAGES.values():
        path.parent.mkdir(exist_ok=True)
        path.write_text("before\n<!-- made: pins -->\nold\n<!-- end -->\nafter\n", "utf-8")
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
    page = wiring.PAGES["en"].read_text("utf-8")
    assert page.startswith("before\n<!-- made: pins -->\n| device |")
    assert page.endswith("|\n<!-- end -->\nafter\n")
    assert "old" not in page


@pytest.mark.parametrize("name", SHEETS)
def test_no_label_overlaps_another_or_leaves_the_sheet(name: str) -> None:
    sheet = SHEETS[name]
    assert len(sheet.labels) > 5
    assert [(a.text, b.text) for a, b in combinations(sheet.labels, 2) if a.meets(b)] == []
    assert [
        one.text
        for one in sheet.labels
        if one.left < 4 or one.right > sheet.width - 4 or one.top < 4 or one.bottom > sheet.height - 4
    ] == []


def test_labels_that_overlap_are_seen() -> None:
    sheet = Canvas(200, 100, "")
    sheet.text(10, 50, "求助按钮", size=20)
    sheet.text(80, 50, "x", size=20)
    sheet.text(92, 50, "y", size=20)
    first, second, third = sheet.labels
    assert first.meets(second)
    assert not first.meets(third)
    assert not second.meets(third)


@pytest.mark.parametrize("name", SHEETS)
def test_a_drawing_is_well_formed_and_needs_no_colour(name: str) -> None:
    root = ET.fromstring(SHEETS[name].svg())  # noqa: S314 - our own
    shades = {part.get(key) for part in root.iter() for key in ("fill", "stroke")} - {None}
    assert shades <= {"black", "white", "none", "#777", "#bbb"}
    assert re.search("[一-鿿].*[a-z]", SHEETS[name].title), "a title in both languages"


@pytest.mark.parametrize("role", Role)
def test_every_pin_in_use_is_drawn_with_its_place(role: Role) -> None:
    for drawing in (f"header-{role}.svg", f"{role}.svg"):
        labels = [label.text for label in SHEETS[drawing].labels]
        for use, gpio in uses(role).items():
            assert any(text.startswith(f"GPIO{gpio}") for text in labels), (drawing, use)
            assert str(HEADER_PINS[gpio]) in labels
            assert str(GROUND_OF[use]) in labels


@pytest.mark.parametrize("role", Role)
def test_every_lead_has_a_ground_of_its_own(role: Role) -> None:
    grounds = [GROUND_OF[use] for use in uses(role)]
    assert set(grounds) <= set(GROUND_PINS)
    assert len(set(grounds)) == len(grounds)


@pytest.mark.parametrize("role", Role)
def test_the_drawn_uses_are_the_settings_defaults(role: Role) -> None:
    table = {"device": "d-1", "community": "c", "role": role.value, "state_dir": "var"}
    settings = parse_settings(DaemonSettings, table, Path("x.toml"))
    assert dict(settings.wiring().uses()) == uses(role)


def test_every_light_is_in_a_drawing() -> None:
    assert set().union(*wiring._ROLES.values()) == set(Role)
    assert wiring._ROLES.keys() == set(Light)


@pytest.mark.parametrize(
    ("pattern", "spans"),
    [((7,), [(0, 100)]), ((30, 40), [(0, 30), (70, 100)]), ((10, 20, 30, 60), [(0, 10), (30, 60)])],
)
def test_the_time_that_a_light_is_lit(pattern: tuple[int, ...], spans: list[tuple[int, int]]) -> None:
    assert lit_spans(pattern, 100) == spans


def fenced(language: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGES[language].read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("language", PAGES)
def test_every_settings_example_can_be_loaded(language: str) -> None:
    examples = fenced(language, "toml")
    assert len(examples) == 3
    for example in examples:
        table = tomllib.loads('device = "d-1"\ncommunity = "c"\nrole = "panel"\nstate_dir = "var"\n' + example)
        parse_settings(DaemonSettings, table, Path("x.toml"))


def test_both_languages_show_and_say_the_same() -> None:
    chinese, english = (PAGES[language].read_text("utf-8") for language in ("zh-CN", "en"))
    shown = [re.findall(r"!\[.*?\]\((.*?)\)", page) for page in (chinese, english)]
    assert shown[0] == shown[1]
    assert {Path(one).name for one in shown[0]} == SHEETS.keys()
    for kind in ("toml", "sh"):
        codes = ([re.sub("#.*", "", one) for one in fenced(language, kind)] for language in PAGES)
        assert next(codes) == next(codes)
    assert len(re.findall("^##+ ", chinese, re.MULTILINE)) == len(re.findall("^##+ ", english, re.MULTILINE))
    rows = [sum(line.startswith("|") for line in page.splitlines()) for page in (chinese, english)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("language", PAGES)
def test_every_link_of_the_pages_leads_somewhere(language: str) -> None:
    page = PAGES[language]
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).is_file(), target
