"""What a technician may set for a device: one TOML file, see config/panel.example.toml and config/bell.example.toml."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from device.core.button import ButtonLimits
from device.core.machine import DeviceLimits
from device.core.panel import PanelLimits
from device.core.role import BUTTONS_OF, ButtonName, Role
from device.core.wellness import MAX_HOLD_S, WellnessLimits
from doorbell.ids import CommunityId, DeviceId
from doorbell.logs import LogFormat, LogLevel
from doorbell.settings import FilePathSetting, MqttSettings, Settings

GpioNumber = Annotated[int, Field(ge=0, le=27)]
"""A pin of the 40-pin header in BCM numbering, as gpiozero and every pin-out drawing count."""

DEFAULT_PLAYER = ("aplay", "-q", "-N")
"""``-N``: a sound device that another program holds is an error at once, not a wait without end."""


class PinSettings(Settings):
    """Which pin does what; absent means the default of the role, 0 to 27, or "none" if nothing is fitted."""

    help: GpioNumber | Literal["none"] | None = None
    ok: GpioNumber | Literal["none"] | None = None
    answer: GpioNumber | Literal["none"] | None = None
    decline: GpioNumber | Literal["none"] | None = None
    light: GpioNumber | Literal["none"] = 22
    buzzer: GpioNumber | Literal["none"] | None = None
    pull_up: bool = True
    """True: a button connects its pin with ground, the Pi's own pull-up (about 50 kOhm) keeps it high. False: it
    connects with 3.3 V, pull-down."""


_DEFAULT_PINS: dict[Role, dict[str, int]] = {
    Role.PANEL: {"help": 17, "ok": 27},
    Role.BELL: {"answer": 17, "decline": 27, "buzzer": 18},
}


class ButtonSettings(Settings):
    """Thresholds of the buttons."""

    stable_ms: Annotated[int, Field(ge=5, le=35)] = 20
    """A shorter contact is noise. Above 35 ms a real press of 40 ms could be missed."""
    hold_ms: Annotated[int, Field(ge=1_000, le=10_000)] = 3_000
    stuck_s: Annotated[int, Field(ge=15, le=3_600)] = 60


class SoundSettings(Settings):
    """How to be heard."""

    player: tuple[Annotated[str, StringConstraints(min_length=1)], ...] | Literal["none"] = DEFAULT_PLAYER
    """The command that plays a WAV file, whose path is added at the end; "none": the buzzer only."""
    volume: Annotated[int, Field(ge=0, le=100)] = 80
    """Per cent, until the relay says otherwise. Alarms are played at 40 at least."""

    @model_validator(mode="after")
    def _player_is_a_command(self) -> Self:
        if self.player == ():
            raise ValueError('player: name a command such as ["aplay", "-q", "-N"], or "none"')
        return self


class HealthSettings(Settings):
    """From where on the device's own health is a fault."""

    hot_c: Annotated[float, Field(ge=50, le=90)] = 80
    """Degrees Celsius of the processor. A Pi slows down at 80 (3B+: 60) and stops at 85."""
    disk_free_mb: Annotated[int, Field(ge=1, le=100_000)] = 50
    """MB; on a partition of less than ten times as much a tenth of it counts."""
    wifi_dbm: Annotated[int, Field(ge=-100, le=-40)] = -80
    battery_pct: Annotated[int, Field(ge=1, le=90)] = 20
    clock_unsynced_s: Annotated[int, Field(ge=30, le=MAX_HOLD_S)] = 150
    """How long NTP may take once there is a broker. Longer than the limit would be told too late."""


class LogSettings(Settings):
    """What is written to stderr."""

    format: LogFormat = "auto"
    level: LogLevel = "info"


class DaemonSettings(Settings):
    """Everything that a device's file may say."""

    device: DeviceId
    community: CommunityId
    role: Role
    state_dir: FilePathSetting
    """Where outbox and rendered sounds live; made if it is missing."""
    report_interval_s: Annotated[int, Field(ge=5, le=3_600)] = 60
    unreachable_s: Annotated[int, Field(ge=3, le=60)] = 10
    """How long a panel waits for a receipt before it says that it reaches nobody yet."""
    mqtt: MqttSettings = MqttSettings()
    pins: PinSettings = PinSettings()
    button: ButtonSettings = ButtonSettings()
    sound: SoundSettings = SoundSettings()
    health: HealthSettings = HealthSettings()
    logs: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _pins_fit_the_role(self) -> Self:
        for name in ButtonName:
            if name not in BUTTONS_OF[self.role] and isinstance(getattr(self.pins, name.value), int):
                raise ValueError(f"pins.{name.value}: a {self.role.value} has no such button; take it out")
        first = BUTTONS_OF[self.role][0]
        if first not in self.button_pins():
            raise ValueError(f"pins.{first.value}: a {self.role.value} without this button is useless; name its pin")
        used: dict[int, str] = {}
        outputs = {"light": self.light_pin(), "buzzer": self.buzzer_pin()}
        for what, pin in [*((name.value, pin) for name, pin in self.button_pins().items()), *outputs.items()]:
            if pin is not None and used.setdefault(pin, what) != what:
                raise ValueError(f"pins.{what}: GPIO{pin} is already the pin of {used[pin]}; one pin, one use")
        return self

    def button_pins(self) -> dict[ButtonName, int]:
        """The fitted buttons with their pins."""
        pins = ((name, self._pin(name.value)) for name in BUTTONS_OF[self.role])
        return {name: pin for name, pin in pins if pin is not None}

    def light_pin(self) -> int | None:
        """The light's pin, None if there is none."""
        return self._pin("light")

    def buzzer_pin(self) -> int | None:
        """The buzzer's pin, None if there is none."""
        return self._pin("buzzer")

    def limits(self) -> DeviceLimits:
        """The core's thresholds."""
        return DeviceLimits(
            button=ButtonLimits(
                stable_ms=self.button.stable_ms, hold_ms=self.button.hold_ms, stuck_ms=self.button.stuck_s * 1000
            ),
            panel=PanelLimits(unreachable_ms=self.unreachable_s * 1000),
            report_interval_s=self.report_interval_s,
        )

    def wellness(self) -> WellnessLimits:
        """From where on a reading of the health is bad."""
        return WellnessLimits(**self.health.model_dump())

    def _pin(self, name: str) -> int | None:
        asked = getattr(self.pins, name)
        if asked == "none":
            return None
        return int(asked) if asked is not None else _DEFAULT_PINS[self.role].get(name)
