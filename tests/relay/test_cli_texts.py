"""Everything that is said is said in both languages, and there are words for everything that can happen."""

import string
from importlib import import_module
from types import ModuleType

import pytest

from doorbell.wire import AlarmKind
from relay.commands.program import CATALOGUES, PROGRAM, build_command, walk_commands
from relay.core.alarm import AlarmStage, HelperState, NoteType, Outcome
from relay.core.journal import LineType
from relay.texts import Language, Text, choose_language, register_problems
from relay.texts import audit as audit_texts
from relay.texts import authority as authority_texts
from relay.texts import broker as broker_texts
from relay.texts import commands as command_texts
from relay.texts import people as people_texts
from relay.texts import renewing as renewing_texts
from relay.texts.timeline import SENTENCES, tell_line
from relay.texts.words import HELPER_STATES, KINDS, LINES, OUTCOMES, STAGES, line_word

MODULES = [
    *(command_texts, audit_texts, authority_texts, broker_texts, people_texts, register_problems, renewing_texts),
    *map(import_module, ("relay.texts.timeline", "relay.texts.words", "relay.texts.web")),
]


def texts_of(module: ModuleType) -> list[tuple[str, Text]]:
    found = [(name, value) for name, value in vars(module).items() if isinstance(value, Text)]
    for name, value in vars(module).items():
        if isinstance(value, dict):
            found += [(f"{name}[{key}]", text) for key, text in value.items() if isinstance(text, Text)]
    return found


ALL = [pytest.param(text, id=f"{module.__name__}.{name}") for module in MODULES for name, text in texts_of(module)]
SAME_IN_BOTH = {register_problems.SYNTAX}


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= char <= "\u9fff" for char in text)


@pytest.mark.parametrize("text", ALL)
def test_a_text_has_both_languages_and_the_same_places_to_fill_in(text: Text) -> None:
    assert is_chinese(text.zh)
    assert text.en.strip()
    assert not is_chinese(text.en)
    assert placeholders(text.zh) == placeholders(text.en)


@pytest.mark.parametrize(
    ("enum", "words"),
    [(AlarmKind, KINDS), (AlarmStage, STAGES), (Outcome, OUTCOMES), (HelperState, HELPER_STATES)],
)
def test_every_member_has_a_word(enum: type, words: dict[object, Text]) -> None:
    assert set(words) == set(enum)  # type: ignore[call-overload]


def test_every_type_of_journal_line_has_a_word() -> None:
    assert set(LINES) == {*NoteType, *LineType}
    assert len({text.zh for text in LINES.values()}) == len(LINES) - 0
    assert line_word("from_the_future", Language.ZH) == "from_the_future"


def test_every_transition_of_an_alarm_has_a_sentence() -> None:
    assert set(SENTENCES) == set(NoteType) - {NoteType.WAITING}


@pytest.mark.parametrize("language", list(Language))
def test_the_whole_help_speaks_one_language(language: Language) -> None:
    """Every help text of every command is in the catalogue: nothing is left in the other language."""
    told = []
    for command in walk_commands(build_command(language)):
        told += [command.help, *(param.help for param in command.params)]
    assert len(told) > 30
    assert all(told)
    assert [text for text in told if is_chinese(text) != (language is Language.ZH)] == []
    chinese: dict[str, set[str]] = {}
    for catalogue in CATALOGUES:
        for text in vars(catalogue).values():
            if isinstance(text, Text):
                chinese.setdefault(text.en, set()).add(text.zh)
    english = [command.help for command in walk_commands(build_command(Language.EN))]
    assert [one for one in english if len(chinese[one]) != 1] == []


@pytest.mark.parametrize("language", list(Language))
def test_every_command_has_an_example(language: Language) -> None:
    start = f"{command_texts.EXAMPLES.say(language)}: {PROGRAM} "
    leaves = [command for command in walk_commands(build_command(language)) if not getattr(command, "commands", None)]
    assert len(leaves) > 8
    assert [one.name for one in leaves if start not in (one.epilog or "")] == []
    told = [part for one in leaves for part in one.epilog.split("\n\n") if PROGRAM not in part]
    assert [part for part in told if is_chinese(part) != (language is Language.ZH)] == []


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, None),
        ({"LANG": "C.UTF-8"}, None),
        ({"LANG": "zh_CN.UTF-8"}, Language.ZH),
        ({"LANG": "en_US.UTF-8"}, Language.EN),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "zh_CN.UTF-8"}, Language.ZH),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB"}, Language.EN),
    ],
)
def test_the_locale_chooses_the_language(environment: dict[str, str], language: Language | None) -> None:
    assert choose_language(environment) is language


def test_a_line_is_told_as_a_sentence_or_at_least_as_its_facts() -> None:
    started = {"step": 2, "bells": ["bell-peng", "bell-wu"], "hooks": ["board"], "wait_s": 45}
    assert tell_line("step_started", started, Language.ZH) == "第 2 步：呼叫 bell-peng, bell-wu, board，等待 45 秒"
    named = tell_line("arrived", {"person": "peng"}, Language.EN, name_of={"peng": "Peng"}.__getitem__)
    assert named == "Peng has arrived"
    assert tell_line("closed", {"outcome": "hospital", "by": "cli"}, Language.ZH) == "结束：送医（cli）"
    assert tell_line("arrived", {}, Language.ZH) == "到达"
    assert tell_line("device_offline", {}, Language.ZH, device="bell-wu") == "设备离线 bell-wu"
    assert tell_line("new_word", {"a": [1], "b": "x"}, Language.EN) == "new_word a=[1] b=x"
    assert tell_line("fault", {"detail": {"text": "\x1b[2J"}, "code": "\x1b"}, Language.EN).isprintable()


def test_a_text_in_a_text_is_said_in_the_same_language() -> None:
    outer = Text("外{inner}", "outer {inner}")
    assert outer.say(Language.ZH, inner=Text("内", "inner")) == "外内"
    assert outer.say(Language.EN, inner=Text("内", "inner")) == "outer inner"
