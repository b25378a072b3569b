"""A story for each test: told to its end, with nothing left unexpected."""

from collections.abc import Iterator

import pytest

from sim.stories import Story


@pytest.fixture
def story() -> Iterator[Story]:
    """A neighbourhood in the morning: everybody is connected, nothing has happened."""
    told = Story()
    yield told
    told.end()
