"""A home in a virtual Pi: the kernel's lines, systemd, the installed package; broker and relay outside are real too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from device.core.signals import Light
from device.sounds.scores import C5, E5
from tests.system.processes import until
from tests.virtual_pi.conftest import Home
from tests.virtual_pi.house import BELL_SIDE, DING_DONG_ENDS_S, DING_DONG_S, LONG_S, PANEL_SIDE, Recording
from tests.virtual_pi.listening import beats_s, dominant_hz, stretch, strikes_s
from tests.virtual_pi.outside import BELL, PANEL

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.virtual_pi]

BLINKING = (Light.HEARD, Light.RECEIVED, Light.RINGING, Light.COMING, Light.UNREACHABLE)
ROUNDS, ROUNDS_AT_MOST = 5, 30
"""Of chatter that counts, and of chatter altogether."""
T3_S = [0.5, 0.5, 0.5, 0.5, 0.5, 1.5]
"""Sound and silence of the signal that wakes sleepers (NFPA 72, T-3)."""


@pytest.fixture(autouse=True)
def at_rest(home: Home) -> Iterator[None]:
    """At rest before, with no finger on anything and no alarm after."""
    home.house.await_rest(home.outside)
    yield
    for side in (PANEL_SIDE, BELL_SIDE):
        for button in side.buttons:
            home.house.up(side, button)
    home.outside.resume()
    home.machine.sh(f"systemctl start {BELL_SIDE.unit}")
    home.outside.close_alarms()


def test_it_boots_with_systemd_and_nothing_has_failed(home: Home) -> None:
    """Real units of the real package: active, never restarted, as their own user, under lgpio."""
    machine = home.machine
    assert machine.sh("systemctl --failed --plain --no-legend") == ""
    assert machine.run("systemctl is-system-running").out == "running\n"
    for side in (PANEL_SIDE, BELL_SIDE):
        shown = machine.sh(f"systemctl show {side.unit} -p ActiveState,NRestarts,User,MainPID")
        facts = dict(line.split("=", 1) for line in shown.splitlines())
        pid = facts.pop("MainPID")
        assert facts == {"ActiveState": "active", "NRestarts": "0", "User": "doorbell"}
        maps = machine.sh(f"cat /proc/{pid}/maps")
        assert "_lgpio" in maps
    assert machine.sh("findmnt -n -o SOURCE /var/lib/doorbell-device") == "/dev/vdb\n"
    assert machine.sh("dpkg-query -W -f '${db:Status-Status}' doorbell-device") == "installed"


def test_a_press_in_the_kernel_goes_through_every_light_to_somebody_who_comes(home: Home) -> None:
    """Each stage is held as long as the eye on the line needs: the relay hangs, the bell is off, somebody answers."""
    house, outside, machine = home.house, home.outside, home.machine
    machine.sh(f"systemctl stop {BELL_SIDE.unit}")
    until(lambda: outside.journal("device_offline"), "the relay knows that the bell is off", LONG_S)
    before = len(outside.journal("raised"))
    outside.pause()
    house.press(PANEL_SIDE, "help")
    house.await_light(PANEL_SIDE, Light.HEARD)
    assert house.light_on_the_line(PANEL_SIDE, BLINKING) is Light.HEARD
    outside.resume()
    house.await_light(PANEL_SIDE, Light.RECEIVED)
    assert house.light_on_the_line(PANEL_SIDE, BLINKING) is Light.RECEIVED
    machine.sh(f"systemctl start {BELL_SIDE.unit}")
    house.await_light(PANEL_SIDE, Light.RINGING)
    assert house.light_on_the_line(PANEL_SIDE, BLINKING) is Light.RINGING
    house.press(BELL_SIDE, "answer")
    house.await_light(PANEL_SIDE, Light.COMING)
    assert house.light_on_the_line(PANEL_SIDE, BLINKING) is Light.COMING
    house.press(PANEL_SIDE, "ok")
    house.await_light(PANEL_SIDE, Light.ARRIVED)
    house.await_light(BELL_SIDE, Light.MINE)
    house.press(BELL_SIDE, "answer", seconds=3.6)
    until(lambda: outside.journal("closed"), "it is done", LONG_S)
    raised = outside.journal("raised")[before:]
    assert [line.device for line in raised] == [PANEL]
    told = [line.type for line in outside.journal() if line.alarm == raised[0].alarm]
    wanted = ["raised", "sounding", "accepted", "arrived", "closed"]
    assert [kind for kind in told if kind in wanted] == wanted
    assert outside.journal("accepted")[-1].device == BELL


def test_the_bell_rings_as_it_should_sound_and_is_silent_once_somebody_comes(home: Home) -> None:
    """What the loudspeaker got, measured: 叮咚 three times, then T-3 at 520 Hz; an answer, and nothing."""
    house = home.house
    house.forget_recordings()
    house.press(PANEL_SIDE, "help")
    begin_s = until(lambda: _waking_s(house.ring(BELL_SIDE)), "the bell plays the waking chime", LONG_S)
    ring = house.ring(BELL_SIDE)
    struck = strikes_s(stretch(ring.samples, ring.rate, 0.0, DING_DONG_ENDS_S), ring.rate)
    assert struck == pytest.approx(DING_DONG_S, abs=0.02)
    assert ring.ding_dong_hz() == pytest.approx([E5, C5] * 3, abs=4)
    assert begin_s >= DING_DONG_ENDS_S
    for beat in range(3):
        tone = stretch(ring.samples, ring.rate, begin_s + beat + 0.05, begin_s + beat + 0.45)
        assert dominant_hz(tone, ring.rate) == pytest.approx(520, abs=2)
    until(lambda: house.ring(BELL_SIDE).seconds > ring.seconds, "it goes on", LONG_S)
    house.press(BELL_SIDE, "answer")
    house.await_light(BELL_SIDE, Light.MINE)
    ended = house.ring(BELL_SIDE)
    home.machine.sh("sleep 8")  # two turns of the chime, by the machine's own clock
    assert house.ring(BELL_SIDE).seconds == ended.seconds, "nothing rings after the answer"


def test_chatter_on_the_line_raises_nothing_and_a_press_after_it_does(home: Home) -> None:
    """Bursts of the kernel's edges, no contact of 15 ms; then one more, and a finger that stays."""
    house, outside = home.house, home.outside
    quiet = 0
    for _ in range(ROUNDS_AT_MOST):
        before = len(house.logged(PANEL_SIDE, "button.pressed"))
        longest_ms = house.chatter(PANEL_SIDE, "help", bursts=2)
        home.machine.sh("sleep 1")
        # An emulated core that is taken away during a contact makes a press of it: such a round proves nothing.
        if longest_ms < 15:
            assert len(house.logged(PANEL_SIDE, "button.pressed")) == before
            quiet += 1
        if quiet == ROUNDS:
            break
    assert quiet == ROUNDS, f"only {quiet} of {ROUNDS_AT_MOST} rounds had no long contact: the machine is too busy"
    raised = len(outside.journal("raised", "pressed_again"))
    house.chatter(PANEL_SIDE, "help", bursts=1)
    house.press(PANEL_SIDE, "help")
    until(lambda: len(outside.journal("raised", "pressed_again")) > raised, "the press is at the relay", LONG_S)
    house.press(PANEL_SIDE, "ok")
    until(lambda: not outside.open_alarms(), "no alarm is open", LONG_S)


def test_a_button_that_is_held_is_a_press_and_then_a_fault(home: Home) -> None:
    """Something lies on the button: one alarm, one technical fault, and the word that it is over."""
    house, outside = home.house, home.outside
    raised, faults = len(outside.journal("raised")), len(outside.faults(PANEL))
    house.down(PANEL_SIDE, "help")
    until(lambda: ("button_stuck", False) in outside.faults(PANEL)[faults:], "the fault is at the relay", LONG_S)
    house.up(PANEL_SIDE, "help")
    until(lambda: ("button_stuck", True) in outside.faults(PANEL)[faults:], "the relay hears that it is over", LONG_S)
    told = [fault for fault in outside.faults(PANEL)[faults:] if fault[0] == "button_stuck"]
    assert told == [("button_stuck", False), ("button_stuck", True)]
    assert len(outside.journal("raised")) == raised + 1
    house.press(PANEL_SIDE, "ok")
    until(lambda: not outside.open_alarms(), "no alarm is open", LONG_S)


def _waking_s(ring: Recording) -> float | None:
    """Where a whole T-3 signal begins: three beats of half a second, and a pause of one and a half."""
    beats = beats_s(ring.samples, ring.rate)
    at_s, signal = 0.0, pytest.approx(T3_S, abs=0.03)
    for number, (loud, lasts_s) in enumerate(beats):
        # The last beat may still be growing.
        whole = number + len(T3_S) < len(beats)
        if loud and whole and [length_s for _, length_s in beats[number : number + len(T3_S)]] == signal:
            return at_s
        at_s += lasts_s
    return None
