"""Mathematical expressions: parsed by the extra [math] and compared at some points, within bounds on their size.

The parser is latex2sympy2_extended (on SymPy and ANTLR). SymPy's own simplification may take minutes and cannot be
stopped in a thread, so expressions are evaluated to thirty digits at fixed points in place of that.
"""

import math
import re
from importlib.util import find_spec
from typing import Any

from kasasagi.blocks.hints import install
from kasasagi.tasks.judge.checkers.plain import plain, without_latex

MOST_CHARS = 160
LONGEST = 500
DEEPEST = 6
MOST_POWERS = 4
MOST_SYMBOLS = 4
DIGITS = 30
NEAR = 1e-18
BLURRED = 1e-12
ROUNDED = 0.01
POINTS = ("17/11", "-23/13", "31/7", "-5/19", "2/23")
EXTRA = "math"
LIBRARY = "latex2sympy2_extended"


class MissingExtraError(ValueError):
    """An expression has to be compared, but its parser is not installed."""


_ALLOWED = re.compile(
    r"(?:\\(?:frac|sqrt|pi|theta|alpha|beta|phi|sin|cos|tan|sec|csc|cot|arcsin|arccos|arctan|ln|log(?:_\{?\d+\}?)?|exp|infty|cdot|times)"
    r"(?![A-Za-z])|\d{1,12}(?:\.\d{1,12})?|(?<![A-Za-z])[A-Za-z](?:_\{?\d\}?)?(?![A-Za-z])|[-+*/^(){}\[\]|×·÷\s])+\Z"
)
_WORDS = {
    r"\bsqrt\s*\(([^()]*)\)": r"\\sqrt{\1}",
    r"√\s*\(([^()]*)\)": r"\\sqrt{\1}",
    r"√\s*(\d+|[A-Za-z])": r"\\sqrt{\1}",
    r"\\sqrt\s*(\d)": r"\\sqrt{\1}",
    r"(?<![\\A-Za-z])(?:pi|π)(?![A-Za-z])": r"\\pi ",
    r"(?<![\\A-Za-z])(sin|cos|tan|ln|log|exp)(?=[\s(])": r"\\\1",
    r"\*\*": "^",
    r"[×·]": r"\\cdot ",
    r"÷": "/",
}
_NO_EXPRESSION = re.compile(
    r"\A[-–]\s|\A\d+(?:\s*[-–]\s*\d+)+\Z|(?<!\d)(?:\d{4}-\d\d?-\d\d?|\d\d?-\d\d?-\d{4}|\d+/\d+/\d+)(?!\d)|\d\s*\.{2,}"
)
"""A dash, a range, a date or a number of a telephone rather than a difference; decimals that go on."""
_OPEN_TO_READING = re.compile(r"\d\s*/\s*\d+\s*(?:[A-Za-z\\(])|\\sqrt\s*\d\d|\\log(?!\s*_)")
"""1/2x, a root without braces over several digits, and a logarithm without its base."""
_POWER_OF_POWER = re.compile(r"\^\s*(?:\{[^{}]*\}|\\?\w+)\s*(?:[)}\]]\s*)*\^|\^\s*\{[^{}]*\^")
_POWER = re.compile(r"\^\s*(?:\{([^{}]*)\}|(\w|\\\w+))")
_NUMBER_POWER = re.compile(r"-?\d{1,2}(?:/\d{1,2})?\Z")


def is_installed() -> bool:
    """Return whether expressions can be parsed here."""
    return find_spec(LIBRARY) is not None


def tidy(text: str) -> str:
    """Return an expression in one way of writing, without the name that it is given (`y = `)."""
    text = without_latex(plain(text)).strip(" .。,;")
    for pattern, instead in _WORDS.items():
        text = re.sub(pattern, instead, text)
    return re.sub(r"\s+", " ", text).strip()


def looks_like_expression(text: str) -> bool:
    """Return whether a text is written in the signs of mathematics alone, and is more than a word or a plain number."""
    if len(text) > LONGEST:
        return False
    if _NO_EXPRESSION.search(without_latex(plain(text)).strip()):
        return False
    text = without_name(tidy(text))
    if re.search(r"(?<!_)[\d)]\s+\d", text):  # two numbers side by side are a list rather than a product
        return False
    return bool(text) and bool(_ALLOWED.match(text)) and bool(re.search(r"[\\^*/+()\d-]", text))


def without_name(text: str) -> str:
    """Return an expression without the single letter that it defines, as in `y = 2x` or `f(x) = 2x`."""
    return re.sub(r"\A\s*[A-Za-z](?:_\{?\d\}?)?(?:\s*\([a-z]\))?\s*=\s*(?=[^=]+\Z)", "", text)


def same_expression(truth: str, found: str) -> bool | None:
    """Return whether two expressions are equal, None where that cannot be said for sure.

    Raises:
        MissingExtraError: They are written differently, and the extra is not installed.
    """
    one, other = without_name(tidy(truth)), without_name(tidy(found))
    if _squeezed(one) == _squeezed(other):
        return True
    if any(_OPEN_TO_READING.search(text) for text in (truth, found, one, other)):
        return None
    if not (_is_small(one) and _is_small(other)):
        return None
    left, right = _parsed(one), _parsed(other)
    return None if left is None or right is None else _equal(left, right)


def _squeezed(text: str) -> str:
    return re.sub(r"\s|\\cdot|\*", "", text).replace("{", "(").replace("}", ")")


def _is_small(text: str) -> bool:
    """Return whether an expression is made of harmless parts, so that its value takes no long time to find."""
    powers = [inner or single for inner, single in _POWER.findall(text)]
    numbers = [power for power in powers if not re.fullmatch(r"[a-z]|\\?[a-z]+", power)]
    return (
        0 < len(text) <= MOST_CHARS
        and bool(_ALLOWED.match(text))
        and text.count("^") == len(powers) <= MOST_POWERS
        and not _POWER_OF_POWER.search(text)
        and _depth(text) <= DEEPEST
        and all(_NUMBER_POWER.match(power.strip()) for power in numbers)
    )


def _depth(text: str) -> int:
    """Return how deep an expression's brackets are nested: the parser's time grows with a power of it."""
    depth = deepest = 0
    for sign in text:
        depth += (sign in "({[") - (sign in ")}]")
        deepest = max(deepest, depth)
    return deepest


def _parsed(text: str) -> Any:
    """Return the expression as SymPy has it, None where it is none."""
    if not is_installed():
        raise MissingExtraError(
            f"judge.verify: the expression {text[:60]!r} is compared by {LIBRARY}, which is not installed: it is "
            f"kasasagi's extra [{EXTRA}]; install it with {install(EXTRA)}"
        )
    from latex2sympy2_extended import latex2sympy
    from sympy import Expr

    try:
        found = latex2sympy(text)
    except Exception:  # whatever the parser does not understand
        return None
    return found if isinstance(found, Expr) and len(found.free_symbols) <= MOST_SYMBOLS else None


def _equal(one: Any, other: Any) -> bool | None:
    """Return whether two expressions have the same value wherever they are looked at."""
    if one.free_symbols != other.free_symbols:
        return None
    symbols = sorted(one.free_symbols, key=str)
    count = 1 if not symbols else len(POINTS)
    verdicts = {_equal_at(one, other, symbols, shift) for shift in range(count)}
    if None in verdicts:
        return None
    return verdicts == {True}


def _equal_at(one: Any, other: Any, symbols: list[Any], shift: int) -> bool | None:
    from sympy import Float, Rational

    place = {name: Rational(POINTS[(shift + number) % len(POINTS)]) for number, name in enumerate(symbols)}
    try:
        left, right = (complex(part.evalf(DIGITS, subs=place)) for part in (one, other))
        apart = abs(complex((one - other).evalf(DIGITS, subs=place)))
    except (TypeError, ValueError, OverflowError, ZeroDivisionError, ArithmeticError):
        return None
    size = max(abs(left), abs(right), 1e-30)
    if not all(math.isfinite(abs(part)) for part in (left, right, apart)):
        return None
    if apart <= NEAR * max(size, 1.0):
        return True
    return None if apart <= (ROUNDED if one.has(Float) or other.has(Float) else BLURRED) * size else False
