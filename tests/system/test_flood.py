"""One device says five thousand valid events a second: another household's press rings all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.flood import BURST
from tests.system.brokers import BROKERS
from tests.system.flooding import flooding
from tests.system.processes import until
from tests.system.town import COMMUNITY, OTHER_PANEL, Town

pytestmark = [pytest.mark.system, pytest.mark.slow]

PER_S = 5_000


@pytest.mark.parametrize("kind", BROKERS)
def test_a_press_rings_beside_a_device_that_floods_and_little_of_the_flood_is_kept(tmp_path: Path, kind: str) -> None:
    with Town(tmp_path, kind) as town, flooding(town.broker.port, COMMUNITY, OTHER_PANEL, PER_S) as flooder:
        until(lambda: town.relay.logged("device.floods"), "the relay has noticed")
        for _ in range(3):
            town.panel.press("help")
            until(lambda: town.first.now.sounding, f"the first bell sounds\n{town.last_words()}")
            town.help_arrives(town.first)
        until(lambda: flooder.said > 10 * BURST, "thousands were said")
        kept = sum(line.device == OTHER_PANEL for line in town.lines_of("test"))
        assert BURST <= kept < flooder.said / 4, (kept, flooder.said)
