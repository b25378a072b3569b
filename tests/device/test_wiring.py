"""The pins' settings: every default, every override, every conflict, and what should be known of a wiring."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory

from device import texts
from device.core.role import ButtonName, Role
from device.core.signals import LIGHT_COLOURS, LIGHT_PATTERNS, PRIMARIES_OF, Colour, Light, Primary
from device.settings import DaemonSettings
from device.wiring import (
    GROUND_PINS,
    HEADER_PINS,
    PINS_3V3,
    PINS_5V,
    ButtonWire,
    Level,
    OutputWire,
    Pull,
    Wiring,
    lamps_of,
    reset_level,
    wiring_notes,
)
from doorbell.errors import SetupError
from doorbell.settings import load_settings

HELP, OK, ANSWER, DECLINE = ButtonName
HIGH, LOW = Level.HIGH, Level.LOW
HEAD = 'device = "d-1"\ncommunity = "c"\nrole = "{}"\nstate_dir = "var"\n'
RGB = (OutputWire(22, HIGH, Primary.RED), OutputWire(23, HIGH, Primary.GREEN), OutputWire(24, HIGH, Primary.BLUE))


def load(tmp_path: Path, toml: str, role: Role = Role.PANEL) -> DaemonSettings:
    path = tmp_path / "device.toml"
    path.write_text(HEAD.format(role) + toml, "utf-8")
    return load_settings(DaemonSettings, path)


def wiring(tmp_path: Path, pins: str, role: Role = Role.PANEL) -> Wiring:
    return load(tmp_path, f"[pins]\n{pins}\n", role).wiring()


def test_the_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    assert wiring(tmp_path, "") == Wiring({HELP: ButtonWire(17), OK: ButtonWire(27)}, (OutputWire(22),), None)
    assert wiring(tmp_path, "", Role.BELL) == Wiring(
        {ANSWER: ButtonWire(17), DECLINE: ButtonWire(27)}, (OutputWire(22),), OutputWire(25)
    )
    assert ButtonWire(17) == ButtonWire(17, Pull.UP, LOW)
    assert OutputWire(22) == OutputWire(22, HIGH, None)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("light", ["", 'light = "rgb"'])
def test_the_defaults_need_no_note(tmp_path: Path, role: Role, light: str) -> None:
    """No bus that a sound chip or an add-on board may want, nothing that flashes or sounds at power-on."""
    assert wiring_notes(wiring(tmp_path, light, role)) == ()


@pytest.mark.parametrize(
    ("toml", "light"),
    [
        ("light = 5", (OutputWire(5),)),
        ('light = "none"', ()),
        ('light = { pin = "none" }', ()),
        ("light = { pin = 5 }", (OutputWire(5),)),
        ('light = { active = "low" }', (OutputWire(22, LOW),)),
        ('light = "rgb"', RGB),
        (
            "light = { red = 5, green = 6, blue = 13 }",
            (OutputWire(5, HIGH, Primary.RED), OutputWire(6, HIGH, Primary.GREEN), OutputWire(13, HIGH, Primary.BLUE)),
        ),
        (
            'light = { green = 6, red = 5, active = "low" }',
            (OutputWire(5, LOW, Primary.RED), OutputWire(6, LOW, Primary.GREEN)),
        ),
    ],
)
def test_every_kind_of_light(tmp_path: Path, toml: str, light: tuple[OutputWire, ...]) -> None:
    assert wiring(tmp_path, toml).light == light


@pytest.mark.parametrize(
    ("toml", "role", "buzzer"),
    [
        ("buzzer = 5", Role.PANEL, OutputWire(5)),
        ('buzzer = "none"', Role.BELL, None),
        ('buzzer = { active = "low" }', Role.BELL, OutputWire(25, LOW)),
        ('buzzer = { pin = 5, active = "low" }', Role.PANEL, OutputWire(5, LOW)),
    ],
)
def test_every_kind_of_buzzer(tmp_path: Path, toml: str, role: Role, buzzer: OutputWire | None) -> None:
    assert wiring(tmp_path, toml, role).buzzer == buzzer


@pytest.mark.parametrize(
    ("toml", "help_wire", "ok_wire"),
    [
        ("help = 5", ButtonWire(5), ButtonWire(27)),
        ("help = { pin = 5 }", ButtonWire(5), ButtonWire(27)),
        ('ok = "none"', ButtonWire(17), None),
        ('pull = "up"', ButtonWire(17), ButtonWire(27)),
        ('pull = "down"', ButtonWire(17, Pull.DOWN, HIGH), ButtonWire(27, Pull.DOWN, HIGH)),
        ('pull = "none"', ButtonWire(17, Pull.NONE, LOW), ButtonWire(27, Pull.NONE, LOW)),
        ('pull = "none"\nactive = "high"', ButtonWire(17, Pull.NONE, HIGH), ButtonWire(27, Pull.NONE, HIGH)),
        ('active = "high"', ButtonWire(17, Pull.UP, HIGH), ButtonWire(27, Pull.UP, HIGH)),
        ('pull = "down"\nactive = "low"', ButtonWire(17, Pull.DOWN, LOW), ButtonWire(27, Pull.DOWN, LOW)),
        ('ok = { pull = "down" }', ButtonWire(17), ButtonWire(27, Pull.DOWN, HIGH)),
        ('ok = { pull = "none", active = "high" }', ButtonWire(17), ButtonWire(27, Pull.NONE, HIGH)),
        ('help = { active = "high" }', ButtonWire(17, Pull.UP, HIGH), ButtonWire(27)),
        ('active = "high"\nok = { pull = "up" }', ButtonWire(17, Pull.UP, HIGH), ButtonWire(27)),
        ('active = "high"\nok = { pin = 5 }', ButtonWire(17, Pull.UP, HIGH), ButtonWire(5, Pull.UP, HIGH)),
        ("help = 2", ButtonWire(2), ButtonWire(27)),
    ],
)
def test_every_way_of_a_button(tmp_path: Path, toml: str, help_wire: ButtonWire, ok_wire: ButtonWire | None) -> None:
    buttons = {HELP: help_wire} | ({} if ok_wire is None else {OK: ok_wire})
    assert wiring(tmp_path, toml).buttons == buttons


@pytest.mark.parametrize(("old", "new"), [("true", "up"), ("false", "down")])
def test_the_word_of_version_0_1_still_works(tmp_path: Path, old: str, new: str) -> None:
    toml = "help = 17\nok = 27\nlight = 22\nbuzzer = 18\n"
    assert wiring(tmp_path, f"{toml}pull_up = {old}") == wiring(tmp_path, f'{toml}pull = "{new}"')


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("answer = 17", "pins.answer: a panel has no such button; take it out"),
        ('answer = { pull = "up" }', "pins.answer: a panel has no such button"),
        ('help = "none"', "pins.help: a panel without this button is useless"),
        ("ok = 17", "pins.ok: GPIO17 is already the pin of help"),
        ("help = 22", "pins.light: GPIO22 is already the pin of help"),
        ("buzzer = 22", "pins.buzzer: GPIO22 is already the pin of light"),
        ('light = "rgb"\nbuzzer = 24', "pins.buzzer: GPIO24 is already the pin of light.blue"),
        ("light = { red = 5, green = 5 }", "pins.light.green: GPIO5 is already the pin of light.red"),
        ("help = 40", "pins.help.pin: Input should be less than or equal to 27, not 40"),
        ("help = -1", "pins.help.pin: Input should be greater than or equal to 0"),
        ('help = "17"', "pins.help.pin: Input should be a valid integer, not '17'"),
        ("help = true", "pins.help.pin: Input should be a valid integer, not True"),
        ("help = [17]", "pins.help: "),
        ('help = { pin = 17, pul = "up" }', "pins.help.pul: unknown key; did you mean 'pull'?"),
        ('pull = "sideways"', "pins.pull: Input should be 'up', 'down' or 'none', not 'sideways'"),
        ('active = "1"', "pins.active: Input should be 'low' or 'high'"),
        ("light = { red = 5 }", "pins.light: red alone is a single LED; write light = 5"),
        ("light = { pin = 5, red = 6, blue = 7 }", "pins.light: pin is for a single LED, red, blue for one of several"),
        ('light = "RGB"', "pins.light.pin: "),
        ('buzzer = { active = "low" }', "pins.buzzer: a panel has none by default; name its pin"),
        (
            'help = { pin = 3, pull = "none" }',
            "pins.help: GPIO3 has a pull-up on the board that nothing switches off; w",
        ),
        ('help = 2\npull = "down"', 'write pull = "up", or take another pin'),
        ('pull = "up"\npull_up = true', "pins: pull_up is the old word for pull; take pull_up out"),
    ],
)
def test_mistakes_say_what_to_write(tmp_path: Path, toml: str, words: str) -> None:
    with pytest.raises(SetupError, match=re.escape(words)):
        wiring(tmp_path, toml)


def test_colours_are_settings_over_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "").light_colours() == LIGHT_COLOURS
    changed = load(tmp_path, '[colours]\ncoming = "green"\nmine = "white"\n').light_colours()
    assert changed == LIGHT_COLOURS | {Light.COMING: Colour.GREEN, Light.MINE: Colour.WHITE}


@pytest.mark.parametrize(("toml", "words"), [('comming = "red"', "colours.comming"), ('mine = "pink"', "colours.mine")])
def test_a_wrong_colour_is_named(tmp_path: Path, toml: str, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        load(tmp_path, f"[colours]\n{toml}\n")


GOOD = {Light.COMING, Light.ARRIVED, Light.COVERED, Light.MINE, Light.READY}
BAD = {Light.UNREACHABLE, Light.UNCOVERED, Light.OFFLINE}


def test_every_light_has_a_colour_that_colour_blind_and_old_eyes_can_tell() -> None:
    """Good news has blue in it (red-green blindness sees it) and green (a yellowed lens sees it); bad news neither."""
    assert LIGHT_COLOURS.keys() == set(Light)
    for light in GOOD:
        assert PRIMARIES_OF[LIGHT_COLOURS[light]] >= {Primary.BLUE, Primary.GREEN}
    for light in BAD:
        assert PRIMARIES_OF[LIGHT_COLOURS[light]] == {Primary.RED}
    assert not {LIGHT_COLOURS[light] for light in set(Light) - GOOD} & {LIGHT_COLOURS[light] for light in GOOD}


def test_colour_only_adds_to_the_pattern() -> None:
    """Two lights that say different things differ in their pattern too: the colour may be missing, or not be seen."""
    for good in GOOD:
        for other in set(Light) - GOOD:
            assert LIGHT_PATTERNS[good] != LIGHT_PATTERNS[other]
    patterns = [LIGHT_PATTERNS[light] for light in set(Light) - GOOD]
    assert len(set(patterns)) == len(patterns)


@pytest.mark.parametrize("colour", Colour)
def test_a_colour_lights_its_lamps_and_never_none(colour: Colour) -> None:
    assert {lamp.primary for lamp in lamps_of(colour, RGB)} == PRIMARIES_OF[colour]
    single = (OutputWire(22),)
    assert lamps_of(colour, single) == single
    for missing in Primary:
        light = tuple(lamp for lamp in RGB if lamp.primary is not missing)
        assert {lamp.primary for lamp in lamps_of(colour, light)} == (
            PRIMARIES_OF[colour] - {missing} or set(Primary) - {missing}
        )


def test_the_header_is_whole() -> None:
    places = [*HEADER_PINS.values(), *GROUND_PINS, *PINS_3V3, *PINS_5V]
    assert sorted(places) == list(range(1, 41))
    assert sorted(HEADER_PINS) == list(range(28))


def test_the_header_is_the_one_that_gpiozero_knows() -> None:
    for gpio, place in HEADER_PINS.items():
        assert MockFactory().pin(gpio).info.number == place


@pytest.mark.parametrize(
    ("toml", "notes"),
    [
        ("help = 0", ["bus_hat help 0"]),
        ("help = 3", ["bus_i2c help 3"]),
        ("help = 8", ["bus_spi help 8"]),
        ("help = 15", ["bus_serial help 15"]),
        ("ok = 21", ["bus_i2s ok 21"]),
        ("buzzer = 18", ["bus_i2s buzzer 18"]),
        ("light = { red = 22, blue = 14 }", ["bus_serial light.blue 14"]),
        ("buzzer = 5", ["on_at_reset buzzer 5"]),
        ('buzzer = { pin = 5, active = "low" }', []),
        ('light = { active = "low" }', ["on_at_reset light 22"]),
        ('ok = { pull = "none" }', ["floats ok 27"]),
        ('help = { active = "high" }', ["opens help 17"]),
        ('help = { pull = "down", active = "low" }', ["opens help 17"]),
        ('pull = "down"', []),
        ("light = 4\nbuzzer = 11", ["bus_spi buzzer 11", "on_at_reset light 4"]),
    ],
)
def test_what_should_be_known_is_noted_and_no_error(tmp_path: Path, toml: str, notes: list[str]) -> None:
    found = wiring_notes(wiring(tmp_path, toml))
    assert [f"{note.code} {note.use} {note.pin}" for note in found] == notes
    assert all(f"note_{note.code}" in texts._TEXTS for note in found)


def test_the_levels_at_reset_are_those_of_the_manuals() -> None:
    assert [gpio for gpio in HEADER_PINS if reset_level(gpio) is HIGH] == list(range(9))
