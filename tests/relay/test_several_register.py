"""Several relays and a register that changes: communities that come and go, and bells that move to another relay's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.core.register import Register
from tests.relay.doubles import PANEL, PENG, C, neighbourhood, uid
from tests.relay.posts import Posts, two_posts


@pytest.fixture
def posts() -> Posts:
    return two_posts()


def press(posts: Posts) -> None:
    posts.hear(posts["one"].event(PANEL, "help", 1))


def test_a_register_with_a_community_more_is_served_and_one_less_is_let_go(posts: Posts) -> None:
    press(posts)
    before = posts["one"].relay._register
    smaller = {key: value for key, value in before.communities.items() if key == C}
    devices = {key: device for key, device in before.devices.items() if device.community == C}
    posts.store.replace_register(replace(before, communities=smaller, devices=devices))
    posts.run(3_000)
    assert (posts.holders(C), posts.holders("far")) == (["one"], [])
    posts.store.replace_register(before)
    posts.run(5_000)
    assert len(posts.holders("far")) == 1
    assert posts["one"].panel() == ("received", None)


def _without_peng() -> Register:
    """Peng and his bell have moved to the other community."""
    before = neighbourhood()
    return replace(
        before,
        people={**before.people, "peng": replace(before.people["peng"], community="far")},
        households={**before.households, "liu": replace(before.households["liu"], volunteers=("wang",))},
        devices={**before.devices, PENG: replace(before.devices[PENG], community="far")},
    )


def test_an_early_answer_of_a_bell_that_has_moved_away_changes_nothing(posts: Posts) -> None:
    """The press for which it had waited ended every relay that heard it: it wrote about the other's community."""
    posts.hear(posts["one"].event(PENG, "accept", 2, alarm=1))
    posts.store.replace_register(_without_peng())
    posts.run(3_000)
    press(posts)
    assert posts["one"].panel() == ("received", None)
    assert posts.store.events[uid(2)].verdict == "unknown_device"


def test_a_bell_that_has_moved_away_is_told_nothing_more(posts: Posts) -> None:
    """What it had not confirmed was said again and again, over what its new relay says."""
    press(posts)
    posts.hear(posts["one"].report(PENG, 1, rev=1))
    posts.store.replace_register(_without_peng())
    posts["one"].wrote()
    posts.run(30_000)
    assert set(posts["one"].wrote()) <= {PANEL}
