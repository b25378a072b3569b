"""docs/wiring/*.svg and the tables of docs/wiring*.md, made from the settings' defaults.

python -m tools.wiring [--check]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from device.core.role import BUTTONS_OF, Role
from device.core.signals import LIGHT_COLOURS, LIGHT_PATTERNS, Light
from device.pins import DEFAULT_BUTTON_PINS, DEFAULT_BUZZER_PIN, DEFAULT_LIGHT_PIN, RGB_PINS
from device.texts import text as words
from device.wiring import GROUND_PINS, HEADER_PINS, PINS_3V3, PINS_5V
from tools.canvas import GREY, SYMBOL, Canvas
from tools.circuits import NAMES, WIDTH, draw_buzzer, draw_lead, draw_light

DOCS = Path("docs")
PAGES = {"zh-CN": DOCS / "wiring.zh-CN.md", "en": DOCS / "wiring.md"}

GROUND_OF: Mapping[str, int] = {"help": 9, "answer": 9, "ok": 14, "decline": 14, "light": 20, "buzzer": 25}
"""Which ground each second lead takes: the nearest on the header, one lead a pin, so that plugs fit."""

_PI_LEFT, _PI_RIGHT = 20, 200


def uses(role: Role) -> dict[str, int]:
    """What a role has by default, and its GPIO number."""
    fitted: dict[str, int] = {name.value: DEFAULT_BUTTON_PINS[role][name] for name in BUTTONS_OF[role]}
    buzzer = DEFAULT_BUZZER_PIN[role]
    return fitted | {"light": DEFAULT_LIGHT_PIN} | ({} if buzzer is None else {"buzzer": buzzer})


# --- the header -----------------------------------------------------------------------------------------------------


def draw_header(role: Role) -> Canvas:
    """The 40 pins, seen with the board's edge on the right, and what is plugged on them."""
    title = {Role.PANEL: "面板的引脚 · Pins of a panel", Role.BELL: "门铃的引脚 · Pins of a bell"}[role]
    canvas = Canvas(WIDTH, 660, title)
    canvas.text(WIDTH / 2, 32, title, size=19, anchor="middle", bold=True)
    canvas.text(
        WIDTH / 2, 55, "黑：信号 signal　灰：接地 ground　白：不用 free　虚线：多色灯 light of several colours",
        size=13, anchor="middle",
    )  # fmt: skip
    gpio_at = {place: gpio for gpio, place in HEADER_PINS.items()}
    signals = {HEADER_PINS[pin]: f"{NAMES[use][0]} {NAMES[use][1]}" for use, pin in uses(role).items()}
    grounds = {GROUND_OF[use]: f"{NAMES[use][0]} {NAMES[use][1]}" for use in uses(role)}
    several = {
        HEADER_PINS[pin]: f"{NAMES[colour][0]} {NAMES[colour][1]}"
        for colour, pin in RGB_PINS.items()
        if pin != DEFAULT_LIGHT_PIN
    }
    middle = WIDTH / 2
    canvas.box(middle - 40, 72, 80, 20 * 28 + 14)
    for place in range(1, 41):
        left = place % 2 == 1
        x, y = middle + (-19 if left else 19), 93 + 28 * ((place - 1) // 2)
        used = place in signals
        shared = place in grounds
        fill = "black" if used else "#bbb" if shared else "white"
        canvas.box(x - 13, y - 12, 26, 24, fill=fill, radius=3 if place == 1 else 12)
        canvas.text(
            x, y + 4.5, str(place), size=12, anchor="middle", bold=used or shared, fill="white" if used else "black"
        )
        name = _place_name(place, gpio_at)
        told = signals.get(place) or grounds.get(place)
        edge = middle + (-48 if left else 48)
        reach = middle + (-66 if left else 66)
        if told or place in several:
            canvas.line((edge, y), (reach, y), dashed=not told)
            canvas.text(
                reach + (-8 if left else 8), y + 5, f"{name}　{told or several[place]}",
                anchor="end" if left else "start", bold=used,
            )  # fmt: skip
        else:
            canvas.text(edge, y + 4, name, size=11, anchor="end" if left else "start", fill=GREY)
    return canvas


def _place_name(place: int, gpio_at: Mapping[int, int]) -> str:
    if place in GROUND_PINS:
        return "GND"
    if place in PINS_3V3:
        return "3.3 V"
    return "5 V" if place in PINS_5V else f"GPIO{gpio_at[place]}"


# --- a device's circuits --------------------------------------------------------------------------------------------


def _pi(canvas: Canvas, top: float, height: float) -> None:
    canvas.box(_PI_LEFT, top, _PI_RIGHT - _PI_LEFT, height, radius=10)
    canvas.text((_PI_LEFT + _PI_RIGHT) / 2, top + 26, "树莓派", size=17, anchor="middle", bold=True)
    canvas.text((_PI_LEFT + _PI_RIGHT) / 2, top + 44, "Raspberry Pi", size=13, anchor="middle")


def _terminal(canvas: Canvas, y: float, name: str, place: int | None) -> None:
    canvas.box(_PI_RIGHT - 13, y - 12, 26, 24, fill="white", radius=3)
    if place is not None:
        canvas.text(_PI_RIGHT, y + 4.5, str(place), size=12, anchor="middle", bold=True)
    canvas.text(_PI_RIGHT - 22, y + 5, name, anchor="end")


def _loop(canvas: Canvas, y: float, use: str, pin: int, parts: tuple[str, ...]) -> None:
    """From the signal's pin through the parts and back to ground; its name at the right."""
    back = y + 44
    _terminal(canvas, y, f"GPIO{pin}", HEADER_PINS[pin])
    _terminal(canvas, back, "GND", GROUND_OF[use])
    x: float = _PI_RIGHT + 13
    for part in parts:
        start = x + 36
        canvas.line((x, y), (start, y))
        draw: Callable[[float, float], None] = getattr(canvas, part)
        draw(start, y)
        x = start + SYMBOL
        if part == "resistor":
            canvas.text(start + SYMBOL / 2, y + 26, "330 Ω", size=13, anchor="middle")
    canvas.line((x, y), (470, y), (470, back), (_PI_RIGHT + 13, back))
    if use == "buzzer":
        canvas.text(_PI_RIGHT + 40, y - 6, "+", size=16, anchor="middle", bold=True)


_NOTES: Mapping[str, tuple[str, str]] = {
    "help": ("大，红，按下接通，不用电阻", "large, red, closes when pressed, no resistor"),
    "ok": ("绿，可不装", "green, may be left out"),
    "answer": ("大，按下接通，不用电阻", "large, closes when pressed, no resistor"),
    "decline": ("小，可不装", "small, may be left out"),
    "light": ("长脚接电阻；多色灯见 light.svg", "long leg to the resistor; see light.svg"),
    "buzzer": ("有源 3.3 V，不超过 8 mA；大的见 buzzer.svg", "active 3.3 V, at most 8 mA; see buzzer.svg"),
}


def draw_device(role: Role) -> Canvas:
    """A panel or a bell with everything that is fitted by default."""
    fitted = uses(role)
    title = {Role.PANEL: "老人的面板 · The elder's panel", Role.BELL: "志愿者的门铃 · The volunteer's bell"}[role]
    height = 96 * len(fitted) + 290
    canvas = Canvas(WIDTH, height, title)
    canvas.text(WIDTH / 2, 32, title, size=19, anchor="middle", bold=True)
    _pi(canvas, 55, height - 85)
    y = 140.0
    for use, pin in fitted.items():
        parts = {"light": ("resistor", "led"), "buzzer": ("buzzer",)}.get(use, ("button",))
        _loop(canvas, y, use, pin, parts)
        chinese, english = NAMES[use]
        canvas.text(490, y + 4, f"{chinese} {english}", size=15, bold=True)
        canvas.text(490, y + 24, _NOTES[use][0], size=13)
        canvas.text(490, y + 42, _NOTES[use][1], size=12)
        y += 96
    _terminal(canvas, y, "USB", None)
    canvas.line((_PI_RIGHT + 13, y), (262, y))
    canvas.box(262, y - 20, 108, 40)
    canvas.text(316, y - 2, "USB 声卡", size=13, anchor="middle")
    canvas.text(316, y + 14, "sound card", size=12, anchor="middle")
    canvas.line((370, y), (410, y))
    canvas.speaker(410, y)
    canvas.both(490, y - 2, "喇叭", "speaker; or I2S, jack, HDMI: see “Sound”")
    y += 72
    _terminal(canvas, y, "5 V", None)
    canvas.line((_PI_RIGHT + 13, y), (262, y))
    canvas.box(262, y - 20, 148, 40)
    canvas.text(336, y - 2, "电源（最好带电池）", size=13, anchor="middle")
    canvas.text(336, y + 14, "supply, best with UPS", size=12, anchor="middle")
    canvas.both(490, y - 2, "5.1 V，电流见“供电”", "5.1 V; for the current see “Power”")
    return canvas


# --- lights ----------------------------------------------------------------------------------------------------------


def draw_signals(role: Role) -> Canvas:
    """Five seconds of every light."""
    lights = [light for light in Light if role in _ROLES[light]]
    title = {Role.PANEL: "面板的灯 · A panel's light", Role.BELL: "门铃的灯 · A bell's light"}[role]
    canvas = Canvas(WIDTH, 100 + 44 * len(lights), title)
    canvas.text(WIDTH / 2, 32, title, size=19, anchor="middle", bold=True)
    left, second = 360, 84
    for tick in range(6):
        x = left + second * tick
        canvas.line((x, 66), (x, 76 + 44 * len(lights)), grey=True)
        canvas.text(x, 60, f"{tick} s", size=12, anchor="middle")
    for index, light in enumerate(lights):
        y = 98 + 44 * index
        canvas.both(20, y, words(f"is_{light}", "zh-CN"), words(f"is_{light}", "en"))
        colour = LIGHT_COLOURS[light]
        canvas.both(345, y, words(f"colour_{colour}", "zh-CN"), words(f"colour_{colour}", "en"), anchor="end")
        for start, end in lit_spans(LIGHT_PATTERNS[light], 5_000):
            canvas.box(left + second * start / 1000, y - 12, second * (end - start) / 1000, 22, fill="black", radius=0)
    return canvas


_BELL_ONLY = {Light.ANSWERING, Light.MINE, Light.TAKEN, Light.READY}
_ROLES: dict[Light, set[Role]] = {
    light: {Role.BELL}
    if light in _BELL_ONLY
    else set(Role)
    if light in {Light.RINGING, Light.OFFLINE}
    else {Role.PANEL}
    for light in Light
}


def lit_spans(pattern: tuple[int, ...], until_ms: int) -> list[tuple[int, int]]:
    """When a light is lit from its start on."""
    if len(pattern) == 1:
        return [(0, until_ms)]
    spans, at, index = [], 0, 0
    while at < until_ms:
        ms = pattern[index % len(pattern)]
        if index % 2 == 0:
            spans.append((at, min(at + ms, until_ms)))
        at, index = at + ms, index + 1
    return spans


# --- the pages' tables ----------------------------------------------------------------------------------------------


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def pin_table(language: str) -> list[str]:
    """What is plugged where by default."""
    chinese = language == "zh-CN"
    head = ("设备", "什么", "设置", "GPIO", "引脚", "另一头") if chinese else (
        "device", "what", "setting", "GPIO", "pin", "its other lead"
    )  # fmt: skip
    rows = [_row(*head), _row(*["---"] * len(head))]
    for role in Role:
        for use, pin in uses(role).items():
            ground = f"第 {GROUND_OF[use]} 脚（GND）" if chinese else f"pin {GROUND_OF[use]} (GND)"
            name = NAMES[use][0 if chinese else 1]
            rows.append(_row(words(role, language), name, f"`{use}`", str(pin), str(HEADER_PINS[pin]), ground))
    return rows


# --- writing --------------------------------------------------------------------------------------------------------


def drawings() -> dict[str, Canvas]:
    """Every drawing by its file's name."""
    return {
        "header-panel.svg": draw_header(Role.PANEL),
        "header-bell.svg": draw_header(Role.BELL),
        "panel.svg": draw_device(Role.PANEL),
        "bell.svg": draw_device(Role.BELL),
        "light.svg": draw_light(),
        "buzzer.svg": draw_buzzer(),
        "lead.svg": draw_lead(),
        "signals-panel.svg": draw_signals(Role.PANEL),
        "signals-bell.svg": draw_signals(Role.BELL),
    }


def filled(page: str, language: str) -> str:
    """A page with the tables between its marks made anew."""
    table = "\n".join(pin_table(language))
    return re.sub(
        r"(<!-- made: pins -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{table}\n{found[2]}",
        page,
        flags=re.DOTALL,
    )


def main(arguments: list[str] | None = None) -> int:
    """Write or check all; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.wiring", description="Draw docs/wiring/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if something is not current")
    asked = parser.parse_args(arguments)
    made = {DOCS / "wiring" / name: canvas.svg() for name, canvas in drawings().items()}
    made |= {path: filled(path.read_text("utf-8"), language) for language, path in PAGES.items()}
    stale = [path for path, content in made.items() if not path.is_file() or path.read_text("utf-8") != content]
    if asked.check:
        sys.stderr.writelines(f"{path} is not current: run make docs\n" for path in stale)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made[path], "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
