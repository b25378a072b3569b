"""How names, places and numbers are to be read aloud, so that espeak-ng says what a person would. Pure.

Found by looking at its phonemes (versions 1.51 and 1.52, voice ``cmn-latn-pinyin``; docs/sounds.md has the examples):

* Voice ``cmn`` reads hanzi by their pinyin spelt as English letters. ``cmn-latn-pinyin`` reads all 20,991 of the basic
  block; an English voice says "Chinese letter" for each. So each stretch goes to the voice of its script.
* It says 502 as "five hundred two", which in Chinese is 520: the wrong door. From three figures on, and after a zero,
  numbers are read figure by figure.
* A family name is read like the common word: Zeng as ceng, Shan as dan. A homophone takes its place, where it begins a
  name of a person's length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MANDARIN_VOICE = "cmn-latn-pinyin"
_FIGURES = "零一二三四五六七八九"
_FAMILY_NAMES = {
    "尉迟": "玉迟", "万俟": "莫奇", "令狐": "灵狐", "长孙": "掌孙",
    "曾": "增", "任": "人", "贾": "甲", "单": "善", "翟": "宅", "华": "话", "解": "谢", "覃": "秦", "仇": "求",
    "卜": "补", "查": "渣", "区": "欧", "燕": "烟", "朴": "瓢", "盖": "葛", "薄": "博",
}  # fmt: skip
_PLACE_WORDS = {"重庆": "虫庆", "厦门": "下门", "银行": "银航", "音乐": "音悦"}
"""In many addresses, and read with another word's sound."""
_LONGEST_PERSON = 4
"""Characters: a family name of two and a given name of two, or a title. Longer ones are shops and places."""
_HANZI = "\u3007\u4e00-\u9fff"
_UNSPEAKABLE = re.compile(rf"[^{_HANZI}A-Za-z\u00c0-\u024f0-9' ,.，、]")
"""A voice spells such a character by its number, or takes ``[[`` for phonemes: it is left out."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of text, and the voice of espeak-ng that can read it."""

    voice: str
    text: str


def read_name(name: str, language: str) -> str:
    """A person's name or a label, as the voice of a language must be given it; empty if nothing can be read."""
    clean = _clean(name)
    for family, homophone in _FAMILY_NAMES.items():
        if clean.startswith(family) and len(family) < len(clean) <= _LONGEST_PERSON:
            clean = homophone + clean[len(family) :]
            break
    return _numbers(clean, language)


def read_place(place: str, language: str) -> str:
    """A place, as the voice of a language must be given it; empty if nothing can be read."""
    clean = _clean(place)
    for word, homophones in _PLACE_WORDS.items():
        clean = clean.replace(word, homophones)
    return _numbers(clean, language)


def voiced(text: str, voice: str) -> tuple[Part, ...]:
    """The text cut where another voice must read: hanzi amid another script."""
    if voice == MANDARIN_VOICE:
        return (Part(voice, text),)  # it reads Latin words in between as pinyin or as English
    stretches = re.findall(rf"[{_HANZI}](?:[{_HANZI} ，、]*[{_HANZI}])?|[^{_HANZI}]+", text)
    parts = (Part(MANDARIN_VOICE if re.match(f"[{_HANZI}]", one) else voice, one.strip()) for one in stretches)
    return tuple(part for part in parts if re.search(r"\w", part.text))


def _clean(text: str) -> str:
    # 3-502, 3#502, 3/502: a pause between, for the sign has no sound
    parted = re.sub(r"(?<=[0-9])\s*[-‐-―#/~]\s*(?=[0-9])", "，", text)
    return re.sub(r"\s+", " ", _UNSPEAKABLE.sub(" ", parted)).strip(" ,.，。、'")


def _numbers(text: str, language: str) -> str:
    chinese = language.startswith("zh") or bool(re.search(f"[{_HANZI}]", text))

    def read(found: re.Match[str]) -> str:
        figures = found[0]
        one_by_one = len(figures) >= 3 or figures.startswith("0")
        if chinese:
            return "".join(_FIGURES[int(one)] for one in figures) if one_by_one else _count(int(figures))
        return " ".join(figures) if one_by_one else figures

    return re.sub(r"[0-9]+", read, text)


def _count(number: int) -> str:
    """A number below 100 in hanzi."""
    tens, ones = divmod(number, 10)
    head = "" if not tens else "十" if tens == 1 else f"{_FIGURES[tens]}十"
    return head + (_FIGURES[ones] if ones or not tens else "")
