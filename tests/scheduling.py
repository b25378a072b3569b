"""Which tests one worker of xdist runs one after the other, because they share what takes long to make.

pytest-xdist 3.8 has marks for that (``xdist_group``), which pytest 9.2 has made ineffective without a word: every
worker made a city of its own. What decides here is the test's name.
"""

from __future__ import annotations

from typing import Any

import pytest

ONE_SCENE = ("tests/system/test_several_relays.py",)
"""All of the file on one worker."""
SCENE_BY_NAME = ("tests/system/test_fault_table.py",)
"""The parameters begin with the scene and a colon."""


def scene_of(nodeid: str) -> str:
    """What a test shares with others of the same answer; itself if nothing."""
    file = nodeid.partition("::")[0]
    if file in ONE_SCENE:
        return file
    if file in SCENE_BY_NAME and ":" in (parameters := nodeid.partition("[")[2]):
        return f"{file}[{parameters.partition(':')[0]}"
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
