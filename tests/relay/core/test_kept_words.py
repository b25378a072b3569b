"""Words that stand in databases: a release that spelt one otherwise could not read what an earlier one has written."""

from enum import StrEnum

import pytest

from relay.core.alarm import AlarmStage, Due, HelperState, NoteType, Outcome
from relay.core.journal import LineType
from relay.core.policy import OnMistake, TargetType
from relay.core.register import DeviceRole

KEPT: dict[type[StrEnum], str] = {
    AlarmStage: "ringing accepted arrived closed",
    Outcome: "helped hospital false_alarm nobody_came cancelled",
    Due: "deaf step arrive done",
    HelperState: "coming late handed_back arrived",
    NoteType: "raised pressed_again step_started step_deaf step_repeated all_called sounding silent accepted "
    "accepted_late declined handed_back not_arrived arrived overdue closed clock_stepped hook_failed waiting",
    LineType: "sign_of_life test fault ignored early device_online device_offline",
    OnMistake: "close look-in",
    TargetType: "volunteer volunteers group office everyone hook",
    DeviceRole: "panel bell",
}


@pytest.mark.parametrize("words", KEPT)
def test_a_kept_word_stays_as_it_was_first_written(words: type[StrEnum]) -> None:
    assert set(KEPT[words].split()) <= {word.value for word in words}
