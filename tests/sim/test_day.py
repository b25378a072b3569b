"""An ordinary day of many households."""

from __future__ import annotations

import json

import pytest

from sim.__main__ import main
from sim.day import DayPlan, live_a_day


def test_on_an_ordinary_day_every_alarm_is_closed_and_every_device_is_heard() -> None:
    told = live_a_day(DayPlan(households=60, heartbeat_s=7_200))
    assert told["households"] == 60
    assert told["alarms"] == told["closed"] > 0
    assert told["presses"] > 0
    assert told["reports"] > told["devices"] * 12


def test_the_command_tells_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["day", "--households", "8", "--heartbeat", "86400", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main(["day", "--households", "8", "--heartbeat", "86400"]) == 0
    assert f"{told['presses']} presses for help" in capsys.readouterr().out
