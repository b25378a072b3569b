"""Which tests one worker of xdist runs one after the other, because they share what takes long to make.

pytest-xdist 3.8 has marks for that (``xdist_group``), which pytest 9.2 has made ineffective without a word: every
worker made a city of its own. What decides here is the test's name.
"""

from __future__ import annotations

from typing import Any

import pytest

CLUSTERS = ("tests/system/test_several_relays.py", "tests/system/test_certified_cluster.py")
"""Each starts three NATS servers. One after the other: two such clusters beside each other, on two cores and one disk,
miss each other's heartbeats and vote without end."""
SCENE_BY_NAME = ("tests/system/test_fault_table.py",)
"""The parameters begin with the scene and a colon; the scenes of ``CLUSTER_SCENES`` have three NATS servers too."""
CLUSTER_SCENES = "city"


def scene_of(nodeid: str) -> str:
    """What a test shares with others of the same answer; itself if nothing."""
    file = nodeid.partition("::")[0]
    if file in CLUSTERS:
        return "clusters"
    if file in SCENE_BY_NAME and ":" in (parameters := nodeid.partition("[")[2]):
        scene = parameters.partition(":")[0]
        return "clusters" if scene.startswith(CLUSTER_SCENES) else f"{file}[{scene}"
    return nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadgroup``: by scene."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - a Pi's tests have no xdist

    scheduling: Any = LoadScopeScheduling(config, log)
    scheduling._split_scope = scene_of
    return scheduling
