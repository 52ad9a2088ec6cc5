"""The checker `number`: the answer's final number or expression against the true one."""

import re
from collections.abc import Sequence
from fractions import Fraction

from kasasagi.tasks.judge.checkers.final_answer import (
    HEDGES,
    Statement,
    Statements,
    conclusions_in,
    sentences_of,
    statements,
)
from kasasagi.tasks.judge.checkers.finding import Case, Finding, best_of, cannot_tell, correct, incorrect
from kasasagi.tasks.judge.checkers.numbers.compare import compare
from kasasagi.tasks.judge.checkers.numbers.equations import false_equation
from kasasagi.tasks.judge.checkers.numbers.expressions import (
    MissingExtraError,
    looks_like_expression,
    same_expression,
    tidy,
)
from kasasagi.tasks.judge.checkers.numbers.numerals import ENGLISH_RUN, KANJI_RUN, english_words, kanji_words, numerals
from kasasagi.tasks.judge.checkers.numbers.quantity import LONGEST, NotAQuantity, Quantity, quantity
from kasasagi.tasks.judge.checkers.plain import plain, without_latex
from kasasagi.tasks.judge.checkers.truths import truths_of

_UNFINISHED = re.compile(r"(?<=[\w)}])\s*(?:[-+*/–]|\\cdot)")
LONGEST_REVISION = 80
_WORKED_OUT = re.compile(r"[=+×÷*/≈]|\b(?:step|note|because|since)\b", re.IGNORECASE)
_SHOUT = re.compile(r"[\d)]!\s*\Z")
_IN_BRACKETS = re.compile(r"\([$€£¥]?\s*[\d.,]+\)\s*\Z")
_BRACKETS = re.compile(r"\A([(\[]|\\\{|\{)?(.*?)([)\]]|\\\}|\})?\Z", re.DOTALL)


def check_number(case: Case) -> Finding:
    """Compare the final number or expression of an answer with each of the truths that are accepted."""
    stated = statements(case.answer)
    if stated.final is None:
        return cannot_tell(stated.problem)
    return best_of([_against(truth, stated, stated.final, case) for truth in truths_of(case.truth)])


def _against(truth: str, stated: Statements, final: Statement, case: Case) -> Finding:
    finding = _one(truth, final, case.prompt)
    for other in stated.others:
        if _one(truth, other, case.prompt).verdict != finding.verdict:
            return cannot_tell(f"the response states two answers: {other.text[:40]!r} and {final.text[:40]!r}")
    if finding.verdict != "cannot_tell" and (new := _new_number(stated, case.prompt) or _other_conclusion(stated)):
        return cannot_tell(f"behind its answer it speaks of {new}")
    if finding.verdict == "incorrect" and _is_scale_asked(final.text, case.prompt):
        return cannot_tell(f"the question may ask for {final.text[:40]!r} without its scale")
    if finding.verdict == "correct" and (wrong := false_equation(without_latex(plain(case.answer)))):
        return cannot_tell(f"its number is right, and it says that {wrong}")
    return finding


def _other_conclusion(stated: Statements) -> str | None:
    """Return a sentence behind the answer that concludes another number."""
    assert stated.final is not None
    found = _quantity(stated.final.text, is_stated=True)
    for sentence in conclusions_in(stated.behind):
        values = _values(plain(sentence).rpartition("=")[2])
        if (values and (isinstance(found, str) or found.value not in values)) or HEDGES.search(sentence):
            return sentence[:60]
    return None


def _values(text: str) -> set[Fraction | None]:
    """Return all numbers of a text, in digits and in words."""
    words = [english_words(run[0]) for run in ENGLISH_RUN.finditer(text)]
    kanji = [kanji_words(run[0]) for run in KANJI_RUN.finditer(text)]
    return {*(one.value for one in numerals(without_latex(text))), *words, *kanji}


def _new_number(stated: Statements, prompt: str) -> str | None:
    """Return a number behind the answer that is neither the answer, nor known before, nor worked out: it may replace
    it.
    """
    assert stated.final is not None
    news = [
        one
        for sentence in sentences_of(stated.behind)
        if len(sentence) <= LONGEST_REVISION and not _WORKED_OUT.search(sentence)
        for one in numerals(without_latex(sentence))
    ]
    if not news:
        return None
    known = {one.value for one in numerals(without_latex(f"{plain(prompt)} ; {stated.before} ; {stated.final.text}"))}
    return next((one.written for one in news if one.value not in known), None)


def _is_scale_asked(text: str, prompt: str) -> bool:
    """Return whether a scale in an answer, such as thousand, is one that the question names."""
    scale = re.search(r"hundred|thousand|[mbtr]illion|dozen|[百千万億兆]", text, re.IGNORECASE)
    return scale is not None and scale[0].lower() in prompt.lower()


def _one(truth: str, statement: Statement, prompt: str) -> Finding:
    """Compare one statement with one truth: as numbers, as lists of them, or as expressions."""
    if len(truth) > LONGEST:
        return cannot_tell("the truth is longer than a number or an expression")
    if _SHOUT.search(statement.sentence):
        return cannot_tell(f"{statement.sentence[-20:]!r} is a factorial or a shout")
    if len(parts := list_of(truth)) > 1:
        return _lists(truth, parts, statement.text)
    wanted = _quantity(truth)
    found = _quantity(statement.text, is_stated=statement.place in ("boxed", "marked"))
    if isinstance(wanted, str) or isinstance(found, str):
        return _written(truth, statement, found if isinstance(found, str) else str(wanted))
    if wanted.value == -found.value and _IN_BRACKETS.search(statement.text):
        return cannot_tell(f"{statement.text[:40]!r} is negative in accounts")
    return compare(wanted, found, prompt)


def _written(truth: str, statement: Statement, problem: str) -> Finding:
    """Compare what is no plain number: as it is written, or as an expression."""
    if tidy(truth) == tidy(statement.text) and not statement.text.endswith(".."):
        return correct(f"it is written as {truth[:60]!r}")
    if not (looks_like_expression(truth) and looks_like_expression(statement.text)):
        return cannot_tell(problem)
    return _expressions(truth, statement)


def _quantity(text: str, *, is_stated: bool = False) -> Quantity | str:
    """Return the number of a text, or why it gives none."""
    try:
        return quantity(text, is_stated=is_stated)
    except NotAQuantity as error:
        return str(error)


def _expressions(truth: str, statement: Statement) -> Finding:
    if not isinstance(_quantity(truth), str) and _UNFINISHED.search(tidy(statement.text)):
        return cannot_tell(f"{statement.text[:60]!r} is not worked out")
    try:
        same = same_expression(truth, statement.text)
    except MissingExtraError as error:
        return cannot_tell(str(error), "missing_extra")
    if same is None:
        return cannot_tell(f"{statement.text[:60]!r} and {truth[:60]!r} cannot be compared for sure")
    comparison = f"{tidy(statement.text)[:60]} is {'' if same else 'not '}{tidy(truth)[:60]}"
    return correct(comparison) if same else incorrect(comparison)


def list_of(text: str) -> list[str]:
    """Return the parts of a tuple, an interval or a set of numbers; the text alone where it is none of these."""
    tidied = tidy(text).strip("$ ")
    match = _BRACKETS.match(tidied)
    inner = match[2] if match else tidied
    is_grouped = re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", inner)
    if "," not in inner or is_grouped or re.search(r"(?<![\\A-Za-z])[A-Za-z]{3,}", inner):
        return [text]
    return [part.strip() for part in re.split(r",(?![^({\[]*[)}\]])", inner)]


def _lists(truth: str, parts: Sequence[str], text: str) -> Finding:
    """Compare tuples and intervals part by part, in their order, and with the same brackets."""
    found = list_of(text)
    if len(found) != len(parts):
        return cannot_tell(f"{text[:60]!r} is not a list of {len(parts)} numbers")
    if (one := _brackets(truth)) != (other := _brackets(text)):
        return cannot_tell(f"the lists are in different brackets: {''.join(one)} and {''.join(other)}")
    findings = [_one(wanted, Statement(part, "boxed"), "") for wanted, part in zip(parts, found, strict=True)]
    if all(one.verdict == "correct" for one in findings):
        return correct(f"{text[:60]} is {truth[:60]}")
    if any(one.verdict == "cannot_tell" for one in findings) or not one[0].startswith(("(", "[")):
        return cannot_tell(f"{text[:60]!r} and {truth[:60]!r} cannot be compared part by part")
    return incorrect(f"{text[:60]} is not {truth[:60]}")


def _brackets(text: str) -> tuple[str, str]:
    match = _BRACKETS.match(tidy(text).strip("$ "))
    one, other = (match[1] or "", match[3] or "") if match else ("", "")
    return one.lstrip("\\"), other.lstrip("\\")
