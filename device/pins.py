"""What a technician may set about the pins, and the wiring that follows from it. See docs/wiring.md for drawings."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from device.core.role import BUTTONS_OF, ButtonName, Role
from device.core.signals import Primary
from device.wiring import FIXED_PULL_UPS, ButtonWire, Level, OutputWire, Pull, Wiring
from doorbell.settings import Settings

RGB_PINS: dict[str, int] = {"red": 22, "green": 23, "blue": 24}
"""The pins of ``light = "rgb"``: neighbours on the header, with ground (pin 20) beside them."""
DEFAULT_LIGHT_PIN = 22
DEFAULT_BUTTON_PINS: dict[Role, dict[ButtonName, int]] = {
    Role.PANEL: {ButtonName.HELP: 17, ButtonName.OK: 27},
    Role.BELL: {ButtonName.ANSWER: 17, ButtonName.DECLINE: 27},
}
DEFAULT_BUZZER_PIN: dict[Role, int | None] = {Role.PANEL: None, Role.BELL: 25}
"""Outputs are on pins that are held low from power-on, so that nothing flashes or sounds before the device runs, and on
none that a sound chip (I2S, GPIO 18 to 21), a display (SPI), the console or an add-on board's memory needs."""


def _fitted(value: Any) -> Any:
    return None if value == "none" else value


GpioNumber = Annotated[int, Field(ge=0, le=27, strict=True)]
"""A pin of the 40-pin header in BCM numbering, as gpiozero and every pin-out drawing count."""
_Pin = Annotated[GpioNumber | None, BeforeValidator(_fitted)]


class ButtonPin(Settings):
    """``help = 17``, ``ok = "none"`` or ``help = { pin = 17, pull = "none", active = "low" }``."""

    pin: _Pin = None
    """Absent: the default of the role. "none": not fitted."""
    pull: Pull | None = None
    """Absent: that of all buttons."""
    active: Level | None = None
    """The level while pressed; absent: that of all buttons, or what ``pull`` implies."""


class OutputPin(Settings):
    """``buzzer = 25``, ``buzzer = "none"`` or ``buzzer = { pin = 25, active = "low" }``."""

    pin: _Pin = None
    active: Level = Level.HIGH
    """The level while on. "low": between 3.3 V and the pin, or a module that is triggered by ground."""


class LightPin(Settings):
    """One LED like a buzzer; or ``"rgb"``; or ``{ red = 22, green = 23, blue = 24, active = "low" }``, of which one
    colour may be missing. ``active = "low"``: the LED has a common anode."""

    pin: _Pin = None
    red: GpioNumber | None = None
    green: GpioNumber | None = None
    blue: GpioNumber | None = None
    active: Level = Level.HIGH

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        several = [name.value for name in Primary if getattr(self, name.value) is not None]
        if several and "pin" in self.model_fields_set:
            raise ValueError(f"pin is for a single LED, {', '.join(several)} for one of several colours; keep one")
        if len(several) == 1:
            pin = getattr(self, several[0])
            raise ValueError(f"{several[0]} alone is a single LED; write light = {pin}, or name another colour's pin")
        return self


def _as_table(value: Any) -> Any:
    """A number or "none" is short for a table with that pin."""
    return {"pin": value} if isinstance(value, int | str) else value


def _as_light(value: Any) -> Any:
    return dict(RGB_PINS) if value == "rgb" else _as_table(value)


_Button = Annotated[ButtonPin | None, BeforeValidator(_as_table)]


class PinSettings(Settings):
    """Which pin does what; absent means the default of the role, "none" that nothing is fitted."""

    help: _Button = None
    ok: _Button = None
    answer: _Button = None
    decline: _Button = None
    light: Annotated[LightPin | None, BeforeValidator(_as_light)] = None
    buzzer: Annotated[OutputPin | None, BeforeValidator(_as_table)] = None
    pull: Pull = Pull.UP
    """Of all buttons. "up": a press connects the pin with ground. "down": with 3.3 V. "none": a resistor outside."""
    active: Level | None = None
    """The level of all buttons while pressed; absent: low, and high with ``pull = "down"``. The other one is a contact
    that opens when pressed."""
    pull_up: bool | None = None
    """The old word for ``pull``, of version 0.1: true was "up", false "down"."""

    @model_validator(mode="after")
    def _one_word_for_pull(self) -> Self:
        if self.pull_up is not None and "pull" in self.model_fields_set:
            raise ValueError("pull_up is the old word for pull; take pull_up out")
        return self

    def wiring(self, role: Role) -> Wiring:
        """What is fitted where. Raises ``ValueError`` naming key and remedy if it cannot be so."""
        for name in ButtonName:
            asked: ButtonPin | None = getattr(self, name.value)
            if name not in BUTTONS_OF[role] and asked is not None and _is_fitted(asked):
                raise ValueError(f"pins.{name.value}: a {role.value} has no such button; take it out")
        wiring = Wiring(self._buttons(role), self._light(), self._buzzer(role))
        first = BUTTONS_OF[role][0]
        if first not in wiring.buttons:
            raise ValueError(f"pins.{first.value}: a {role.value} without this button is useless; name its pin")
        used: dict[int, str] = {}
        for use, pin in wiring.uses():
            if used.setdefault(pin, use) != use:
                raise ValueError(f"pins.{use}: GPIO{pin} is already the pin of {used[pin]}; one pin, one use")
        for name, wire in wiring.buttons.items():
            if wire.pin in FIXED_PULL_UPS and wire.pull is not Pull.UP:
                raise ValueError(
                    f"pins.{name.value}: GPIO{wire.pin} has a pull-up on the board that nothing switches off; "
                    'write pull = "up", or take another pin'
                )
        return wiring

    def _buttons(self, role: Role) -> dict[ButtonName, ButtonWire]:
        buttons: dict[ButtonName, ButtonWire] = {}
        for name in BUTTONS_OF[role]:
            asked: ButtonPin = getattr(self, name.value) or ButtonPin()
            pin = _pin(asked, DEFAULT_BUTTON_PINS[role][name])
            if pin is not None:
                buttons[name] = ButtonWire(pin, *self._levels(asked))
        return buttons

    def _levels(self, asked: ButtonPin) -> tuple[Pull, Level]:
        of_all = self.pull if self.pull_up is None else (Pull.UP if self.pull_up else Pull.DOWN)
        pull = asked.pull or of_all
        implied = Level.HIGH if pull is Pull.DOWN else Level.LOW
        # A button with a pull of its own is wired otherwise than the rest: what holds for them says nothing about it.
        active = asked.active or (self.active if asked.pull is None else None) or implied
        return pull, active

    def _light(self) -> tuple[OutputWire, ...]:
        asked = self.light or LightPin()
        lamps = ((name, getattr(asked, name.value)) for name in Primary)
        several = tuple(OutputWire(pin, asked.active, name) for name, pin in lamps if pin is not None)
        pin = _pin(asked, DEFAULT_LIGHT_PIN)
        if several or pin is None:
            return several
        return (OutputWire(pin, asked.active),)

    def _buzzer(self, role: Role) -> OutputWire | None:
        asked = self.buzzer or OutputPin()
        pin = _pin(asked, DEFAULT_BUZZER_PIN[role])
        if pin is None and self.buzzer is not None and "pin" not in asked.model_fields_set:
            raise ValueError(f"pins.buzzer: a {role.value} has none by default; name its pin")
        return None if pin is None else OutputWire(pin, asked.active)


def _is_fitted(asked: ButtonPin) -> bool:
    return asked.pin is not None or "pin" not in asked.model_fields_set


def _pin(asked: ButtonPin | OutputPin | LightPin, default: int | None) -> int | None:
    return asked.pin if "pin" in asked.model_fields_set else default
