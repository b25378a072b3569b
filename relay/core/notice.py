"""What a webhook is told, and when a telling that failed is tried again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from doorbell.wire import AlarmKind, format_time
from relay.core.alarm import Alarm, NoteType
from relay.core.register import Register

DEAF_AFTER_ATTEMPTS = 3
"""A hook that failed this often (about 6 s) counts as deaf for its step; it is tried further all the same."""
MAX_ATTEMPTS = 60
"""With the waits below about an hour; then a person must look at the hook."""
MAX_WAIT_S = 60

_KINDS = {
    "zh": {
        AlarmKind.HELP: "求助",
        AlarmKind.CHECKIN: "请去看看",
        AlarmKind.TECHNICAL: "设备故障",
        AlarmKind.REQUEST: "需要帮忙",
        AlarmKind.TEST: "测试",
    },
    "en": {
        AlarmKind.HELP: "calls for help",
        AlarmKind.CHECKIN: "please look in",
        AlarmKind.TECHNICAL: "a device has failed",
        AlarmKind.REQUEST: "needs something",
        AlarmKind.TEST: "test",
    },
}


def notice_body(register: Register, alarm: Alarm, occasion: NoteType) -> dict[str, Any]:
    """The JSON for a hook: ids and times for programs, and one sentence for people in the community's language."""
    home = register.households.get(alarm.household)
    community = register.communities.get(alarm.community)
    label = home.label if home is not None else alarm.household
    place = home.place if home is not None else ""
    language = "en" if community is not None and community.language.startswith("en") else "zh"
    return {
        "occasion": occasion.value,
        "alarm": alarm.id,
        "kind": alarm.kind.value,
        "stage": alarm.stage.value,
        "community": alarm.community,
        "household": alarm.household,
        "label": label,
        "place": place,
        "raised_at": format_time(alarm.raised_at),
        "presses": alarm.presses,
        "step": alarm.step + 1,
        "nobody_has_come": alarm.nobody_has_come,
        "text": _sentence(language, alarm, occasion, label, place),
    }


def _sentence(language: str, alarm: Alarm, occasion: NoteType, label: str, place: str) -> str:
    what = _KINDS[language][alarm.kind]
    if language == "en":
        where = f" ({place})" if place else ""
        tail = "arrived, but nobody has said that it is done" if occasion is NoteType.OVERDUE else "nobody is there yet"
        return f"[Love Doorbell] {label}{where}: {what}; {tail}"
    where = f"（{place}）" if place else ""
    tail = "已有人到达，但尚未确认完成" if occasion is NoteType.OVERDUE else "还没有人赶到"
    return f"【爱心门铃】{label}{where}：{what}，{tail}"


def next_attempt(now: datetime, attempts: int) -> datetime:
    """When to try again after so many failures: 1, 2, 4 … up to 60 s later."""
    return now + timedelta(seconds=min(2 ** max(attempts - 1, 0), MAX_WAIT_S))
