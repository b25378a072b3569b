"""Labels, looked at: the QR code is read, and no ink leaves its place, whatever the names."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import pypdfium2
import pytest
import zxingcpp
from PIL import Image

from relay import labels as module
from relay.core.register import DeviceRole, Register
from relay.labels import (
    PER_SHEET,
    ROLL_MM,
    SHEET_LABEL_MM,
    SHEET_MM,
    SMALLEST_PT,
    Box,
    Label,
    Paper,
    fit,
    label_boxes,
    label_of,
    make_labels,
    wrap,
)
from relay.register_file import parse_register
from relay.register_shapes import MAX_LABEL, MAX_PLACE
from relay.texts import Language
from relay.texts.refusal import RefusalError
from tests.relay.office import EXAMPLE, Office

REGISTER = parse_register(EXAMPLE.read_bytes())[0] or Register()
DPI = 300
LONGEST_ID = "w" * 63
SHORT = Label("panel-liu", DeviceRole.PANEL, "西湖山小区 3栋502")
LONGEST = Label(
    LONGEST_ID, DeviceRole.BELL, "龘" * MAX_PLACE, "鑫" * MAX_LABEL, f"https://doorbell.example.org/{'x' * 100}/d/w"
)
WIDEST_LATIN = Label("m" * 63, DeviceRole.PANEL, "W" * MAX_PLACE, "M" * MAX_LABEL)
WORDS = Label("a-" * 31 + "a", DeviceRole.PANEL, "Building 3, Flat 502, ask at the porter's lodge, West Gate"[:60])


def pages(raw: bytes) -> list[Image.Image]:
    """The pages as a printer of 300 dots an inch would have them, in grey."""
    document = pypdfium2.PdfDocument(io.BytesIO(raw))
    return [page.render(scale=DPI / 72).to_pil().convert("L") for page in document]


def part(page: Image.Image, box: Box, margin_mm: float = 0.0) -> Image.Image:
    """What is in a box, without a margin."""
    dots = DPI / 25.4
    left, top = (box.x + margin_mm) * dots, (box.y + margin_mm) * dots
    right, bottom = (box.x + box.width - margin_mm) * dots, (box.y + box.height - margin_mm) * dots
    return page.crop((round(left), round(top), round(right), round(bottom)))


def ink(image: Image.Image) -> int:
    """Dots that are not white."""
    return sum(image.histogram()[:250])


@pytest.mark.parametrize(("paper", "size_mm"), [(Paper.ROLL, ROLL_MM), (Paper.SHEET, SHEET_MM)])
def test_every_code_is_read_and_no_ink_leaves_its_label(paper: Paper, size_mm: tuple[float, float]) -> None:
    """All of a page's ink is inside the margins of its labels: nothing overlaps, nothing is cut off."""
    made = [SHORT, LONGEST, WIDEST_LATIN, WORDS]
    drawn = pages(make_labels(made, paper, Language.ZH))
    assert {page.size for page in drawn} == {tuple(round(mm / 25.4 * DPI + 0.49) for mm in size_mm)}
    boxes = label_boxes(paper, len(made))
    assert len(drawn) == boxes[-1][0] + 1
    inside = dict.fromkeys(range(len(drawn)), 0)
    for label, (page, box) in zip(made, boxes, strict=True):
        cut = part(drawn[page], box)
        (code,) = zxingcpp.read_barcodes(cut)
        assert code.text == label.code
        kept = part(drawn[page], box, margin_mm=1.5)
        assert ink(kept) == ink(cut), f"{label.device} reaches into the margin"
        inside[page] += ink(cut)
    assert inside == {number: ink(page) for number, page in enumerate(drawn)}


def test_the_words_beside_the_code_do_not_touch_it() -> None:
    """The white zone around the code is white on all four sides, also at the longest names."""
    (page,) = pages(make_labels([LONGEST], Paper.ROLL, Language.EN))
    (code,) = zxingcpp.read_barcodes(page)
    corners = code.position
    right = max(corners.top_right.x, corners.bottom_right.x)
    columns = [ink(page.crop((x, 0, x + 1, page.height))) for x in range(page.width)]
    first_word = next(x for x in range(right + 5, page.width) if columns[x])
    modules = (right - corners.top_left.x) / 49  # more than there are: a smaller module than the real one
    assert first_word - right >= 4 * modules


def test_24_to_a_sheet_without_overlap_and_from_the_first_that_is_free() -> None:
    boxes = label_boxes(Paper.SHEET, PER_SHEET + 1)
    assert [page for page, _ in boxes] == [0] * PER_SHEET + [1]
    for one, other in itertools.combinations([box for _, box in boxes[:PER_SHEET]], 2):
        apart = abs(one.x - other.x) >= SHEET_LABEL_MM[0] or abs(one.y - other.y) >= SHEET_LABEL_MM[1]
        assert apart
    assert all(box.y >= 0 and box.y + box.height <= SHEET_MM[1] for _, box in boxes)
    assert label_boxes(Paper.SHEET, 2, first=PER_SHEET) == [boxes[-2], (1, boxes[0][1])]


def test_a_size_is_the_largest_at_which_all_is_inside() -> None:
    def measure(text: str, points: float) -> float:
        return len(text) * points

    assert fit(["abc"], 36.0, 100.0, measure)[0] == 12.0
    size, lines = fit(["abcd", "ef"], 24.0, 6.0, measure)
    assert ("".join(lines), size >= SMALLEST_PT) == ("abcdef", True)
    assert all(measure(line, size) <= 24.0 for line in lines)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("西湖山小区 3栋502", ["西湖山小区", "3栋502"]),
        ("西湖山小区三栋五零二室", ["西湖山小区三栋", "五零二室"]),
        ("panel-liu-2", ["panel-", "liu-2"]),
        ("abcdefghij", ["abcdefg", "hij"]),
        ("", []),
    ],
)
def test_a_line_breaks_where_a_reader_expects_it(text: str, lines: list[str]) -> None:
    assert wrap(text, 7, len) == lines


def test_nobody_is_named_on_a_label_unless_it_was_asked_for() -> None:
    """A label hangs where every visitor reads it."""
    people = {one.name for one in REGISTER.people.values()} | {one.label for one in REGISTER.households.values()}
    for device in REGISTER.devices.values():
        label = label_of(REGISTER, device, "https://doorbell.example.org/")
        assert not any(name in text for name in people for text in (label.place, label.name, label.url))
        assert label.place
        assert label.url == f"https://doorbell.example.org/d/{device.id}"
    asked = label_of(REGISTER, REGISTER.devices["button-liu"], None, names=True)
    assert (asked.name, asked.code) == ("柳奶奶", "doorbell:button-liu")


def test_what_is_printed_is_what_was_asked_for(office: Office) -> None:
    assert office.run("register", "import", str(office.register))[0] == 0
    to = office.folder / "labels.pdf"
    assert office.run("provision", "labels", "button-liu", "bell-peng", "--to", str(to))[0] == 0
    codes = [zxingcpp.read_barcodes(page)[0].text for page in pages(to.read_bytes())]
    assert codes == ["doorbell:button-liu", "doorbell:bell-peng"]
    for words in (("button-liu", "--to", str(to)), ("button-lu", "--to", str(office.folder / "other.pdf"))):
        code, _, err = office.run("provision", "labels", *words)
        assert (code, bool(err)) == (2, True)


def test_a_font_that_is_missing_is_told_by_its_package(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FONT", Path("/nowhere/wqy-microhei.ttc"))
    with pytest.raises(RefusalError, match="fonts-wqy-microhei"):
        make_labels([SHORT], Paper.ROLL, Language.ZH)
