"""A recipe's own rubric: a sandboxed template in which data stays data, and what a reply to it must hold."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, pass_context
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MARK = "mark of the fence"
_STEP = re.compile(
    r"^[^\w\n]*([0-9]{1,3})[ \t]*(?:点|points?)?[ \t]*[:：=＝.)–—-][ \t]*([^\s{}][^\n{}]*)$", re.MULTILINE
)


class Framed(str):
    """A text that already stands between marks, or that is our own."""

    __slots__ = ()


@pass_context
def _fence(context: Context, value: Any) -> Any:
    """Return what the template puts in: a text stands between the marks of the request, on lines of its own if it has
    any.
    """
    if isinstance(value, Undefined | Framed) or not isinstance(value, str | list | dict):
        return value
    value = str(value)
    mark = context[MARK]
    gap = "\n" if "\n" in value else " "
    return f"[{mark}{gap}{value}{gap}{mark}]"


@lru_cache(maxsize=8)
def compile_fenced(text: str) -> Template:
    """Return a template that puts every text between the marks of the request; a column unknown to it is an error."""
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, finalize=_fence).from_string(text)


def rubric_text(text: str, prompt: Mapping[str, Any]) -> Callable[[str], str]:
    """Return the rubric for one prompt, as a function of the mark that fences the prompt's columns in it."""
    return lambda mark: compile_fenced(text).render({**prompt, MARK: mark})


def rubric_problem(text: str, prompt: Mapping[str, Any]) -> str | None:
    """Return why the rubric cannot be rendered for a prompt, if it cannot."""
    try:
        rubric_text(text, prompt)("0" * 6)
    except Exception as error:  # a template error concerns this row alone
        return f"the rubric cannot be rendered for this row ({type(error).__name__}: {error})"
    return None


def texts_of(prompt: Mapping[str, Any]) -> list[str]:
    """Return all texts of a prompt's columns, of which none may hold the mark."""
    return [str(value) for name, value in prompt.items() if value is not None and name != "messages"]


@lru_cache(maxsize=8)
def rubric_labels(text: str) -> dict[int, tuple[str, ...]]:
    """Return the words that a rubric has for the numbers of its scale, in lines such as "5: flawless"."""
    labels: dict[int, tuple[str, ...]] = {}
    for found in _STEP.finditer(text):
        labels[int(found[1])] = (*labels.get(int(found[1]), ()), found[2])
    return labels


@lru_cache(maxsize=8)
def columns_used(text: str) -> frozenset[str]:
    """Return the names of the columns that a template puts in; none if it is no template."""
    try:
        return frozenset(find_undeclared_variables(ImmutableSandboxedEnvironment().parse(text)))
    except TemplateSyntaxError:
        return frozenset()
