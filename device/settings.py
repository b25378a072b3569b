"""What a technician may set for a device: one TOML file, see config/panel.example.toml and config/bell.example.toml."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from device.core.button import ButtonLimits
from device.core.machine import DeviceLimits
from device.core.panel import PanelLimits
from device.core.role import Role
from device.core.signals import LIGHT_COLOURS, Colour, Light
from device.core.wellness import MAX_HOLD_S, WellnessLimits
from device.pins import PinSettings
from device.sounds.scores import ChimeName
from device.wiring import Wiring
from doorbell.ids import CommunityId, DeviceId
from doorbell.logs import LogFormat, LogLevel
from doorbell.settings import FilePathSetting, MqttSettings, Settings

CONTROL_SOCKET = Path("/run/doorbell-device/control.sock")
"""Where the control line of real pins is: the unit's RuntimeDirectory."""

ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A local time such as "22:00"."""

DEFAULT_PLAYER = ("aplay", "-q", "-N")
"""``-N``: a sound device that another program holds is an error at once, not a wait without end."""


class ButtonSettings(Settings):
    """Thresholds of the buttons."""

    stable_ms: Annotated[int, Field(ge=5, le=35)] = 20
    """A shorter contact is noise. Above 35 ms a real press of 40 ms could be missed."""
    hold_ms: Annotated[int, Field(ge=1_000, le=10_000)] = 3_000
    stuck_s: Annotated[int, Field(ge=15, le=3_600)] = 60


class SoundSettings(Settings):
    """How to be heard."""

    player: tuple[Annotated[str, StringConstraints(min_length=1)], ...] | Literal["none"] = DEFAULT_PLAYER
    """The command that plays a WAV file, and can play one that is still being written: "/dev/stdin" is added at the
    end. "none": the buzzer only."""
    volume: Annotated[int, Field(ge=0, le=100)] = 80
    """Per cent, until the relay says otherwise. Alarms are played at 40 at least."""
    language: Literal["zh-CN", "en"] = "zh-CN"
    """What is spoken, until the relay says otherwise."""
    voice: Literal["espeak-ng", "none"] = "espeak-ng"
    """"none": nothing is spoken but what was recorded; tones and chimes alone."""
    chime: ChimeName = ChimeName.T3_520
    """How a bell goes on after 叮咚."""
    quiet_from: ClockTime | None = None
    quiet_to: ClockTime | None = None
    """The device's local time. Routine notices are softer then; an alarm and the answer to a press never are."""
    quiet_volume: Annotated[int, Field(ge=0, le=100)] = 30
    recordings: FilePathSetting | None = None
    """A directory with recorded sentences, see docs/sounds.md; what is not there is spoken by espeak-ng."""

    @model_validator(mode="after")
    def _player_is_a_command(self) -> Self:
        if self.player == ():
            raise ValueError('player: name a command such as ["aplay", "-q", "-N"], or "none"')
        return self

    @model_validator(mode="after")
    def _quiet_hours_have_two_ends(self) -> Self:
        if (self.quiet_from is None) != (self.quiet_to is None):
            raise ValueError("quiet_from and quiet_to: name both, or neither")
        return self

    def quiet_at(self, local: time) -> bool:
        """Whether this is a quiet hour. They may reach over midnight; equal ends are no hour at all."""
        if self.quiet_from is None or self.quiet_to is None:
            return False
        begin, end = (time.fromisoformat(one) for one in (self.quiet_from, self.quiet_to))
        return begin <= local < end if begin <= end else local >= begin or local < end


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
    control: FilePathSetting | None = None
    """The control socket, at which ``doorbell-device selftest`` and ``doctor`` ask; None: ``CONTROL_SOCKET``, and on
    mock pins ``pins.sock`` in ``state_dir``."""
    report_interval_s: Annotated[int, Field(ge=5, le=3_600)] = 60
    unreachable_s: Annotated[int, Field(ge=3, le=60)] = 10
    """How long a panel waits for a receipt before it says that it reaches nobody yet."""
    mqtt: MqttSettings = MqttSettings()
    pins: PinSettings = PinSettings()
    colours: dict[Light, Colour] = Field(default_factory=dict)
    """The colour of a light where it has several lamps; what is not named keeps its default."""
    button: ButtonSettings = ButtonSettings()
    sound: SoundSettings = SoundSettings()
    health: HealthSettings = HealthSettings()
    logs: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _pins_fit_the_role(self) -> Self:
        self.wiring()
        return self

    @model_validator(mode="after")
    def _a_bell_is_heard(self) -> Self:
        if self.role is Role.BELL and self.sound.player == "none" and self.wiring().buzzer is None:
            raise ValueError(
                "sound.player: a bell with neither a player nor a buzzer is silent; name a player, or pins.buzzer"
            )
        return self

    def wiring(self) -> Wiring:
        """What is fitted where."""
        return self.pins.wiring(self.role)

    def light_colours(self) -> dict[Light, Colour]:
        """The colour of every light, for a light that has several lamps."""
        return LIGHT_COLOURS | self.colours

    def control_socket(self, *, mock: bool) -> Path:
        """Where the daemon listens for questions."""
        return self.control or (self.state_dir / "pins.sock" if mock else CONTROL_SOCKET)

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
