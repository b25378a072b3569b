"""Labels for devices, as a PDF: one a page for a 62 mm roll, or 24 on a sheet of A4.

A label sticks on a wall where every visitor reads it: it says where the device belongs, what it is and its id, and no
person's name. A name is printed only where somebody asks for it (``Label.name``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from relay.core.register import Device, DeviceRole, Register
from relay.texts import Language
from relay.texts import labels as say
from relay.texts.refusal import RefusalError

if TYPE_CHECKING:
    from fpdf import FPDF

FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
FONT_PACKAGE = "fonts-wqy-microhei"
FAMILY = "doorbell"
MM_PER_POINT = 25.4 / 72
LEADING = 1.2
"""Height of a line, in sizes of its letters."""
LARGEST_PT, SMALLEST_PT, STEP_PT = 12.0, 5.0, 0.25
MARGIN_MM = 2.0
"""A roll's printer leaves 1.5 mm at both edges white."""
QUIET = 4
"""White modules around a QR code (ISO/IEC 18004)."""


class Paper(StrEnum):
    """What is printed on."""

    ROLL = "62mm"
    SHEET = "a4"


class Box(NamedTuple):
    """A rectangle on a page, mm from its upper left corner."""

    x: float
    y: float
    width: float
    height: float


ROLL_MM = (62.0, 34.0)
SHEET_MM, COLUMNS, ROWS, SHEET_LABEL_MM = (210.0, 297.0), 3, 8, (70.0, 37.0)
"""24 to a sheet, 70 mm by 37 mm, without gaps: the commonest sheet there is."""
PER_SHEET = COLUMNS * ROWS


@dataclass(frozen=True, slots=True)
class Label:
    """What stands on one."""

    device: str
    role: DeviceRole
    place: str
    """Where it belongs: the household's place, else the community's name."""
    name: str = ""
    """How the elder is called, where that was asked for."""
    url: str = ""
    """The device's page; without one the QR code holds the device's id."""

    @property
    def code(self) -> str:
        """What the QR code holds."""
        return self.url or f"doorbell:{self.device}"


def label_of(register: Register, device: Device, base_url: str | None, *, names: bool = False) -> Label:
    """The label of a device of the register."""
    home = register.households.get(device.household or "")
    place = (home.place if home is not None else "") or register.communities[device.community].name
    url = f"{base_url.rstrip('/')}/d/{device.id}" if base_url else ""
    return Label(device.id, device.role, place, home.label if home is not None and names else "", url)


def label_boxes(paper: Paper, count: int, first: int = 1) -> list[tuple[int, Box]]:
    """The page (from 0) and the place of each label. ``first``: the first free one of a sheet, from 1."""
    if paper is Paper.ROLL:
        return [(page, Box(0, 0, *ROLL_MM)) for page in range(count)]
    width, height = SHEET_LABEL_MM
    above = (SHEET_MM[1] - ROWS * height) / 2
    found = []
    for number in range(first - 1, first - 1 + count):
        page, place = divmod(number, PER_SHEET)
        row, column = divmod(place, COLUMNS)
        found.append((page, Box(column * width, above + row * height, width, height)))
    return found


def make_labels(labels: Sequence[Label], paper: Paper, language: Language, first: int = 1) -> bytes:
    """The PDF. ``RefusalError`` if the font is not installed."""
    page_mm = ROLL_MM if paper is Paper.ROLL else SHEET_MM
    pdf = open_pdf(page_mm)
    for label, (page, box) in zip(labels, label_boxes(paper, len(labels), first), strict=True):
        while pdf.page_no() <= page:
            pdf.add_page()
        _draw(pdf, label, box, language)
    return finish_pdf(pdf)


def open_pdf(page_mm: tuple[float, float]) -> FPDF:
    """An empty document in the one font that has every character. ``RefusalError`` if it is not installed."""
    from fpdf import FPDF  # noqa: PLC0415 - a third of a second that no other command needs

    if not FONT.exists():
        raise RefusalError(say.NO_FONT, path=FONT, package=FONT_PACKAGE)
    pdf = FPDF(unit="mm", format=page_mm)
    pdf.set_auto_page_break(auto=False)
    pdf.set_margin(0)
    pdf.c_margin = 0
    pdf.add_font(FAMILY, fname=FONT)
    pdf.set_font(FAMILY, size=LARGEST_PT)
    return pdf


def finish_pdf(pdf: FPDF) -> bytes:
    """The document's bytes."""
    stream = BytesIO()
    pdf.output(stream)
    return stream.getvalue()


def _draw(pdf: FPDF, label: Label, box: Box, language: Language) -> None:
    side = box.height - 2 * MARGIN_MM
    side = min(side, 0.42 * box.width)
    _draw_code(pdf, label.code, Box(box.x + MARGIN_MM, box.y + (box.height - side) / 2, side, side))
    left = box.x + 2 * MARGIN_MM + side
    text = Box(left, box.y + MARGIN_MM, box.x + box.width - MARGIN_MM - left, box.height - 2 * MARGIN_MM)
    role = (say.PANEL if label.role is DeviceRole.PANEL else say.BELL).say(language)
    parts = [part for part in (label.name, label.place, role, label.device) if part]
    size, lines = fit(parts, text.width, text.height, lambda line, points: _width(pdf, line, points))
    pdf.set_font(FAMILY, size=size)
    line_mm = size * LEADING * MM_PER_POINT
    top = text.y + (text.height - line_mm * len(lines)) / 2
    for number, line in enumerate(lines):
        pdf.set_xy(text.x, top + number * line_mm)
        pdf.cell(text.width, line_mm, line)


def _draw_code(pdf: FPDF, content: str, box: Box) -> None:
    import segno  # noqa: PLC0415 - as above

    modules = segno.make_qr(content, error="m").matrix
    unit = box.width / (len(modules) + 2 * QUIET)
    pdf.set_fill_color(0)
    for row, bits in enumerate(modules):
        begin = None
        for column, bit in enumerate([*bits, 0]):
            if bit and begin is None:
                begin = column
            elif not bit and begin is not None:
                x, y = box.x + (QUIET + begin) * unit, box.y + (QUIET + row) * unit
                pdf.rect(x, y, (column - begin) * unit, unit, style="F")
                begin = None


def _width(pdf: FPDF, line: str, points: float) -> float:
    pdf.set_font(FAMILY, size=points)
    return float(pdf.get_string_width(line))


def fit(
    parts: Iterable[str], width: float, height: float, measure: Callable[[str, float], float]
) -> tuple[float, list[str]]:
    """The largest size, in points, at which all parts, each on lines of its own, are inside; and those lines.

    ``measure``: the width of a text at a size, in mm, by the font itself.
    """
    parts = list(parts)
    size = LARGEST_PT
    while True:
        lines = [line for part in parts for line in wrap(part, width, partial(_at, measure, size))]
        if len(lines) * size * LEADING * MM_PER_POINT <= height or size <= SMALLEST_PT:
            return size, lines
        size -= STEP_PT


def _at(measure: Callable[[str, float], float], size: float, text: str) -> float:
    return measure(text, size)


def wrap(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Lines no wider than this. Broken after a space or hyphen where there is one, as Chinese may be anywhere."""
    lines: list[str] = []
    rest = text.strip()
    while measure(rest) > width:
        end = max(1, next(n for n in range(1, len(rest) + 1) if measure(rest[: n + 1]) > width))
        broken = max(rest.rfind(" ", 0, end + 1), rest.rfind("-", 0, end) + 1)
        if broken * 2 >= end:
            end = broken
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return [*lines, rest] if rest else lines
