"""A sheet of black lines and labels in two languages that becomes an SVG, with the symbols of a wiring plan.

Black, white and one grey, no colour that carries a meaning: it must read the same from a black-and-white printer. Every
label's box is kept, so that a test can see that no two overlap and none leaves the sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]

SYMBOL = 60
"""The length of every part, lead to lead."""
GREY = "#777"
_FONT = "'Noto Sans CJK SC','Source Han Sans SC','WenQuanYi Micro Hei','Microsoft YaHei','PingFang SC',sans-serif"


@dataclass(frozen=True, slots=True)
class Label:
    """A label's box, by a generous estimate: a full-width character is as wide as high, another 0.6 of it."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Label) -> bool:
        """Whether the boxes overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def text_width(text: str, size: float) -> float:
    """About how wide a text is; wide characters begin in the block of CJK radicals, the marks of Chinese among them."""
    return sum(size if ord(char) >= 0x2E80 else size * 0.6 for char in text)


class Canvas:
    """One sheet. Lengths in pixels of the SVG's own grid."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self.labels: list[Label] = []
        self._parts: list[str] = []

    def svg(self) -> str:
        """The whole file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" font-family="{_FONT}" fill="none" stroke="black" stroke-width="2" '
            'stroke-linecap="round" stroke-linejoin="round">'
        )
        title = f"<title>{escape(self.title)}</title>"
        ground = f'<rect width="{self.width}" height="{self.height}" fill="white" stroke="none"/>'
        return "\n".join([head, title, ground, *self._parts, "</svg>", ""])

    # --- lines ------------------------------------------------------------------------------------------------------

    def line(self, *points: Point, dashed: bool = False, grey: bool = False) -> None:
        """A wire through these points."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        dash = ' stroke-dasharray="6 5"' if dashed else ""
        colour = f' stroke="{GREY}"' if grey else ""
        self._parts.append(f'<polyline points="{path}"{dash}{colour}/>')

    def box(self, x: float, y: float, width: float, height: float, *, fill: str = "white", radius: float = 4) -> None:
        """A rectangle."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" fill="{fill}"/>'
        )

    def dot(self, x: float, y: float, *, radius: float = 3.5, fill: str = "black") -> None:
        """A joint or a contact."""
        self._parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}"/>')

    def text(
        self, x: float, y: float, text: str, *, size: float = 14, anchor: Anchor = "start", bold: bool = False,
        fill: str = "black",
    ) -> None:  # fmt: skip
        """A label whose base line is at ``y``."""
        width = text_width(text, size)
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        self.labels.append(Label(text, left, y - 0.85 * size, left + width, y + 0.2 * size))
        weight = ' font-weight="bold"' if bold else ""
        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}"{weight}{place} fill="{fill}" stroke="none">'
            f"{escape(text)}</text>"
        )

    def both(self, x: float, y: float, chinese: str, english: str, *, anchor: Anchor = "start") -> None:
        """A label in both languages, two lines."""
        self.text(x, y, chinese, size=15, anchor=anchor, bold=True)
        self.text(x, y + 17, english, size=13, anchor=anchor)

    # --- parts: from (x, y) to the right, or down -------------------------------------------------------------------

    def _symbol(self, x: float, y: float, down: bool, shapes: Sequence[str]) -> None:
        turn = " rotate(90)" if down else ""
        self._parts.append(f'<g transform="translate({x:g} {y:g}){turn}">{"".join(shapes)}</g>')

    def button(self, x: float, y: float) -> None:
        """A contact that closes when pressed."""
        self._symbol(x, y, False, [
            '<path d="M0 0H14M46 0H60M12 -16H48M30 -16V-28M20 -28H40"/>',
            '<circle cx="17" cy="0" r="3.5" fill="white"/><circle cx="43" cy="0" r="3.5" fill="white"/>',
        ])  # fmt: skip

    def resistor(self, x: float, y: float, *, down: bool = False) -> None:
        """A resistor."""
        self._symbol(
            x, y, down, ['<path d="M0 0H10M50 0H60"/><rect x="10" y="-8" width="40" height="16" fill="white"/>']
        )

    def capacitor(self, x: float, y: float, *, down: bool = False) -> None:
        """A capacitor without polarity."""
        self._symbol(x, y, down, ['<path d="M0 0H26M34 0H60M26 -14V14M34 -14V14"/>'])

    def led(self, x: float, y: float, *, back: bool = False) -> None:
        """A light-emitting diode, its anode on the left; ``back``: on the right."""
        body = "M20 -12L40 0L20 12Z" if not back else "M40 -12L20 0L40 12Z"
        bar = "M40 -12V12" if not back else "M20 -12V12"
        rays = "M30 -16L38 -26M33 -26H38V-21M40 -12L48 -22M43 -22H48V-17"
        self._symbol(x, y, False, [f'<path d="M0 0H60M{rays[1:]}"/><path d="{body}" fill="black"/><path d="{bar}"/>'])

    def diode(self, x: float, y: float) -> None:
        """A diode upwards from (x, y): its cathode is 60 above."""
        self._parts.append(
            f'<g transform="translate({x:g} {y:g})"><path d="M0 0V-60"/><path d="M-10 -20L0 -40L10 -20Z" fill="black"/>'
            '<path d="M-10 -40H10"/></g>'
        )

    def buzzer(self, x: float, y: float, *, down: bool = False) -> None:
        """A buzzer, its plus at (x, y)."""
        self._symbol(x, y, down, [
            '<path d="M0 0H14M46 0H60"/><circle cx="30" cy="0" r="16" fill="white"/><circle cx="30" cy="0" r="5"/>',
        ])  # fmt: skip

    def npn(self, x: float, y: float) -> None:
        """A transistor whose base is at (x, y), collector at (x+40, y-40), emitter at (x+40, y+40)."""
        self._symbol(x, y, False, [
            '<circle cx="26" cy="0" r="24" fill="white"/><path d="M0 0H16M16 -16V16M16 -7L40 -22V-40M16 7L40 22V40"/>',
            '<path d="M38 21L28 19L33 12Z" fill="black"/>',
        ])  # fmt: skip

    def speaker(self, x: float, y: float) -> None:
        """A loudspeaker with its lead on the left."""
        self._symbol(x, y, False, ['<path d="M0 0H18M18 -9H30V9H18ZM30 -9L46 -22V22L30 9M53 -10Q60 0 53 10"/>'])

    def ground(self, x: float, y: float) -> None:
        """Ground, hanging from (x, y)."""
        self._symbol(x, y, False, ['<path d="M0 0V10M-12 10H12M-8 15H8M-4 20H4"/>'])

    def supply(self, x: float, y: float, text: str) -> None:
        """A supply rail's end at (x, y), its name above."""
        self._symbol(x, y, False, ['<path d="M0 0V-10M-10 -10H10"/>'])
        self.text(x, y - 16, text, size=13, anchor="middle", bold=True)

    def paste(self, other: Canvas, dx: float, dy: float) -> None:
        """Another sheet onto this one, moved."""
        self._parts.append(f'<g transform="translate({dx:g} {dy:g})">{"".join(other._parts)}</g>')
        for one in other.labels:
            self.labels.append(Label(one.text, one.left + dx, one.top + dy, one.right + dx, one.bottom + dy))
