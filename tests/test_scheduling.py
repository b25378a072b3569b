"""Tests that share a scene run on one worker, others wherever there is room."""

from __future__ import annotations

from tests.scheduling import ONE_SCENE, SCENE_BY_NAME, scene_of
from tests.system.processes import ROOT

CITY, TABLE = ONE_SCENE[0], SCENE_BY_NAME[0]


def test_tests_of_one_scene_are_one_unit_and_others_are_units_of_their_own() -> None:
    assert scene_of(f"{CITY}::test_one") == scene_of(f"{CITY}::test_two[1]")
    city, towns = (scene_of(f"{TABLE}::test_it[{scene}:relay-killed-idle]") for scene in ("city", "processes"))
    assert city == scene_of(f"{TABLE}::test_it[city:relay-killed-panel-received]") != towns
    assert scene_of("tests/test_x.py::test_it[a:b]") == "tests/test_x.py::test_it[a:b]"


def test_the_files_are_there() -> None:
    assert all((ROOT / file).is_file() for file in (*ONE_SCENE, *SCENE_BY_NAME))
