"""A journal line as a sentence for people: what happened, to whom, by whom."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from relay.core.alarm import NoteType, Outcome
from relay.texts.language import Language, Text
from relay.texts.words import OUTCOMES, line_word

SENTENCES: Mapping[str, Text] = {
    NoteType.RAISED: Text("{source} 按下求助按钮", "the help button of {source} was pressed"),
    NoteType.PRESSED_AGAIN: Text("再次按铃，共 {presses} 次", "pressed again, {presses} times by now"),
    NoteType.STEP_STARTED: Text(
        "第 {step} 步：呼叫 {called}，等待 {wait_s} 秒", "step {step}: calling {called}, waiting {wait_s} s"
    ),
    NoteType.STEP_DEAF: Text(
        "第 {step} 步：没有一个门铃能响，立即进入下一步", "step {step}: no bell can sound, the next step starts at once"
    ),
    NoteType.STEP_REPEATED: Text(
        "仍无人应答，再次呼叫 {called}，等待 {wait_s} 秒", "still no answer, calling {called} again, waiting {wait_s} s"
    ),
    NoteType.ALL_CALLED: Text("连续按铃 {presses} 次，全部呼叫", "pressed {presses} times, everybody is called"),
    NoteType.SOUNDING: Text("{bells} 铃响了", "{bells} sounds"),
    NoteType.SILENT: Text("{bells} 铃停了", "{bells} fell silent"),
    NoteType.ACCEPTED: Text("{person} 说：我来（{device}）", "{person} says: I am coming ({device})"),
    NoteType.ACCEPTED_LATE: Text(
        "{person} 曾说：我来，但消息到得太晚（{device}）", "{person} had said: I am coming; heard too late ({device})"
    ),
    NoteType.DECLINED: Text("{person} 说：不能来（{device}）", "{person} says: I cannot ({device})"),
    NoteType.HANDED_BACK: Text("{person} 来不了，已交回（{device}）", "{person} hands it back ({device})"),
    NoteType.NOT_ARRIVED: Text(
        "{person} 在 {waited_s} 秒内没有到达，重新响铃", "{person} did not arrive within {waited_s} s: it rings again"
    ),
    NoteType.ARRIVED: Text("{person} 已到达", "{person} has arrived"),
    NoteType.OVERDUE: Text(
        "到达已 {since_s} 秒，无人确认完成", "{since_s} s after the arrival nobody has said that it is done"
    ),
    NoteType.CLOSED: Text("结束：{outcome}（{by}）", "closed: {outcome} (by {by})"),
    NoteType.CLOCK_STEPPED: Text("中继时钟被调整 {delta_ms} 毫秒", "the relay's clock was set by {delta_ms} ms"),
    NoteType.HOOK_FAILED: Text("无法通知 {hook}", "{hook} could not be told"),
    NoteType.RECOVERED: Text(
        "审计员发现这个警报没有将来的期限，立即处理",
        "the auditor found this alarm without a deadline that would come: it is looked at now",
    ),
}


def tell_line(
    kind: str,
    data: Mapping[str, Any],
    language: Language,
    *,
    device: str | None = None,
    name_of: Callable[[str], str] = lambda person: person,
) -> str:
    """A sentence for a journal line of type ``kind``.

    ``name_of`` turns a person's id into what may be shown to this reader; by default nothing but the id. A line that
    has no sentence, or not the facts for it (an older or newer relay wrote it), is told as its word and its facts.
    """
    fields = {"device": device or "-", **data}
    fields["called"] = _list([*_items(data, "bells"), *_items(data, "hooks")])
    fields["bells"] = _list(_items(data, "bells"))
    if "person" in data:
        fields["person"] = name_of(str(data["person"]))
    if data.get("outcome") in list(Outcome):
        fields["outcome"] = OUTCOMES[Outcome(data["outcome"])].say(language)
    sentence = SENTENCES.get(kind)
    if sentence is not None:
        try:
            return visible(sentence.say(language, **fields))
        except KeyError:
            pass
    parts = [line_word(kind, language), *([device] if device else []), *([_facts(data)] if data else [])]
    return visible(" ".join(parts))


def visible(text: str) -> str:
    """The text with everything that a terminal would act on shown as its escape: devices may send anything."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _items(data: Mapping[str, Any], key: str) -> list[str]:
    value = data.get(key)
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _list(items: list[str]) -> str:
    return ", ".join(items) or "-"


def _facts(data: Mapping[str, Any]) -> str:
    told = (f"{k}={v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}" for k, v in data.items())
    return " ".join(told)
