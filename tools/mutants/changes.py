"""Small wrong changes to a module, each of which some test should notice.

What is changed: a condition is always or never met, a bound moves (``<`` and ``<=``, 3 and 4; numbers from 10 on become
twice as large, because no test should ask for 45 s rather than 46 where the product does not care), ``and`` becomes
``or``, ``+`` becomes ``-``, ``min`` becomes ``max``, a word or a number is another, a named argument is left out (so a
field of the new state stays as it was), an element of a list or of a tuple built from others is missing, a case of a
``match`` is missing, a statement that only calls something is gone.

What is not: annotations, docstrings, decorators, imports, patterns of a ``match``; sentences (a string with a space in
it: a test would only repeat it); what ``raise`` and ``assert_never`` say.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

MAX_WORDS = 100
"""Characters of code shown of a change: a line of a table."""

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_BOUNDS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to one module. Its ``name`` stays the same while lines move.

    ``function``: the outermost function or method whose code is changed, empty for what runs at import (a constant, the
    default of a field or of an argument). ``change``: what it was and what it is. ``nth``: which of several such
    changes in the function, from 1. ``place``: which of all changes of the module, from 0.
    """

    module: str
    function: str
    change: str
    nth: int
    line: int
    place: int

    @property
    def name(self) -> str:
        """What results and the list of equivalents know it by."""
        return f"{self.module}:{self.function}: {self.change}" + (f" #{self.nth}" if self.nth > 1 else "")


@dataclass(frozen=True, slots=True)
class Change:
    """A node of the tree, and what stands there instead: ``field`` of ``parent``, and where in it if it is a list."""

    function: str
    parent: ast.AST
    field: str
    index: int | None
    instead: ast.AST
    words: str
    line: int

    def apply(self) -> None:
        """Change the tree, for good."""
        if self.index is None:
            setattr(self.parent, self.field, self.instead)
        else:
            getattr(self.parent, self.field)[self.index] = self.instead


def mutants_of(module: str, tree: ast.Module) -> list[tuple[Mutant, Change]]:
    """Every mutant of a module, with the change of ``tree`` that makes it, in the order of the text."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for place, change in enumerate(_walk(tree, "")):
        seen[change.function, change.words] += 1
        nth = seen[change.function, change.words]
        found.append((Mutant(module, change.function, change.words, nth, change.line, place), change))
    return found


def _walk(node: ast.AST, function: str, scope: str = "") -> Iterator[Change]:
    """The changes of what is below ``node``. ``scope``: the classes around it."""
    for name, value in ast.iter_fields(node):
        if _is_left_alone(node, name):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _is_prose(node, child):
                continue
            for instead, words in _instead_of(child, node, name):
                line = getattr(child, "lineno", getattr(node, "lineno", 0))
                yield Change(function, node, name, index, ast.copy_location(instead, child), words, line)
            if isinstance(child, ast.ClassDef):
                yield from _walk(child, function, f"{scope}{child.name}.")
            elif isinstance(child, ast.FunctionDef) and not function:
                yield from _walk_function(child, f"{scope}{child.name}")
            else:
                yield from _walk(child, function, scope)


def _walk_function(node: ast.FunctionDef, function: str) -> Iterator[Change]:
    """Defaults are made when the module is imported, the body runs when it is called."""
    yield from _walk(node.args, "")
    body = copy.copy(node)
    body.args = ast.arguments([], [], None, [], [], None, [])
    for change in _walk(body, function):
        if change.parent is body:
            yield Change(function, node, change.field, change.index, change.instead, change.words, change.line)
        else:
            yield change


def _is_left_alone(node: ast.AST, field: str) -> bool:
    if field in {"annotation", "returns", "decorator_list", "pattern", "format_spec", "ctx", "type_params", "bases"}:
        return True
    if isinstance(node, ast.Raise | ast.Import | ast.ImportFrom | ast.Assert):
        return True
    if isinstance(node, ast.If) and field == "test" and ast.unparse(node.test) == "__name__ == '__main__'":
        return True
    return isinstance(node, ast.Call) and _called(node) in {"assert_never", "cast", "TypeVar"}


def _is_prose(parent: ast.AST, node: ast.AST) -> bool:
    """A docstring or a sentence: nothing decides by them."""
    if isinstance(parent, ast.Expr) and isinstance(node, ast.Constant):
        return True
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value


def _instead_of(node: ast.AST, parent: ast.AST, field: str) -> Iterator[tuple[ast.AST, str]]:
    """What may stand in the place of a node, with words for it."""
    asked = _is_condition(parent, field)
    if asked and isinstance(node, ast.expr):
        for value in (True, False):
            yield ast.Constant(value), f"`{_shown(node)}` is always {value}"
    match node:
        case ast.Compare(ops=[operator]) if not asked or isinstance(operator, _BOUNDS):
            yield _changed(node, ops=[_COMPARED[type(operator)]()])
        case ast.BoolOp():
            yield _changed(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
        case ast.UnaryOp(op=ast.Not() | ast.USub()) if not asked:
            yield node.operand, f"`{_shown(node)}` → `{_shown(node.operand)}`"
        case ast.BinOp() | ast.AugAssign() if type(node.op) in _COUNTED and not _is_union(node):
            yield _changed(node, op=_COUNTED[type(node.op)]())
        case ast.Constant() if (other := _another(node.value)) is not None and not asked:
            where = f" in `{_shown(parent)}`" if not isinstance(parent, ast.stmt | ast.JoinedStr) else ""
            yield ast.Constant(other), f"`{node.value!r}` → `{other!r}`{where}"
        case ast.Call():
            yield from _other_calls(node)
        case ast.List() | ast.Tuple() | ast.Set() if _is_built(node):
            for index, element in enumerate(node.elts):
                yield _without(node, "elts", index), f"`{_shown(node)}` without `{_shown(element)}`"
        case ast.stmt():
            yield from _other_statements(node)
        case _:
            pass


def _other_calls(node: ast.Call) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node.func, ast.Name) and node.func.id in _NAMES:
        yield _changed(node, func=ast.copy_location(ast.Name(_NAMES[node.func.id], ast.Load()), node.func))
    for index, keyword in enumerate(node.keywords):
        if keyword.arg is not None and _called(node) not in {"dataclass", "field", "assert_never", "cast"}:
            yield _without(node, "keywords", index), f"`{_called(node)}(…)` without `{_shown(keyword)}`"


def _never(node: ast.stmt) -> bool:
    """What only the type checker reads."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _called(node.value) == "assert_never"


def _other_statements(node: ast.stmt) -> Iterator[tuple[ast.AST, str]]:
    match node:
        case ast.Match(cases=cases) if len(cases) > 1:
            for index, case in enumerate(cases):
                if not _never(case.body[0]):
                    yield _without(node, "cases", index), f"no `case {_shown(case.pattern)}`"
        case ast.Expr(value=ast.Call()) if not _never(node):
            yield ast.Pass(), f"no `{_shown(node)}`"
        case ast.Continue():
            yield ast.Break(), "`continue` → `break`"
        case _:
            pass


def _is_condition(parent: ast.AST, field: str) -> bool:
    if isinstance(parent, ast.comprehension):
        return field == "ifs"
    return field in {"test", "guard"} and isinstance(parent, ast.If | ast.IfExp | ast.While | ast.match_case)


def _is_union(node: ast.AST) -> bool:
    """``A | B`` of types, not of sets: every name begins as a class does."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        names = [one for one in ast.walk(node) if isinstance(one, ast.Name)]
        return all(one.id[0].isupper() and not one.id.isupper() for one in names)
    return False


def _is_built(node: ast.List | ast.Tuple | ast.Set) -> bool:
    """Not what is unpacked into names, nor a tuple of a fixed length: there something missing cannot even run."""
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return False
    return not isinstance(node, ast.Tuple) or any(isinstance(one, ast.Starred) for one in node.elts)


def _another(value: object) -> bool | float | str | None:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1 if abs(value) < 10 else 2 * value
        case str():
            return f"{value}XX"
        case _:
            return None


def _changed(node: ast.expr | ast.AugAssign, **fields: object) -> tuple[ast.AST, str]:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other, f"`{_shown(node)}` → `{_shown(other)}`"


def _without(node: ast.AST, field: str, index: int) -> ast.AST:
    other = copy.copy(node)
    elements = getattr(node, field)
    setattr(other, field, elements[:index] + elements[index + 1 :])
    return other


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _shown(node: ast.AST) -> str:
    """The code of a node on one line, shortened."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"
