"""A mutant in a running interpreter: the code of one function is exchanged, and nothing is imported again."""

from __future__ import annotations

import functools
from types import CodeType, FunctionType, ModuleType


def code_of(module: CodeType, function: str) -> CodeType:
    """The code of a function or method of a compiled module.

    Raises:
        LookupError: the module has no such function.
    """
    waiting = [module]
    while waiting:
        code = waiting.pop()
        if code.co_qualname == function and code is not module:
            return code
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    raise LookupError(f"no code of {function}")


def exchange(module: ModuleType, function: str, code: CodeType) -> None:
    """Let a function of a live module, whoever has imported it, run ``code`` from now on; what it has cached is gone.

    Raises:
        LookupError: the module has no such function.
    """
    place: object = module
    for name in function.split("."):
        try:
            place = vars(place)[name]
        except KeyError:
            raise LookupError(f"{module.__name__} has no {function}") from None
    while not isinstance(place, FunctionType):
        match place:
            case property(fget=inner) if inner is not None:
                place = inner
            case functools.cached_property(func=inner):
                place = inner
            case staticmethod() | classmethod():
                place = place.__func__
            case _ if hasattr(place, "cache_clear"):
                place.cache_clear()
                place = place.__wrapped__  # type: ignore[attr-defined]
            case _:
                raise LookupError(f"{function} is wrapped in what nobody here knows: {place!r}")
    place.__code__ = code
