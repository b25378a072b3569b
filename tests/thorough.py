"""Property-based tests with a few examples every day and many in the slow suite, which sets ``THOROUGH``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

Test = Callable[..., Any]
THOROUGH = bool(os.environ.get("THOROUGH"))


def examples(*, few: int, many: int) -> Callable[[Test], Test]:
    """How many examples a test has: ``few`` every day, ``many`` in `make test-slow`, where it runs once more."""

    def chosen(test: Test) -> Test:
        marked: Test = pytest.mark.thorough(settings(max_examples=many if THOROUGH else few, deadline=None)(test))
        return marked

    return chosen
