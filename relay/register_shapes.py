"""What each table of a register file may hold: its keys, and what a value must be like."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from doorbell.ids import SLUG_PATTERN
from doorbell.wire import AlarmKind
from relay.core.policy import DEFAULT_POLICIES, MAX_STEPS, MAX_WAIT_S, MIN_WAIT_S, OnMistake, parse_target
from relay.texts import Language, Text
from relay.texts import register_problems as say
from relay.toml_lines import TomlPath

MAX_LABEL = 40
"""Wire contract: a label, or the name of who is coming, is what a voice says in one breath."""
MAX_PLACE = 60
"""Wire contract."""
MAX_NAME = 60
MAX_PHONE = 40
MAX_URL = 500
MAX_PATH = 200
MAX_HINTS_AMONG = 2_000
"""Names among which a similar one is looked for: in a city's register it would take minutes."""

_SLUG = re.compile(SLUG_PATTERN)
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of what follows: a name could show as another."""


class Tell(Protocol):
    """Takes a mistake: where in the row, what is wrong, and what to fill into the sentence."""

    def __call__(self, path: TomlPath, text: Text, /, **fields: object) -> None: ...


Shape = Callable[[Tell, TomlPath, Any], None]


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a table."""

    shape: Shape
    required: bool = False


def quote(value: object) -> str:
    """A value as it may stand in a sentence: short, on one line, and visible."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def hint(name: str, known: Collection[str]) -> Text:
    """``did you mean …?``, or nothing."""
    if len(known) <= MAX_HINTS_AMONG and (close := difflib.get_close_matches(name, known, n=1)):
        told = (say.HINT.say(language, close=close[0]) for language in (Language.ZH, Language.EN))
        # What is said there is the file's word, and is filled into nothing: "{" and "}" in it are only characters.
        return Text(*(text.replace("{", "{{").replace("}", "}}") for text in told))
    return Text("", "")


def _wrong_type(tell: Tell, path: TomlPath, text: Text, value: object) -> None:
    tell(path, text, found=say.WRONG_TYPE_WORDS.get(type(value), say.OTHER_TYPE))


def hidden_character(text: str) -> str | None:
    """The first character that nobody sees and that does harm: controls, line separators, marks of direction."""
    for char in text:
        if char in _BIDI or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp"):
            return f"U+{ord(char):04X}"
    return None


def text_of(limit: int, *, empty: bool = False) -> Shape:
    """A text of at most ``limit`` characters."""

    def check(tell: Tell, path: TomlPath, value: Any) -> None:
        if not isinstance(value, str):
            _wrong_type(tell, path, say.NOT_TEXT, value)
            return
        if not empty and not value.strip():
            tell(path, say.EMPTY_TEXT)
        if len(value) > limit:
            tell(path, say.TOO_LONG, length=len(value), limit=limit)
        if (char := hidden_character(value)) is not None:
            tell(path, say.CONTROL, found=char)

    return check


def slug(tell: Tell, path: TomlPath, value: Any) -> None:
    """An id."""
    if not isinstance(value, str):
        _wrong_type(tell, path, say.NOT_TEXT, value)
    elif not _SLUG.match(value):
        tell(path, say.BAD_ID, found=quote(value))


def device_slug(tell: Tell, path: TomlPath, value: Any) -> None:
    """The id of a device, which is its name at the broker too: ``relay-…`` is taken by relays."""
    slug(tell, path, value)
    if isinstance(value, str) and value.startswith("relay-"):
        tell(path, say.RESERVED_ID)


def list_of(item: Shape) -> Shape:
    """A list, each item of which has this shape, and none of which comes twice."""

    def check(tell: Tell, path: TomlPath, value: Any) -> None:
        if not isinstance(value, list):
            _wrong_type(tell, path, say.NOT_LIST, value)
            return
        seen: set[str] = set()
        for index, part in enumerate(value):
            item(tell, (*path, index), part)
            if isinstance(part, str):
                if part in seen:
                    tell((*path, index), say.NAMED_TWICE, id=part)
                seen.add(part)

    return check


def whole(low: int, high: int) -> Shape:
    """A whole number within limits."""

    def check(tell: Tell, path: TomlPath, value: Any) -> None:
        if type(value) is not int:
            _wrong_type(tell, path, say.NOT_NUMBER, value)
        elif not low <= value <= high:
            tell(path, say.OUT_OF_RANGE, found=quote(value), low=low, high=high)

    return check


def one_of(known: Collection[str]) -> Shape:
    """One of a few words."""

    def check(tell: Tell, path: TomlPath, value: Any) -> None:
        if not isinstance(value, str):
            _wrong_type(tell, path, say.NOT_TEXT, value)
        elif value not in known:
            tell(path, say.NOT_ONE_OF, found=quote(value), known=", ".join(known), hint=hint(value, known))

    return check


def url(tell: Tell, path: TomlPath, value: Any) -> None:
    """A web address."""
    text_of(MAX_URL)(tell, path, value)
    if isinstance(value, str) and not re.match(r"https?://[^\s/?#]+", value):
        tell(path, say.BAD_URL)


def absolute_path(tell: Tell, path: TomlPath, value: Any) -> None:
    """The path of a file on the relay's machine, or nothing."""
    text_of(MAX_PATH, empty=True)(tell, path, value)
    if isinstance(value, str) and value and not value.startswith("/"):
        tell(path, say.NOT_ABSOLUTE)


def target(tell: Tell, path: TomlPath, value: Any) -> None:
    """Whom a step calls."""
    if not isinstance(value, str):
        _wrong_type(tell, path, say.NOT_TEXT, value)
        return
    try:
        parse_target(value)
    except ValueError:
        tell(path, say.BAD_TARGET, found=quote(value))


def steps(tell: Tell, path: TomlPath, value: Any) -> None:
    """The steps of a policy."""
    if not isinstance(value, list):
        _wrong_type(tell, path, say.NOT_LIST, value)
        return
    if not value:
        tell(path, say.NO_STEPS)
    if len(value) > MAX_STEPS:
        tell(path, say.TOO_MANY_STEPS, count=len(value), limit=MAX_STEPS)
    for index, step in enumerate(value):
        if not isinstance(step, dict):
            _wrong_type(tell, (*path, index), say.NOT_TABLE, step)
            continue
        check_keys(tell, (*path, index), step, STEP)
        if step.get("call") == []:
            tell((*path, index, "call"), say.NOBODY_CALLED)


def policies(tell: Tell, path: TomlPath, value: Any) -> None:
    """Policy ids by kind of alarm."""
    if not isinstance(value, dict):
        _wrong_type(tell, path, say.NOT_TABLE, value)
        return
    check_keys(tell, path, value, POLICY_KINDS)


def check_keys(
    tell: Tell, path: TomlPath, row: Mapping[str, Any], keys: Mapping[str, Key], *, whole_row: bool = True
) -> None:
    """Every key is known, none is missing (unless part of the row could not be read), every value has its shape."""
    for name, value in row.items():
        key = keys.get(name)
        if key is None:
            tell((*path, name), say.UNKNOWN_KEY, known=", ".join(keys), hint=hint(name, keys))
        else:
            key.shape(tell, (*path, name), value)
    if whole_row:
        for name, key in keys.items():
            if key.required and name not in row:
                tell(path, say.MISSING, missing=name)


_wait = whole(MIN_WAIT_S, MAX_WAIT_S)
STEP: Mapping[str, Key] = {"call": Key(list_of(target), required=True), "wait_s": Key(_wait, required=True)}
POLICY_KINDS: Mapping[str, Key] = {kind.value: Key(slug) for kind in AlarmKind if kind in DEFAULT_POLICIES}

_ID = Key(slug, required=True)
TABLES: Mapping[str, Mapping[str, Key]] = {
    "community": {
        "id": _ID,
        "name": Key(text_of(MAX_NAME), required=True),
        "language": Key(one_of([language.value for language in Language])),
    },
    "person": {
        "id": _ID,
        "community": _ID,
        "name": Key(text_of(MAX_LABEL), required=True),
        "phone": Key(text_of(MAX_PHONE, empty=True)),
        "bells": Key(list_of(device_slug)),
    },
    "household": {
        "id": _ID,
        "community": _ID,
        "label": Key(text_of(MAX_LABEL), required=True),
        "place": Key(text_of(MAX_PLACE, empty=True)),
        "panels": Key(list_of(device_slug)),
        "volunteers": Key(list_of(slug)),
        "policies": Key(policies),
    },
    "group": {
        "id": _ID,
        "community": _ID,
        "kind": _ID,
        "name": Key(text_of(MAX_NAME), required=True),
        "members": Key(list_of(slug)),
        "hooks": Key(list_of(slug)),
    },
    "hook": {
        "id": _ID,
        "community": _ID,
        "url": Key(url, required=True),
        "secret_file": Key(absolute_path),
    },
    "policy": {
        "id": _ID,
        "arrive_wait_s": Key(_wait),
        "done_wait_s": Key(_wait),
        "on_mistake": Key(one_of([mistake.value for mistake in OnMistake])),
        "steps": Key(steps, required=True),
    },
    "device": {
        "id": _ID,
        "volume": Key(whole(0, 100)),
        "report_interval_s": Key(whole(5, 3600)),
    },
}
