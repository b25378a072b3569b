"""The details of docs/wiring.md that are the same for panel and bell: light, buzzer, a long lead."""

from __future__ import annotations

from collections.abc import Mapping

from device.core.role import ButtonName, Role
from device.pins import DEFAULT_BUTTON_PINS, DEFAULT_BUZZER_PIN, DEFAULT_LIGHT_PIN, RGB_PINS
from tools.canvas import SYMBOL, Canvas

WIDTH = 820
"""Of every sheet: readable on a page of A4 and beside the text on a screen."""
NAMES: Mapping[str, tuple[str, str]] = {
    "help": ("求助按钮", "help button"),
    "ok": ("平安按钮", "OK button"),
    "answer": ("应答按钮", "answer button"),
    "decline": ("“我来不了”按钮", "“I cannot” button"),
    "light": ("灯", "light"),
    "buzzer": ("蜂鸣器", "buzzer"),
    "red": ("红", "red"),
    "green": ("绿", "green"),
    "blue": ("蓝", "blue"),
}


def _lamp_row(canvas: Canvas, y: float, name: str, ohm: int, *, common_anode: bool) -> None:
    canvas.text(64, y + 5, name, anchor="end")
    canvas.line((70, y), (90, y))
    canvas.resistor(90, y)
    canvas.text(120, y - 14, f"{ohm} Ω", size=12, anchor="middle")
    canvas.line((150, y), (180, y))
    canvas.led(180, y, back=common_anode)


def draw_light() -> Canvas:
    """One LED or three in one housing, both ways."""
    canvas = Canvas(WIDTH, 560, "灯的四种接法 · Four ways to connect the light")
    canvas.text(WIDTH / 2, 32, canvas.title, size=19, anchor="middle", bold=True)
    for column, low in ((0, False), (1, True)):
        shifted = Canvas(WIDTH, 560, "")
        shifted.both(20, 80, "单色，低电平亮" if low else "单色，高电平亮（默认）", _SINGLE[low])
        _lamp_row(shifted, 150, f"GPIO{DEFAULT_LIGHT_PIN}", 330, common_anode=low)
        shifted.line((240, 150), (270, 150))
        shifted.dot(270, 150)
        shifted.text(282, 155, "3.3 V" if low else "GND")
        shifted.both(20, 240, "多色，共阳极" if low else "多色，共阴极", _SEVERAL[low])
        for index, (colour, pin) in enumerate(RGB_PINS.items()):
            y = 310 + 64 * index
            _lamp_row(shifted, y, f"GPIO{pin}", 330 if colour == "red" else 100, common_anode=low)
            shifted.text(210, y + 26, f"{NAMES[colour][0]} {NAMES[colour][1]}", size=12, anchor="middle")
            shifted.line((240, y), (270, y))
        shifted.line((270, 310), (270, 438))
        shifted.dot(270, 374)
        shifted.line((270, 374), (280, 374))
        shifted.text(284, 379, "3.3 V" if low else "GND")
        for line, code in enumerate(_LIGHT_TOML[low]):
            shifted.text(20, 488 + 18 * line, code, size=12)
        canvas.paste(shifted, 30 + 400 * column, 0)
    canvas.line((WIDTH / 2, 60), (WIDTH / 2, 520), grey=True)
    canvas.text(
        WIDTH / 2, 545, "绿、蓝、白 LED 需要约 3 V，用 100 Ω；红、黄约 2 V，用 330 Ω：每个 1 到 5 mA。　"
        "Green, blue: 100 Ω; red: 330 Ω.", size=12, anchor="middle",
    )  # fmt: skip
    return canvas


_SINGLE = {False: "one LED, lit when high (the default)", True: 'one LED, lit when low: active = "low"'}
_SEVERAL = {False: "common cathode, lit when high", True: "common anode, lit when low"}
_LIGHT_TOML = {
    False: ('light = "rgb"',),
    True: (
        f"light = {{ red = {RGB_PINS['red']}, green = {RGB_PINS['green']},",
        f'    blue = {RGB_PINS["blue"]}, active = "low" }}',
    ),
}


def draw_buzzer() -> Canvas:
    """A small buzzer at the pin, a larger one through a transistor."""
    pin = f"GPIO{DEFAULT_BUZZER_PIN[Role.BELL]}"
    canvas = Canvas(WIDTH, 400, "蜂鸣器 · The buzzer")
    canvas.text(WIDTH / 2, 32, canvas.title, size=19, anchor="middle", bold=True)
    canvas.both(40, 80, "直接：有源，3.3 V，不超过 8 mA", "direct: active, 3.3 V, at most 8 mA")
    canvas.text(84, 205, pin, anchor="end")
    canvas.line((92, 200), (130, 200))
    canvas.text(118, 190, "+", size=16, anchor="middle", bold=True)
    canvas.buzzer(130, 200)
    canvas.line((190, 200), (230, 200), (230, 215))
    canvas.ground(230, 215)
    canvas.line((WIDTH / 2 - 70, 60), (WIDTH / 2 - 70, 370), grey=True)
    canvas.both(370, 80, "经三极管：有源，5 V，不超过 100 mA", "through a transistor: active, 5 V, at most 100 mA")
    canvas.text(424, 275, pin, anchor="end")
    canvas.line((432, 270), (450, 270))
    canvas.resistor(450, 270)
    canvas.text(480, 252, "1 kΩ", size=13, anchor="middle")
    canvas.line((510, 270), (560, 270))
    canvas.dot(530, 270)
    canvas.resistor(530, 270, down=True)
    canvas.text(516, 305, "10 kΩ", size=13, anchor="end")
    canvas.ground(530, 330)
    canvas.npn(560, 270)
    canvas.text(620, 275, "NPN（500 mA 级）500 mA type", size=12)
    canvas.line((600, 310), (600, 330))
    canvas.ground(600, 330)
    canvas.buzzer(600, 160, down=True)
    canvas.line((600, 220), (600, 230))
    canvas.text(586, 168, "+", size=16, anchor="middle", bold=True)
    canvas.line((600, 150), (600, 160))
    canvas.supply(600, 150, "5 V")
    canvas.dot(600, 156)
    canvas.dot(600, 224)
    canvas.line((600, 156), (660, 156), (660, 160))
    canvas.diode(660, 220)
    canvas.line((660, 220), (660, 224), (600, 224))
    canvas.text(680, 186, "1N4148：线圈式的要", size=12)
    canvas.text(680, 202, "for coils only", size=12)
    canvas.text(WIDTH / 2, 388, "10 kΩ 让上电时不响。　10 kΩ keeps it silent at power-on.", size=13, anchor="middle")
    return canvas


def draw_lead() -> Canvas:
    """A button on a long lead, with its filter at the Pi."""
    canvas = Canvas(WIDTH, 360, "长线的按钮（超过 1 m） · A button on a long lead (over 1 m)")
    canvas.text(WIDTH / 2, 32, canvas.title, size=19, anchor="middle", bold=True)
    top, bottom = 180, 300
    pin = DEFAULT_BUTTON_PINS[Role.PANEL][ButtonName.HELP]
    canvas.text(74, top + 5, f"GPIO{pin}", anchor="end")
    canvas.text(74, bottom + 5, "GND", anchor="end")
    canvas.line((82, top), (100, top))
    canvas.resistor(100, top)
    canvas.text(130, top - 16, "1 kΩ", size=13, anchor="middle")
    canvas.line((160, top), (620, top))
    canvas.line((82, bottom), (620, bottom))
    canvas.dot(210, top)
    canvas.resistor(210, top - SYMBOL - 10, down=True)
    canvas.line((210, top - 10), (210, top))
    canvas.supply(210, top - SYMBOL - 10, "3.3 V")
    canvas.text(226, top - 36, "10 kΩ", size=13)
    canvas.dot(280, top)
    canvas.dot(280, bottom)
    canvas.line((280, top), (280, 210))
    canvas.capacitor(280, 210, down=True)
    canvas.line((280, 270), (280, bottom))
    canvas.text(302, 245, "100 nF", size=13)
    canvas.box(376, top - 22, 40, bottom - top + 44, radius=14)
    canvas.line((376, top), (416, top))
    canvas.line((376, bottom), (416, bottom))
    canvas.both(396, top - 58, "磁环", "ferrite", anchor="middle")
    for x in range(440, 600, 40):
        canvas.line((x, top), (x + 20, bottom), grey=True, dashed=True)
        canvas.line((x, bottom), (x + 20, top), grey=True, dashed=True)
    canvas.both(560, top - 58, "双绞线，远离电源线", "twisted pair, away from mains", anchor="middle")
    canvas.line((620, top), (640, top), (640, 240), (655, 240))
    canvas.button(655, 240)
    canvas.line((715, 240), (730, 240), (730, bottom), (620, bottom))
    canvas.both(770, 232, "按钮", "button", anchor="middle")
    canvas.both(280, bottom + 28, "滤波在树莓派这一头", "the filter sits at the Pi's end", anchor="middle")
    return canvas
