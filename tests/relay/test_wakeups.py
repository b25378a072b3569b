"""What falls due, against the plainest thing that can be meant: a dictionary of moments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.book import Wakeups

KEYS = st.sampled_from(["bell-1", "bell-2", "panel-1", "panel-2", "panel-3"])
MOMENTS = st.integers(0, 12)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, MOMENTS),
        st.tuples(st.just("clear"), KEYS, st.just(0)),
        st.tuples(st.just("pop"), st.just(""), MOMENTS),
        st.tuples(st.just("next"), st.just(""), st.just(0)),
    ),
    max_size=60,
)


@given(STEPS)
def test_each_key_falls_due_once_at_the_moment_that_was_set_last(steps: list[tuple[str, str, int]]) -> None:
    wakeups, meant = Wakeups(), dict[str, int]()
    for step, key, at_ms in steps:
        if step == "set":
            wakeups.set(key, at_ms)
            meant[key] = at_ms
        elif step == "clear":
            wakeups.clear(key)
            meant.pop(key, None)
        elif step == "next":
            assert wakeups.next_ms() == min(meant.values(), default=None)
        else:
            due = sorted((when, name) for name, when in meant.items() if when <= at_ms)
            assert wakeups.pop_due(at_ms) == [name for _, name in due]
            for _, name in due:
                del meant[name]
    assert wakeups.next_ms() == min(meant.values(), default=None)


def test_what_is_set_again_and_again_leaves_nothing_behind() -> None:
    """A device that reports for years: every report sets its silence anew."""
    wakeups = Wakeups()
    for now_ms in range(0, 20_000, 10):
        wakeups.set("bell-1", now_ms + 50)
        wakeups.set("panel-1", now_ms + 30)
        wakeups.clear("panel-1")
        assert wakeups.next_ms() is not None
        assert wakeups.pop_due(now_ms) == []
    assert sum(len(keys) for keys in wakeups._keys.values()) <= 10
    assert len(wakeups._moments) <= 10
