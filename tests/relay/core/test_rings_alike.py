"""Bells need not be told what is the same to all of them."""

from dataclasses import replace
from datetime import timedelta

from relay.core.alarm import Alarm, Helper
from relay.core.desired import (
    rings_alike,
    rings_for,
)
from tests.relay.core.situations import SITUATIONS
from tests.relay.doubles import BELLS, PENG, T0, WANG, neighbourhood

REGISTER = neighbourhood()


def all_states() -> list[Alarm]:
    """One alarm in every situation, and each with one thing more that a bell could be shown, or not."""
    reached = [SITUATIONS[name]().alarm for name in SITUATIONS]
    varied = [
        replace(alarm, **change)
        for alarm in reached
        for change in (
            {"presses": alarm.presses + 1},
            {"raised_at": alarm.raised_at - timedelta(hours=1)},
            {"declined": ("peng",)},
            {"helpers": (Helper("wang", WANG, T0),)},
            {"called": alarm.called[1:]},
            {"sounding": (PENG,)},
            {"since": T0},
        )
    ]
    return [*reached, *varied]


def test_states_are_alike_only_if_every_bell_is_shown_the_same() -> None:
    states = all_states()
    shown_to = [{bell: rings_for(REGISTER, REGISTER.devices[bell], [alarm]) for bell in BELLS} for alarm in states]
    alike = 0
    for before, rings_before in zip(states, shown_to, strict=True):
        for after, rings_after in zip(states, shown_to, strict=True):
            if before is not after and rings_alike(before, after):
                alike += 1
                assert rings_before == rings_after, (before, after)
    assert alike > len(states) / 10, "else nothing was looked at"


def test_what_only_the_panel_shows_is_alike_to_bells() -> None:
    alarm = SITUATIONS["fresh"]().alarm
    assert rings_alike(alarm, replace(alarm, sounding=(PENG,), deadline=None, round=3))
    assert not rings_alike(alarm, replace(alarm, presses=alarm.presses + 1))
