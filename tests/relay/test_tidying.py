"""The collector looks at what is new, and no more at what stays."""

import gc
from collections.abc import Iterator

import pytest

from relay.tidying import NEW_VALUES, keep_what_lives


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    before, callbacks = gc.get_threshold(), list(gc.callbacks)
    yield
    gc.set_threshold(*before)
    gc.callbacks[:] = callbacks
    gc.unfreeze()


def test_what_lives_is_never_looked_at_again_and_what_follows_only_while_it_is_new() -> None:
    """A relay with 20,000 devices stood still for 30 ms and more at every look at all that it holds."""
    register = [{"device": [number]} for number in range(5 * NEW_VALUES)]
    keep_what_lives()
    keep_what_lives()  # twice is as good as once
    assert gc.get_freeze_count() > len(register)
    frozen = gc.get_freeze_count()
    looked_at: list[int] = []

    def look(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            looked_at.append(sum(len(gc.get_objects(generation)) for generation in range(info["generation"] + 1)))

    gc.callbacks.append(look)
    alarms = [[number] for number in range(5 * NEW_VALUES)]
    gc.callbacks.remove(look)
    assert len(looked_at) > 3
    assert max(looked_at) < 2 * NEW_VALUES, "all that is held is never looked at in one go"
    assert gc.get_freeze_count() > frozen + len(alarms) // 2


def test_a_circle_that_is_dropped_while_it_is_new_is_still_collected() -> None:
    keep_what_lives()
    before = gc.get_freeze_count()
    for _ in range(10 * NEW_VALUES):
        circle: list[object] = []
        circle.append(circle)
    assert gc.get_freeze_count() - before < NEW_VALUES
