"""The sentences: every phrase in every language, what is not known left out, and read as a person would read it."""

from __future__ import annotations

import re
import subprocess
from itertools import product

import pytest

from device.core.role import Role
from device.core.signals import Phrase, Words
from device.sounds.reading import Part, read_name, read_place, voiced
from device.sounds.sentences import (
    LANGUAGES,
    MAX_COUNT,
    count_sentence,
    fixed_words,
    language_for,
    only_spoken,
    sentence,
    spoken_parts,
    without_names,
)
from doorbell.wire import AlarmKind

ALL = [Words(phrase, kind=kind) for phrase, kind in product(Phrase, AlarmKind)]
FIELDS = {"who": "彭小平", "label": "柳奶奶", "place": "西湖山小区"}


def naming(phrase: Phrase, kind: AlarmKind = AlarmKind.HELP, fields: dict[str, str] = FIELDS) -> Words:
    who, label, place = (fields.get(field, "") for field in FIELDS)
    return Words(phrase, who, label, place, kind)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("words", ALL, ids=lambda words: f"{words.phrase}-{words.kind}")
def test_every_phrase_is_a_whole_sentence_whatever_is_known(words: Words, language: str) -> None:
    for known in product((False, True), repeat=3):
        given = {field: value for (field, value), is_known in zip(FIELDS.items(), known, strict=True) if is_known}
        said = sentence(naming(words.phrase, words.kind, given), language)
        assert not re.search(r"[][{}]|\s\s|[，,。.] ?[，,。.]|^[，, ]", said), said
        assert said[-1] in "。."
        for value in FIELDS.values():  # nothing is said that was not given, and a name once at most
            assert said.count(value) <= (value in given.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_comes_who_calls_and_where_are_said(language: str) -> None:
    assert "彭小平" in sentence(naming(Phrase.COMING), language)
    for kind in AlarmKind:
        said = sentence(naming(Phrase.CALL, kind), language)
        assert "柳奶奶" in said
        assert "西湖山小区" in said
        assert "彭小平" not in said
    taken = sentence(naming(Phrase.TAKEN), language)
    assert "彭小平" in taken
    assert "柳奶奶" in taken
    go = sentence(naming(Phrase.GO), language)
    assert "柳奶奶" in go
    assert "西湖山小区" in go


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_sentences_of_a_device_are_alike(language: str) -> None:
    for role in Role:
        said = [sentence(words, language) for words in fixed_words(role)]
        assert len(set(said)) == len(said)


def test_nobody_is_promised_before_somebody_has_said_so() -> None:
    """Only COMING says that somebody comes, and only ARRIVED that somebody is there."""
    promises = {"zh-CN": r"赶来|到了", "en": r"on the way|\bis here"}
    for language, words in product(LANGUAGES, fixed_words()):
        promised = bool(re.search(promises[language], sentence(words, language).replace("收到了", "")))
        assert promised == (words.phrase in (Phrase.COMING, Phrase.ARRIVED)), words


def test_a_panel_and_a_bell_have_every_phrase_between_them() -> None:
    panel, bell = ([words.phrase for words in fixed_words(role)] for role in Role)
    assert set(panel) | set(bell) == set(Phrase)
    assert not set(panel) & set(bell)
    assert panel[0] is Phrase.HEARD
    kinds = {words.kind for words in fixed_words(Role.BELL) if words.phrase is Phrase.CALL}
    assert kinds == set(AlarmKind) - {AlarmKind.TEST}  # which never sounds


@pytest.mark.parametrize("language", LANGUAGES)
def test_so_many_call_at_once(language: str) -> None:
    said = [count_sentence(count, language) for count in range(2, MAX_COUNT + 1)]
    assert None not in said
    assert len(set(said)) == MAX_COUNT - 1
    assert count_sentence(1, language) is None
    assert count_sentence(MAX_COUNT + 1, language) is None
    assert count_sentence(2, "zh-CN") == "现在一共有两处都在叫您。"


def test_fields_without_a_place_in_the_sentence_change_nothing() -> None:
    for words in ALL:
        full = naming(words.phrase, words.kind)
        spoken = only_spoken(full, "zh-CN")
        assert sentence(spoken, "zh-CN") == sentence(full, "zh-CN")
        said = sentence(full, "zh-CN")
        assert {value for value in (spoken.who, spoken.label, spoken.place) if value} == {
            value for value in FIELDS.values() if value in said
        }
    assert only_spoken(naming(Phrase.HEARD), "en") == without_names(naming(Phrase.HEARD))


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("zh", "zh-CN"),
        ("zh_CN.UTF-8", "zh-CN"),
        ("EN-us", "en"),
        ("en", "en"),
        ("fr", None),
        ("", None),
        ("zhen", None),
    ],
)
def test_a_language_tag_finds_its_catalogue(tag: str, language: str | None) -> None:
    assert language_for(tag) == language


# --- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "read"),
    [
        ("3栋502", "三栋五零二"),
        ("12栋1208室", "十二栋一二零八室"),
        ("20号", "二十号"),
        ("3-2-502", "三，二，五零二"),
        ("西湖山小区 3栋502", "西湖山小区 三栋五零二"),
        ("重庆路7号", "虫庆路七号"),
        ("A座 03室", "A座 零三室"),
    ],
)
def test_a_chinese_place_is_read_so_that_the_door_is_found(place: str, read: str) -> None:
    assert read_place(place, "zh-CN") == read


def test_an_english_place_is_read_figure_by_figure_too() -> None:
    assert read_place("Block 3, 502", "en") == "Block 3, 5 0 2"
    assert read_place("西湖山小区 3栋502", "en") == "西湖山小区 三栋五零二"


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("曾医生", "增医生"), ("单奶奶", "善奶奶"), ("尉迟恭", "玉迟恭"), ("彭小平", "彭小平"),
        ("曾", "曾"), ("华联超市药房", "华联超市药房"), ("小曾", "小曾"),
        ("阿依古丽·买买提", "阿依古丽 买买提"), ("[[ki]]<b>", "ki b"), ("𠮷野", "野"), ("★☆", ""), ("--help", "help"),
    ],
)  # fmt: skip
def test_a_name_is_read_as_a_person_would(name: str, read: str) -> None:
    assert read_name(name, "zh-CN") == read


def test_hanzi_in_an_english_sentence_go_to_the_voice_that_reads_them() -> None:
    assert spoken_parts(Words(Phrase.COMING, who="彭小平"), "en") == (
        Part("cmn-latn-pinyin", "彭小平"),
        Part("en-gb", "is on the way. Please wait."),
    )
    assert voiced("At 西湖山小区 三栋五零二.", "en-gb") == (
        Part("en-gb", "At"),
        Part("cmn-latn-pinyin", "西湖山小区 三栋五零二"),
    )


def test_a_name_that_cannot_be_read_is_left_out_like_an_unknown_one() -> None:
    for language in LANGUAGES:
        assert spoken_parts(Words(Phrase.COMING, who="★"), language) == spoken_parts(Words(Phrase.COMING), language)


@pytest.mark.system
@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("彭小平", "ph@35N S;jAu21 phi35N"),  # péng xiǎo píng
        ("曾医生", "ts@55N ji55 s.@55N"),  # zēng yī shēng
        ("三栋五零二", "sa55n tong51 wu21 li35N @r51"),
        ("还没有联系到人", "Xai35 mei35 jiou21 liE35n S;i51 tau51 z.@35n"),  # hái, not huán; xì, not jì
        ("有三处都在叫您", "jiou21 sa55n ts.hu51 tou55 tsai51 tS;jau51 ni35n"),  # chù, not chǔ
    ],
)
def test_the_voice_says_the_right_syllables(given: str, wanted: str) -> None:
    """espeak-ng's own phonemes, as docs/sounds.md shows them; 1.52 writes a word's syllables together, 1.51 apart."""
    command = ["espeak-ng", "-v", "cmn-latn-pinyin", "-q", "-x", "--stdin"]
    done = subprocess.run(command, input=read_name(given, "zh-CN"), capture_output=True, text=True, check=True)
    assert re.sub(r"_\||'|\s", "", done.stdout).replace("A", "a") == wanted.replace(" ", "").replace("A", "a")


@pytest.mark.system
@pytest.mark.parametrize("phrase", [phrase for phrase in Phrase if phrase is not Phrase.CALL])
def test_no_chinese_sentence_is_spelt_in_english(phrase: Phrase) -> None:
    """1.52 has an entry for 一会儿 that is read by the English voice, as letters and figures."""
    for part in spoken_parts(Words(phrase, who="彭小平", label="柳奶奶家", place="三栋五零二"), "zh-CN"):
        command = ["espeak-ng", "-v", part.voice, "-q", "-x", "--stdin"]
        done = subprocess.run(command, input=part.text, capture_output=True, text=True, check=True)
        assert "(en)" not in done.stdout, part.text
