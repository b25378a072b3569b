"""The relay is stopped, and a press: real daemons on a real broker ring, answer, and tell the relay when it is back."""

from datetime import timedelta
from itertools import groupby
from pathlib import Path

import pytest

from tests.system.processes import Device, Sighting, until
from tests.system.town import Town

pytestmark = pytest.mark.system

RING_WITHIN = timedelta(seconds=6)
"""A bell sounds so soon after a press that no relay answers (wire contract: told directly after 5 s)."""


SYNCED = (
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount -t tmpfs none /run && mkdir -p /run/systemd/timesync && : > /run/systemd/timesync/synchronized && exec "$@"',
    "sh",
)
"""In a mount namespace of its own a program finds what systemd-timesyncd leaves when it has set the clock."""


def since(device: Device, first: int) -> list[Sighting]:
    return device.sightings[first:]


def stages(shown: list[Sighting]) -> list[str]:
    return [stage for stage, _ in groupby(one.stage for one in shown)]


@pytest.mark.parametrize("kind", ["embedded", pytest.param("mosquitto", marks=pytest.mark.slow)])
def test_a_press_with_the_relay_stopped_rings_within_6_s_and_is_one_alarm_with_its_true_times(
    tmp_path: Path, kind: str
) -> None:
    with Town(tmp_path, kind, devices_in=SYNCED) as town:
        assert town.relay.stop() == 0
        panel_from, first_from = len(town.panel.sightings), len(town.first.sightings)
        town.panel.press("help")
        until(lambda: bool(town.first.now.sounding and town.second.now.sounding), "both bells sound", within_s=30)
        heard = next(one for one in since(town.panel, panel_from) if one.stage == "heard")
        rung = next(one for one in since(town.first, first_from) if one.sounding)
        assert heard.at is not None
        assert rung.at is not None
        took = rung.at - heard.at
        assert timedelta(seconds=4.9) <= took <= RING_WITHIN, f"the bell sounded {took} after the press was felt"
        town.second.press("answer")
        until(lambda: town.panel.now.stage == "coming", "the elder hears that somebody comes")
        accepted_at = town.second.now.at
        until(lambda: not town.first.now.sounding and town.first.now.light == "taken", "the other bell is told")
        until(lambda: town.second.now.light == "mine", "the bell that has accepted says so")
        before = len(town.panel.sightings), len(town.first.sightings), len(town.second.sightings)

        town.restart("relay")
        until(
            lambda: town.panel.now.outbox == 0 == town.second.now.outbox, "the relay has heard all of it", within_s=60
        )
        (raised,) = town.lines_of("raised")
        (accepted,) = town.lines_of("accepted")
        assert accepted.device == "bell-second"
        assert accepted_at is not None
        real_ms = (accepted_at - heard.at) / timedelta(milliseconds=1)
        assert accepted.data["after_ms"] == pytest.approx(real_ms, abs=1_000)
        assert raised.data["late_ms"] >= real_ms
        assert set(stages(since(town.panel, before[0]))) <= {"coming"}, "the elder hears nothing a second time"
        assert not [one for one in (*since(town.first, before[1]), *since(town.second, before[2])) if one.sounding]
        town.helper_arrives(town.second)
        (page,) = town.store.alarms(open_only=False)
        assert [helper.person for helper in page.helpers] == ["zhang"]
        for program in (town.relay, *town.devices):
            assert program.stop() == 0, program.last_words()


@pytest.mark.slow
def test_killed_on_both_sides_of_a_direct_ring_nothing_is_lost_and_the_promise_comes_back(tmp_path: Path) -> None:
    """kill -9 of the bell that sounds, then of the panel that was promised somebody; the relay is away all the time."""
    with Town(tmp_path, "embedded") as town:
        town.kill("relay")
        town.panel.press("help")
        until(lambda: bool(town.first.now.sounding), "the bell sounds", within_s=30)
        town.kill("first")
        town.restart("first")
        until(lambda: bool(town.first.now.sounding), "it sounds again, told again by the panel", within_s=30)
        town.first.press("answer")
        until(lambda: town.panel.now.stage == "coming", "the elder hears that somebody comes")
        town.kill("panel")
        town.restart("panel")
        until(lambda: town.panel.now.stage == "coming", "and hears it again after a restart", within_s=30)
        town.restart("relay")
        until(lambda: town.panel.now.outbox == 0 == town.first.now.outbox, "the relay has heard all of it", within_s=60)
        assert len(town.lines_of("raised")) == 1
        assert [line.device for line in town.lines_of("accepted")] == ["bell-first"]
        town.helper_arrives(town.first)
