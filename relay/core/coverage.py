"""Coverage: would somebody hear a press made now? Counted from the bells of the household's own volunteers."""

from __future__ import annotations

from collections.abc import Container

from doorbell.wire import Coverage
from relay.core.register import Register


def coverage_of(register: Register, household: str, online: Container[str]) -> Coverage:
    """``covered``: two or more volunteers could hear it; ``thin``: one; ``uncovered``: none.

    Alliance bells do not count: they are rung later, and a light must not promise what comes after minutes.
    """
    home = register.households.get(household)
    if home is None:
        return Coverage.UNCOVERED
    coverage = Coverage.UNCOVERED
    for person in home.volunteers:
        for bell in register.bells_of.get(person, ()):
            if bell in online:
                if coverage is Coverage.THIN:
                    return Coverage.COVERED
                coverage = Coverage.THIN
                break
    return coverage
