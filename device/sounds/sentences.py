"""What a device says, word by word, in every language that it speaks. Pure. Another language is one more catalogue.

A template is used where all its fields are known; what stands in square brackets is left out where its field is not.
The last template of each phrase needs no field. No sentence says more than its phrase means: ``COMING`` promises
nothing but that somebody said so, ``RECEIVED`` nothing but that the relay has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from device.core.role import Role
from device.core.signals import Phrase, Words
from device.sounds.reading import MANDARIN_VOICE, Part, read_name, read_place, voiced
from doorbell.wire import AlarmKind

MAX_COUNT = 9
"""So many calls at once are counted aloud; more than that is a storm, and no number helps."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One language. ``wpm``: espeak-ng's words a minute; 175 is its usual, 140 is for old and for frightened ears."""

    language: str
    voice: str
    wpm: int
    phrases: Mapping[Phrase, tuple[str, ...]]
    calls: Mapping[AlarmKind, tuple[str, ...]]
    """``Phrase.CALL`` by the kind of the alarm."""
    counted: str
    """How many ring at once: ``{count}``, 2 to ``MAX_COUNT``."""
    counts: str
    """The numbers of ``counted``, from 2."""


# espeak-ng 1.52 (Debian 13) spells 一会儿 in English, reads 系上 as jì shang and 处在 as chǔ zài: none of them here.
_CHINESE = Catalogue(
    language="zh-CN",
    voice=MANDARIN_VOICE,
    wpm=140,
    phrases={
        Phrase.HEARD: ("听见了，我马上叫人。",),
        Phrase.HEARD_OFFLINE: ("听见了。现在线路不通，要多等一些时候，我会一直试。",),
        Phrase.RECEIVED: ("求助已经收到了，正在叫人。",),
        Phrase.RINGING: ("那边的铃已经响了，请等一等。",),
        Phrase.COMING: ("{who}正在赶来，请等一等。", "有人正在赶来，请等一等。"),
        Phrase.ARRIVED: ("{who}到了。", "帮忙的人到了。"),
        Phrase.UNREACHABLE: ("还没有联系到人，我一直在试。",),
        Phrase.CLOSED: ("这次求助结束了，有事请再按。",),
        Phrase.OK_HEARD: ("听见了，谢谢您。",),
        Phrase.GO: ("谢谢您，请去{label}那里[，{place}]。", "谢谢您，请去看看[，{place}]。"),
        Phrase.DECLINED: ("知道了，您这次不能去。",),
        Phrase.DONE: ("记下了，事情办完了，谢谢您。",),
        Phrase.TAKEN: ("{who}去{label}那里了。", "已经有人去{label}那里了。", "{who}已经去了。", "已经有人去了。"),
        Phrase.REMINDER: (
            "您说过要去{label}那里。办完以后，请按住按钮，听见声音再松手。",
            "您说过要去帮忙。办完以后，请按住按钮，听见声音再松手。",
        ),
    },
    calls={
        AlarmKind.HELP: ("{label}求助[，在{place}]。", "有人求助[，在{place}]。"),
        AlarmKind.CHECKIN: ("请去看望一下{label}[，在{place}]。", "请去看望一下[，在{place}]。"),
        AlarmKind.TECHNICAL: ("{label}那里的设备有故障[，在{place}]。", "有设备出了故障[，在{place}]。"),
        AlarmKind.REQUEST: ("{label}需要帮个忙[，在{place}]。", "有人需要帮个忙[，在{place}]。"),
        AlarmKind.TEST: ("{label}，测试[，在{place}]。", "这是测试。"),
    },
    counted="现在一共有{count}处都在叫您。",
    counts="两三四五六七八九",
)

_ENGLISH = Catalogue(
    language="en",
    voice="en-gb",
    wpm=140,
    phrases={
        Phrase.HEARD: ("I heard you. I am calling for help now.",),
        Phrase.HEARD_OFFLINE: ("I heard you. The line is down, so it will take longer. I will keep trying.",),
        Phrase.RECEIVED: ("Your call has been received. I am calling people now.",),
        Phrase.RINGING: ("A bell is ringing for you. Please wait.",),
        Phrase.COMING: ("{who} is on the way. Please wait.", "Somebody is on the way. Please wait."),
        Phrase.ARRIVED: ("{who} is here.", "Your helper is here."),
        Phrase.UNREACHABLE: ("I have not reached anybody yet. I keep trying.",),
        Phrase.CLOSED: ("This call has ended. If you need help, press again.",),
        Phrase.OK_HEARD: ("I heard that. Thank you.",),
        Phrase.GO: ("Thank you. Please go to {label}[, {place}].", "Thank you. Please go and look[, {place}]."),
        Phrase.DECLINED: ("All right. You cannot go this time.",),
        Phrase.DONE: ("Noted: it is done. Thank you.",),
        Phrase.TAKEN: (
            "{who} is going to {label}.",
            "Somebody is going to {label} already.",
            "{who} is going.",
            "Somebody is going already.",
        ),
        Phrase.REMINDER: (
            "You said that you would go to {label}. When it is done, hold the button until you hear an answer.",
            "You said that you would go and help. When it is done, hold the button until you hear an answer.",
        ),
    },
    calls={
        AlarmKind.HELP: ("{label} is calling for help[, at {place}].", "Somebody is calling for help[, at {place}]."),
        AlarmKind.CHECKIN: ("Please look in on {label}[, at {place}].", "Please go and look in[, at {place}]."),
        AlarmKind.TECHNICAL: (
            "A device is out of order at {label}[, {place}].",
            "A device is out of order[, at {place}].",
        ),
        AlarmKind.REQUEST: ("{label} needs a favour[, at {place}].", "Somebody needs a favour[, at {place}]."),
        AlarmKind.TEST: ("{label}, a test[, at {place}].", "This is a test."),
    },
    counted="{count} are calling you now.",
    counts="23456789",
)

_CATALOGUES = {one.language: one for one in (_CHINESE, _ENGLISH)}
LANGUAGES = tuple(_CATALOGUES)
"""zh-CN first."""

_OF_A_PANEL = frozenset(
    {
        Phrase.HEARD, Phrase.HEARD_OFFLINE, Phrase.RECEIVED, Phrase.RINGING, Phrase.COMING, Phrase.ARRIVED,
        Phrase.UNREACHABLE, Phrase.CLOSED, Phrase.OK_HEARD,
    }
)  # fmt: skip


def language_for(tag: str) -> str | None:
    """The catalogue's name for a language tag (``zh``, ``zh_CN``, ``EN-us``), None if it is not spoken here."""
    primary = re.split(r"[-_.]", tag.strip().lower())[0]
    return next((one for one in LANGUAGES if re.split("-", one.lower())[0] == primary), None)


def speaking_rate(language: str) -> int:
    """espeak-ng's words a minute for a language of ``LANGUAGES``."""
    return _CATALOGUES[language].wpm


def sentence(words: Words, language: str) -> str:
    """The sentence as it is written."""
    return _filled(words, language, lambda name, _: name, lambda place, _: place)


def spoken_parts(words: Words, language: str) -> tuple[Part, ...]:
    """The sentence as voices must be given it; what cannot be read is left out as if it were unknown."""
    return voiced(_filled(words, language, read_name, read_place), _CATALOGUES[language].voice)


def count_sentence(count: int, language: str) -> str | None:
    """How many call at once, None where that is not said."""
    catalogue = _CATALOGUES[language]
    return catalogue.counted.format(count=catalogue.counts[count - 2]) if 2 <= count <= MAX_COUNT else None


def count_parts(count: int, language: str) -> tuple[Part, ...]:
    """``count_sentence`` for voices; nothing where that is not said."""
    text = count_sentence(count, language)
    return () if text is None else voiced(text, _CATALOGUES[language].voice)


def without_names(words: Words) -> Words:
    """The same with nobody named: what is said while the whole sentence is not ready."""
    return replace(words, who="", label="", place="")


def only_spoken(words: Words, language: str) -> Words:
    """Without the fields that the sentence has no place for."""
    used = {field for template in _templates(words, _CATALOGUES[language]) for field in _fields_of(template)}
    return replace(
        words,
        who=words.who if "who" in used else "",
        label=words.label if "label" in used else "",
        place=words.place if "place" in used else "",
    )


def fixed_words(role: Role | None = None) -> Iterator[Words]:
    """Every sentence without names that a panel or a bell may say; None: both."""
    for phrase in Phrase:
        if role is not None and (phrase in _OF_A_PANEL) != (role is Role.PANEL):
            continue
        if phrase is Phrase.CALL:
            yield from (Words(phrase, kind=kind) for kind in AlarmKind if kind is not AlarmKind.TEST)
        else:
            yield Words(phrase)


def _templates(words: Words, catalogue: Catalogue) -> tuple[str, ...]:
    return catalogue.calls[words.kind] if words.phrase is Phrase.CALL else catalogue.phrases[words.phrase]


def _fields_of(template: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", template)


def _filled(words: Words, language: str, name: Callable[[str, str], str], place: Callable[[str, str], str]) -> str:
    fields = {
        "who": name(words.who, language),
        "label": name(words.label, language),
        "place": place(words.place, language),
    }

    def kept(found: re.Match[str]) -> str:
        return found[1] if all(fields[field] for field in _fields_of(found[1])) else ""

    templates = _templates(words, _CATALOGUES[language])
    fitting = (one for one in templates if all(fields[field] for field in _fields_of(re.sub(r"\[[^]]*\]", "", one))))
    return re.sub(r"\[([^]]*)\]", kept, next(fitting)).format(**fields)
