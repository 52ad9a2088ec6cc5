"""The checkers against written cases: no wrong answer is called correct, whatever way of writing it is in."""

import json
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.judge.checkers.auto import needs_extra
from kasasagi.tasks.judge.checkers.code.sandbox import unsupported
from kasasagi.tasks.judge.checkers.finding import Case
from kasasagi.tasks.judge.checkers.named import CHECKERS
from kasasagi.tasks.judge.checkers.numbers import expressions
from kasasagi.tasks.judge.checkers.numbers.equations import false_equation
from kasasagi.tasks.judge.checkers.numbers.expressions import MissingExtraError, same_expression
from kasasagi.tasks.judge.checkers.numbers.quantity import quantity

FILE = Path(__file__).parent / "checker_cases.jsonl"
CASES: list[dict[str, Any]] = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
with_extra = pytest.mark.skipif(find_spec(expressions.LIBRARY) is None, reason="the extra [math] is not installed")


def check(case: dict[str, Any]) -> str:
    found = CHECKERS.find(case["kind"], Path())(Case(case["answer"], case.get("truth"), case.get("prompt", "")))
    return found.reason if found.reason == "missing_extra" else found.verdict


def test_there_are_a_thousand_cases_with_many_of_each_verdict_and_in_japanese() -> None:
    assert len(CASES) >= 1_000
    verdicts = Counter(case["verdict"] for case in CASES)
    assert min(verdicts.values()) >= 150
    assert sum(not case["answer"].isascii() for case in CASES) >= 300


@pytest.mark.parametrize("kind", ["number", "choice", "text", "regex", "json", "instructions", "auto", "code"])
def test_each_case_has_its_verdict(kind: str) -> None:
    if kind == "code" and unsupported():
        pytest.skip(unsupported())
    found = [(case, check(case)) for case in CASES if case["kind"] == kind]
    assert found
    other = [(case, verdict) for case, verdict in found if verdict != case["verdict"]]
    assert [one for one in other if one[1] == "correct"] == []
    assert [one for one in other if one[1] != "missing_extra" or find_spec(expressions.LIBRARY)] == []


@with_extra
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("\\frac{\\sqrt{3}}{2}", "\\sqrt{3}/2", True),
        ("y = 2x + 1", "2x+1", True),
        ("x^2 - 1", "(x-1)(x+1)", True),
        ("\\sqrt{x^2}", "x", False),
        ("\\ln 8", "3\\ln 2", True),
        ("3\\pi", "9.42", None),
        ("9^{9^{9^{9}}}", "1", None),
        ("x^{99999}", "x", None),
        ("(((9^{99})^{99})^{99})^{99}", "1", None),
        ("2^3^2", "64", None),
        ("(" * 70 + "1" + ")" * 70, "2", None),
        ("\\sqrt{2}" + "+1" * 200, "1", None),
    ],
)
def test_expressions_are_compared_by_their_values_within_bounds(one: str, other: str, same: bool | None) -> None:
    assert same_expression(one, other) is same


def test_without_the_extra_expressions_are_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "find_spec", lambda name: None)
    assert same_expression("\\sqrt{2}", "\\sqrt {2}") is True
    with pytest.raises(
        MissingExtraError, match=r"latex2sympy2_extended, which is not installed: .* \[math\]; install it with"
    ):
        same_expression("\\sqrt{8}", "2\\sqrt{2}")
    found = CHECKERS.find("number", Path())(Case("$2\\sqrt{2}$", "3"))
    assert (found.verdict, found.reason, "[math]" in found.detail) == ("cannot_tell", "missing_extra", True)
    assert needs_extra("\\sqrt{2}")
    assert not needs_extra("12")


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("1,234.50 dollars", "1234.5", "dollars"),
        ("２．５％", "2.5", ""),
        ("1億2千万人", "120000000", "人"),
        ("2と2分の1", "5/2", ""),
        ("36 cm²", "36", "cm²"),
        ("24 square meters", "24", "square meters"),
    ],
)
def test_a_quantity_is_a_number_with_its_unit(text: str, value: str, unit: str) -> None:
    found = quantity(text)
    assert (str(found.value), found.unit) == (str(type(found.value)(value)), unit)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("17 - 6 = 17 - 0 - 7 = 10", True),
        ("so 5 + 7 = 13 apples", True),
        ("9 ÷ 3 = 3, because 3 × 3 = 8.", True),
        ("x + 5 = 12, 3^2 + 4 = 13, 2(3 + 4) = 14", False),
        ("10 / 3 = 3.33, 60 + 60 = 2 hours, 12 ÷ 5 = 2 余り 2", False),
        ("1/2 + 1/3 = 5/6 and 1,000 + 234 = 1,234", False),
    ],
)
def test_an_equation_that_does_not_hold_is_found(text: str, wrong: bool) -> None:
    assert (false_equation(text) is not None) == wrong


def test_a_pattern_from_data_takes_no_long_time() -> None:
    case = Case("a" * 50_000 + "b", r"^(a|aa|a*)+$")
    assert CHECKERS.find("regex", Path())(case).verdict == "incorrect"


def test_a_schema_fetches_nothing_and_names_what_does_not_fit() -> None:
    checker = CHECKERS.find("json", Path())
    assert checker(Case("{}", {"$ref": "http://127.0.0.1:9/schema.json"})).reason == "bad_truth"
    found = checker(Case('{"age": "x"}', {"properties": {"age": {"type": "integer"}}}))
    assert (found.verdict, "$.age" in found.detail) == ("incorrect", True)


BRANCHING = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2} for n in range(1, 25)} | {"a0": {}}
NESTED = {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"$defs": BRANCHING, "$ref": "#/$defs/a24"}, "1"),
        ({"$defs": NESTED, "$ref": "#/$defs/n"}, "[" * 900 + "]" * 900),
        ({"uniqueItems": True}, json.dumps([{"a": number} for number in range(9_000)])),
        ({"allOf": [{"$ref": "#"}]}, "1"),
        ({"format": "hostname"}, '"a"'),
    ],
)
def test_a_schema_that_asks_too_much_of_its_checker_is_left(schema: dict[str, Any], answer: str) -> None:
    begun = time.process_time()
    assert CHECKERS.find("json", Path())(Case(answer, schema)).verdict == "cannot_tell"
    assert time.process_time() - begun < 10


CHECKS = """
def is_even(answer, row):
    if answer == "boom":
        raise RuntimeError("no")
    return None if not answer.isdigit() else int(answer) % 2 == 0 and row["model"] == "small"
"""


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        ("4", "correct", ""),
        ("5", "incorrect", ""),
        ("x", "cannot_tell", "cannot_tell"),
        ("boom", "cannot_tell", "checker_error"),
    ],
)
def test_a_checker_of_ones_own_says_true_false_or_none(tmp_path: Path, answer: str, verdict: str, reason: str) -> None:
    (tmp_path / "my_checks.py").write_text(CHECKS)
    found = CHECKERS.find("my_checks.is_even", tmp_path)(Case(answer, row={"model": "small"}))
    assert (found.verdict, found.reason) == (verdict, reason)


@pytest.mark.parametrize(
    "text",
    [
        "**a** ",
        "answer is ",
        "① ",
        "\\boxed{",
        "the answer is 1. ",
        "1 234 ",
        "#### ",
        "$ ",
        "1,",
        "A. x ",
        "答えは",
        "(",
        "\n```json\n",
        "~~~\n1 = 2. So ",
        "使って、",
        "?!",
        "Let me know if you ",
    ],
)
def test_no_text_keeps_a_checker_busy(text: str) -> None:
    many = text * (12_000 // len(text))
    begun = time.process_time()
    for kind, truth, prompt in (
        ("number", "12", ""),
        ("number", many, ""),
        ("number", "12", many * 10),
        ("choice", "B", f"A. x\nB. y\n{many}"),
        ("instructions", None, many),
        ("text", "Paris", many),
        ("text", many, ""),
        ("json", {"type": "object"}, ""),
    ):
        CHECKERS.find(kind, Path())(Case(many, truth, prompt))
    assert time.process_time() - begun < 10


@given(answer=st.text(max_size=80), truth=st.text(max_size=20), prompt=st.text(max_size=40))
def test_checkers_say_something_of_any_text(answer: str, truth: str, prompt: str) -> None:
    for kind in ("auto", "number", "choice", "text", "regex", "json", "instructions"):
        found = CHECKERS.find(kind, Path())(Case(answer, truth, prompt))
        assert found.verdict in ("correct", "incorrect", "cannot_tell")
