"""Tests that share a scene run on one worker, others wherever there is room."""

from __future__ import annotations

from tests.scheduling import CLUSTERS, SCENE_BY_NAME, scene_of
from tests.system.processes import ROOT

CITY, TABLE = CLUSTERS[0], SCENE_BY_NAME[0]


def test_tests_of_one_scene_are_one_unit_and_others_are_units_of_their_own() -> None:
    assert scene_of(f"{CITY}::test_one") == scene_of(f"{CITY}::test_two[1]")
    towns, clocks = (scene_of(f"{TABLE}::test_it[{scene}:relay-killed-idle]") for scene in ("processes", "clocks"))
    assert towns == scene_of(f"{TABLE}::test_it[processes:relay-killed-panel-received]") != clocks
    assert scene_of("tests/test_x.py::test_it[a:b]") == "tests/test_x.py::test_it[a:b]"


def test_no_two_clusters_of_servers_run_beside_each_other() -> None:
    cities = [f"{TABLE}::test_it[{scene}:x]" for scene in ("city-processes", "city-resources")]
    assert len({scene_of(test) for test in (*cities, *(f"{file}::test_one" for file in CLUSTERS))}) == 1


def test_the_files_are_there() -> None:
    assert all((ROOT / file).is_file() for file in (*CLUSTERS, *SCENE_BY_NAME))
