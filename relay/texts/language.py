"""A thing to say in every language, and which language to say it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Language(StrEnum):
    """The languages that are complete."""

    ZH = "zh-CN"
    EN = "en"


@dataclass(frozen=True, slots=True)
class Text:
    """One thing to say; ``{name}`` in it is filled in by ``say``, and both languages have the same names."""

    zh: str
    en: str

    def say(self, language: Language, /, **fields: object) -> str:
        """The sentence in this language; a field that is a ``Text`` itself is said in the same one."""
        said = {name: value.say(language) if isinstance(value, Text) else value for name, value in fields.items()}
        match language:
            case Language.ZH:
                return self.zh.format(**said)
            case Language.EN:
                return self.en.format(**said)


def parse_language(name: str) -> Language | None:
    """``zh``, ``zh-CN``, ``zh_CN.UTF-8``, ``en``, ``en_GB`` …; None for a language that we do not speak."""
    match name[:2].lower():
        case "zh":
            return Language.ZH
        case "en":
            return Language.EN
        case _:
            return None


def choose_language(environment: Mapping[str, str]) -> Language | None:
    """What the terminal's locale asks for (``LC_ALL``, ``LC_MESSAGES``, ``LANG``, the first that is set); else None."""
    name = next((value for key in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(key))), "")
    return parse_language(name)
