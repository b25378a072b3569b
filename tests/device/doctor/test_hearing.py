"""The notes of 叮咚 are found in a recording, and in nothing else."""

from __future__ import annotations

import math
import random
from array import array

import pytest

from device.core.signals import Tone
from device.doctor.hearing import ENOUGH, EXPECTED, notes_heard, share_of
from device.sounds.making import Recipe, clip_at
from device.sounds.recipes import ding_dong_recipe, tone_recipe
from device.sounds.scores import C5, E5
from device.sounds.waves import RATE


def wave_of(recipe: Recipe, percent: int = 80) -> array[int]:
    return array("h", clip_at(recipe, percent)[44:])


def sine(hz: float, seconds: float, height: float = 8_000) -> array[int]:
    return array("h", (round(height * math.sin(2 * math.pi * hz * n / RATE)) for n in range(round(seconds * RATE))))


@pytest.mark.parametrize("hz", [C5, E5, 1_000.0])
def test_all_the_energy_of_a_tone_is_at_its_frequency_and_none_elsewhere(hz: float) -> None:
    tone = sine(hz, 0.1)
    assert share_of(tone, hz, RATE) == pytest.approx(1.0, abs=0.02)
    assert share_of(tone, hz * 1.3, RATE) < 0.02
    assert share_of(array("h", bytes(2_000)), hz, RATE) == 0.0


@pytest.mark.parametrize("percent", [3, 40, 100])
def test_the_chime_has_all_its_notes_however_loud(percent: int) -> None:
    assert notes_heard(wave_of(ding_dong_recipe(), percent), RATE) == EXPECTED


def test_the_chime_is_heard_in_a_noisy_room_that_echoes_after_a_late_start() -> None:
    dice = random.Random(1)
    chime = wave_of(ding_dong_recipe(), 30)
    echo = round(0.04 * RATE)
    room = array("h", [0] * RATE)
    for n in range(len(chime)):
        heard = chime[n] + (chime[n - echo] * 0.5 if n >= echo else 0) + dice.gauss(0, 600)
        room.append(max(-32_768, min(32_767, round(heard))))
    assert notes_heard(room, RATE) == EXPECTED
    assert notes_heard(room[round(2.3 * RATE) :], RATE) >= ENOUGH


@pytest.mark.parametrize(
    "other",
    [
        array("h", bytes(12 * RATE)),
        array("h", (random.Random(2).randint(-9_000, 9_000) for _ in range(6 * RATE))),
        sine(520.0, 6),
        sine(50.0, 6),
        sine(E5, 6),
        wave_of(ding_dong_recipe())[: round(1.3 * RATE)],  # once, and then somebody pulls the plug
        *(wave_of(tone_recipe(tone)) for tone in Tone),
    ],
)
def test_nothing_else_is_taken_for_it(other: array[int]) -> None:
    assert notes_heard(other, RATE) < ENOUGH
