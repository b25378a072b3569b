"""How far a device is, by what the journal says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from relay.core.register import Register
from relay.installation import LINE_TYPES, Installation, Installations, InstallStage, installation_of
from relay.register_file import parse_register
from tests.relay.office import EXAMPLE

REGISTER = parse_register(EXAMPLE.read_bytes())[0] or Register()
BEGAN = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
PANEL, BELL = "button-liu", "bell-peng"
PASSED = {"of": "selftest", "proven": ["outbox.written", "relay.receipted"], "not_proven": ["pair.none"]}


@dataclass(frozen=True)
class Said:
    """A line of the journal, some minutes after the beginning."""

    minute: int
    type: str
    device: str | None = None
    alarm: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        return BEGAN + timedelta(minutes=self.minute)


def proved(minute: int, device: str, **detail: Any) -> Said:
    return Said(minute, "test", device, data={"detail": {**PASSED, **detail}})


def pressed(minute: int, alarm: str = "a", device: str = PANEL) -> Said:
    return Said(minute, "raised", device, alarm)


def sounding(minute: int, *bells: str, alarm: str = "a") -> Said:
    return Said(minute, "sounding", None, alarm, {"bells": list(bells)})


LIFE = (
    Said(1, "device_online", PANEL),
    Said(2, "device_online", BELL),
    proved(3, PANEL),
    proved(4, BELL),
    pressed(5),
    sounding(6, BELL),
)


def stages(*lines: Said, made_at: Mapping[str, datetime] | None = None) -> tuple[str, str]:
    return (
        installation_of(PANEL, REGISTER, lines, made_at).stage.value,
        installation_of(BELL, REGISTER, lines, made_at).stage.value,
    )


def test_a_pair_step_by_step() -> None:
    assert [stages(*LIFE[:count]) for count in range(len(LIFE) + 1)] == [
        ("made", "made"),
        ("registered", "made"),
        ("registered", "registered"),
        ("tested", "registered"),
        ("tested", "tested"),
        ("tested", "tested"),
        ("installed", "installed"),
    ]
    assert {line.type for line in LIFE} <= set(LINE_TYPES)
    one = installation_of(PANEL, REGISTER, LIFE)
    assert one == Installation(PANEL, None, LIFE[0].at, LIFE[2].at, (), heard_at=LIFE[5].at, heard_with=BELL)
    other = installation_of(BELL, REGISTER, LIFE)
    assert (other.heard_at, other.heard_with) == (LIFE[5].at, PANEL)


def test_the_lines_may_come_in_any_number_of_parts() -> None:
    found = Installations(REGISTER)
    for line in LIFE:
        found.take([line])
    assert [one for one in found.all() if one.stage is InstallStage.INSTALLED] == [
        installation_of(PANEL, REGISTER, LIFE),
        installation_of(BELL, REGISTER, LIFE),
    ]
    assert {one.device for one in found.all()} == set(REGISTER.devices)


@pytest.mark.parametrize(
    ("lines", "stage"),
    [
        ([*LIFE[:5], sounding(6)], "tested"),  # asked, and no bell sounded
        ([*LIFE[:5], sounding(6, "bell-nobody")], "tested"),
        ([*LIFE[:5], sounding(6, BELL, alarm="b")], "tested"),  # another alarm
        ([*LIFE[:5], sounding(6, "bell-clinic")], "tested"),  # called in the end, and no pair of it
        ([*LIFE[:4], Said(5, "step_started", PANEL, "a"), sounding(6, BELL)], "tested"),  # raised by nobody's finger
        ([*LIFE[:4], Said(5, "pressed_again", PANEL, "a"), sounding(6, BELL)], "installed"),
        ([*LIFE[:4], sounding(5, BELL), pressed(6)], "installed"),
        ([LIFE[0], pressed(5), sounding(6, BELL)], "registered"),  # it rings, and its test has not passed
        ([LIFE[4], LIFE[5], LIFE[2]], "installed"),
        ([*LIFE, proved(7, PANEL, not_proven=["sound.failed"])], "registered"),
        ([*LIFE, proved(7, PANEL, not_proven=["sound.failed"]), proved(8, PANEL)], "installed"),
        ([LIFE[0], proved(3, PANEL, proven=["outbox.written"])], "registered"),
        ([LIFE[0], proved(3, PANEL, not_proven=["button.stuck help"])], "registered"),
        ([LIFE[0], proved(3, PANEL, not_proven=["button.down help", "clock.unsynced"])], "tested"),
        ([LIFE[0], proved(3, PANEL, of="probe")], "registered"),
        ([LIFE[0], Said(3, "test", PANEL)], "registered"),
        ([LIFE[0], Said(3, "test", PANEL, data={"detail": "selftest"})], "registered"),
        ([pressed(1, device=BELL), sounding(2, BELL)], "made"),
    ],
)
def test_what_counts(lines: list[Said], stage: str) -> None:
    assert stages(*lines)[0] == stage


def test_what_must_be_repaired_is_told() -> None:
    one = installation_of(PANEL, REGISTER, [proved(3, PANEL, not_proven=["sound.failed", "pair.none"])])
    assert (one.not_proven, one.tested_at) == (("sound.failed",), None)
    assert installation_of(PANEL, REGISTER, [proved(3, PANEL)]).not_proven == ()


@pytest.mark.parametrize(("minute", "seen"), [(0, ("installed", "installed")), (7, ("made", "installed"))])
def test_a_device_that_was_replaced_begins_anew(minute: int, seen: tuple[str, str]) -> None:
    made_at = {PANEL: BEGAN + timedelta(minutes=minute)}
    assert stages(*LIFE, made_at=made_at) == seen
    again = [replace(line, minute=line.minute + 10, alarm=line.alarm and "b") for line in LIFE]
    assert stages(*LIFE, *again, made_at=made_at) == ("installed", "installed")


def test_a_bell_that_was_replaced_is_not_proven_by_the_one_before() -> None:
    made_at = {BELL: LIFE[5].at + timedelta(seconds=1)}
    assert stages(*LIFE, made_at=made_at) == ("installed", "made")


def test_an_alarm_that_is_closed_is_forgotten_and_what_it_proved_is_not() -> None:
    found = Installations(REGISTER)
    found.take([*LIFE, Said(7, "closed", alarm="a")])
    assert (found._panels, found._bells) == ({}, {})
    assert found.of(PANEL).stage is InstallStage.INSTALLED
    assert "closed" in LINE_TYPES


def test_who_is_not_registered_is_nobody() -> None:
    found = Installations(REGISTER)
    found.take([Said(1, "device_online", "stranger"), proved(2, "stranger"), pressed(3, device="stranger")])
    found.take([sounding(4, BELL)])
    assert found.of(BELL).heard_at is None
    assert "stranger" not in {one.device for one in found.all()}
