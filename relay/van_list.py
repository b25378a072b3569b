"""The list for the van: what is installed where today, with boxes to tick. It names people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relay.core.register import Device, DeviceRole, Register
from relay.labels import FAMILY, MM_PER_POINT, SHEET_MM, finish_pdf, open_pdf, wrap
from relay.texts import Language, Text
from relay.texts import labels as say

EDGE_MM = 15.0
TITLE_PT, TEXT_PT = 16.0, 11.0
BOX_MM = 4.0
BOXES: tuple[Text, ...] = (say.BOX_CARD, say.BOX_POWER, say.BOX_LIGHT, say.BOX_LABEL, say.BOX_PRESS)
"""What is done by hand at every device, in this order."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One home, and what is installed there."""

    where: str
    who: str
    devices: tuple[Device, ...]


def stops_of(register: Register, devices: Sequence[Device]) -> list[Stop]:
    """Homes in the order of their places: households with their panels, then volunteers with their bells."""
    found: dict[tuple[bool, str, str], list[Device]] = {}
    for device in devices:
        if device.household is not None:
            home = register.households[device.household]
            key = (False, home.place or register.communities[home.community].name, home.label)
        else:
            person = register.people[device.person or ""]
            key = (True, register.communities[person.community].name, f"{person.name} {person.phone}".strip())
        found.setdefault(key, []).append(device)
    return [Stop(key[1], key[2], tuple(found[key])) for key in sorted(found)]


def make_list(stops: Sequence[Stop], title: str, language: Language) -> bytes:
    """The PDF, on A4. ``RefusalError`` if the font is not installed."""
    pdf = open_pdf(SHEET_MM)
    width = SHEET_MM[0] - 2 * EDGE_MM
    line_mm = TEXT_PT * MM_PER_POINT * 1.5
    y = SHEET_MM[1]

    def write(text: str, size: float, x: float, height: float) -> float:
        """Lines below one another; where the next one begins."""
        nonlocal y
        pdf.set_font(FAMILY, size=size)
        for line in wrap(text, EDGE_MM + width - x, pdf.get_string_width):
            pdf.set_xy(x, y)
            pdf.cell(width, height, line)
            y += height
        return y

    def begin_page() -> None:
        nonlocal y
        pdf.add_page()
        y = EDGE_MM
        write(title, TITLE_PT, EDGE_MM, TITLE_PT * MM_PER_POINT * 1.5)
        y += line_mm / 2

    for stop in stops:
        needed = line_mm * (5 + 3 * len(stop.devices))
        if y + needed > SHEET_MM[1] - EDGE_MM:
            begin_page()
        write(f"{stop.where}  {stop.who}", TEXT_PT + 1, EDGE_MM, line_mm)
        for device in stop.devices:
            role = say.PANEL if device.role is DeviceRole.PANEL else say.BELL
            write(f"{role.say(language)}  {device.id}", TEXT_PT, EDGE_MM + BOX_MM, line_mm)
            x = EDGE_MM + BOX_MM
            pdf.set_font(FAMILY, size=TEXT_PT - 1)
            for text in (one.say(language) for one in BOXES):
                step = BOX_MM + 1.5 + pdf.get_string_width(text) + 4
                if x + step > EDGE_MM + width:
                    x, y = EDGE_MM + BOX_MM, y + line_mm
                pdf.rect(x, y + (line_mm - BOX_MM) / 2, BOX_MM, BOX_MM)
                pdf.set_xy(x + BOX_MM + 1.5, y)
                pdf.cell(step, line_mm, text)
                x += step
            y += line_mm
        y += line_mm / 2
    return finish_pdf(pdf)
