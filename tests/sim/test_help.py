"""The help of ``doorbell-sim``: whole, in one language at a time, and with examples that are accepted."""

import argparse
import re
import shlex
from collections.abc import Iterator

import pytest

import sim.demo
from relay.texts import Language
from sim.__main__ import build_parser, main


def parsers(language: Language) -> Iterator[argparse.ArgumentParser]:
    """All of the program's."""
    whole = build_parser(language)
    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    yield from (whole, commands.choices["storm"], commands.choices["broker"], sim.demo.build_parser(language))


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= char <= "\u9fff" for char in text)


@pytest.mark.parametrize("language", list(Language))
def test_the_help_of_every_option_speaks_one_language(language: Language) -> None:
    told: list[str | None] = []
    for parser in parsers(language):
        told += [parser.description, parser.epilog]
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                told += [choice.help for choice in action._choices_actions]
            else:
                told.append(action.help)
    assert len(told) > 30
    assert [text for text in told if not text or is_chinese(text) != (language is Language.ZH)] == []


@pytest.mark.parametrize("language", list(Language))
def test_every_example_is_accepted(language: Language) -> None:
    for parser in parsers(language):
        examples = re.findall(r"^  doorbell-sim (.+)$", parser.epilog or "", re.MULTILINE)
        assert examples
        for example in examples:
            command, *words = shlex.split(example)
            if command == "demo":
                sim.demo.build_parser(language).parse_args(words)
            else:
                build_parser(language).parse_args([command, *words])


@pytest.mark.parametrize("words", [["--help"], ["storm", "--help"], ["broker", "--help"], ["demo", "--help"]])
@pytest.mark.parametrize(("locale", "chinese"), [("", True), ("en_GB.UTF-8", False), ("zh_CN.UTF-8", True)])
def test_the_terminal_chooses_the_language(
    words: list[str], locale: str, chinese: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", locale)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert is_chinese(capsys.readouterr().out) == chinese
