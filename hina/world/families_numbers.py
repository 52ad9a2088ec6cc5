"""Families about numbers: arithmetic, comparing, sorting, sequences."""

from kasasagi.hina.world.entry import Entry
from kasasagi.hina.world.family import Family, Phrasing
from kasasagi.hina.world.tables_daily import EVEN, ODD

SMALL = range(2, 50)
NUMBERS = range(1000)
TIMES = range(2, 11)
ASCENDING = Entry("from smallest to largest", "小さい順")
DESCENDING = Entry("from largest to smallest", "大きい順")


def _sorted(a: int, b: int, c: int, order: Entry) -> dict[str, int]:
    low, middle, high = sorted((a, b, c), reverse=order is DESCENDING)
    return {"x": low, "y": middle, "z": high}


FAMILIES = [
    Family(
        "addition",
        "mathematics",
        {"a": SMALL, "b": SMALL},
        lambda a, b: {"t": a // 10 * 10 + b // 10 * 10, "u": a % 10 + b % 10, "s": a + b},
        {
            "en": Phrasing(
                [
                    "What is {a} + {b}?",
                    "What is {a} plus {b}?",
                    "Add {a} and {b}.",
                    "Calculate {a} + {b}.",
                    "Find the sum of {a} and {b}.",
                ],
                [["{a} + {b} = {t} + {u} = {s}."]],
                "{s}",
            ),
            "ja": Phrasing(
                [
                    "{a} + {b} はいくつですか。",
                    "{a}足す{b}はいくつですか。",
                    "{a}と{b}の和を求めてください。",
                    "{a} + {b} を計算してください。",
                ],
                [["{a} + {b} = {t} + {u} = {s} です。"]],
                "{s}",
            ),
        },
        wider={"a": NUMBERS, "b": NUMBERS},
    ),
    Family(
        "subtraction",
        "mathematics",
        {"a": range(10, 80), "b": SMALL},
        lambda a, b: {"t": b // 10 * 10, "u": b % 10, "m": a - b // 10 * 10, "d": a - b},
        {
            "en": Phrasing(
                [
                    "What is {a} - {b}?",
                    "What is {a} minus {b}?",
                    "Subtract {b} from {a}.",
                    "Calculate {a} - {b}.",
                    "Take {b} away from {a}.",
                ],
                [["{a} - {b} = {a} - {t} - {u} = {m} - {u} = {d}."]],
                "{d}",
            ),
            "ja": Phrasing(
                [
                    "{a} - {b} はいくつですか。",
                    "{a}引く{b}はいくつですか。",
                    "{a}から{b}を引いてください。",
                    "{a} - {b} を計算してください。",
                ],
                [["{a} - {b} = {a} - {t} - {u} = {m} - {u} = {d} です。"]],
                "{d}",
            ),
        },
        valid=lambda a, b: a > b,
        wider={"a": NUMBERS, "b": NUMBERS},
        meant=lambda a, b: a >= b,
    ),
    Family(
        "multiplication",
        "mathematics",
        {"a": TIMES, "b": TIMES},
        lambda a, b: {"p": a * b},
        {
            "en": Phrasing(
                ["What is {a} times {b}?", "Multiply {a} by {b}.", "What is {a} × {b}?", "Calculate {a} × {b}."],
                [["{a} × {b} = {p}."]],
                "{p}",
            ),
            "ja": Phrasing(
                ["{a}かける{b}はいくつですか。", "{a} × {b} はいくつですか。", "{a}と{b}をかけてください。"],
                [["{a} × {b} = {p} です。"]],
                "{p}",
            ),
        },
        wider={"a": range(100), "b": range(100)},
    ),
    Family(
        "division",
        "mathematics",
        {"a": range(4, 101), "b": TIMES},
        lambda a, b: {"q": a // b},
        {
            "en": Phrasing(
                ["What is {a} divided by {b}?", "Divide {a} by {b}.", "What is {a} ÷ {b}?"],
                [["{a} ÷ {b} = {q}, because {b} × {q} = {a}."]],
                "{q}",
            ),
            "ja": Phrasing(
                ["{a}割る{b}はいくつですか。", "{a}を{b}で割ってください。", "{a} ÷ {b} はいくつですか。"],
                [["{a} ÷ {b} = {q} です。", "{b} × {q} = {a} だからです。"]],
                "{q}",
            ),
        },
        valid=lambda a, b: a % b == 0 and 2 <= a // b <= 10,
        wider={"a": NUMBERS, "b": range(2, 100)},
        meant=lambda a, b: a % b == 0,
    ),
    Family(
        "larger",
        "mathematics",
        {"a": range(2, 100), "b": range(2, 100)},
        lambda a, b: {"x": max(a, b), "y": min(a, b), "d": abs(a - b)},
        {
            "en": Phrasing(
                ["Which is larger, {a} or {b}?", "Which number is bigger: {a} or {b}?", "Compare {a} and {b}."],
                [["{x} is larger than {y}."]],
                "{x}",
            ),
            "ja": Phrasing(
                [
                    "{a}と{b}ではどちらが大きいですか。",
                    "{a}と{b}を比べてください。",
                    "{a}と{b}のうち大きい方はどれですか。",
                ],
                [["{x}の方が{y}より大きいです。"]],
                "{x}",
            ),
        },
        valid=lambda a, b: a != b,
        wider={"a": NUMBERS, "b": NUMBERS},
    ),
    Family(
        "sorting",
        "mathematics",
        {"a": range(1, 60), "b": range(1, 60), "c": range(1, 60), "order": [ASCENDING, DESCENDING]},
        _sorted,
        {
            "en": Phrasing(
                ["Sort {a}, {b} and {c} {order}.", "Put the numbers {a}, {b}, {c} in order {order}."],
                [["{order.C}: {x}, {y}, {z}."]],
                "{x}, {y}, {z}",
            ),
            "ja": Phrasing(
                ["{a}、{b}、{c}を{order}に並べてください。", "次の数を{order}に並べてください: {a}、{b}、{c}"],
                [["{order}は{x}、{y}、{z}です。"]],
                "{x}、{y}、{z}",
            ),
        },
        valid=lambda a, b, c, order: len({a, b, c}) == 3,
        wider={"a": NUMBERS, "b": NUMBERS, "c": NUMBERS},
        meant=lambda **_: True,
    ),
    Family(
        "parity",
        "mathematics",
        {"a": range(2, 100)},
        lambda a: {"kind": ODD if a % 2 else EVEN, "last": a % 10},
        {
            "en": Phrasing(
                [
                    "Is {a} even or odd, and why?",
                    "Is the number {a} odd or even? Give a reason.",
                    "Even or odd: {a}? Say why.",
                ],
                [["{a} is {kind}.", "Its last digit is {last}."]],
                "{kind}",
            ),
            "ja": Phrasing(
                [
                    "{a}は偶数ですか、奇数ですか。理由も答えてください。",
                    "{a}が偶数か奇数か、理由とともに教えてください。",
                ],
                [["{a}は{kind}です。", "一の位が{last}だからです。"]],
                "{kind}",
            ),
        },
        wider={"a": NUMBERS},
    ),
    Family(
        "doubling",
        "mathematics",
        {"a": SMALL},
        lambda a: {"d": a * 2},
        {
            "en": Phrasing(
                ["What is twice {a}?", "Double the number {a}.", "What is the double of {a}?"],
                [["Twice {a} is {d}."]],
                "{d}",
            ),
            "ja": Phrasing(["{a}の二倍はいくつですか。", "{a}を二倍してください。"], [["{a}の二倍は{d}です。"]], "{d}"),
        },
        wider={"a": NUMBERS},
    ),
    Family(
        "halving",
        "mathematics",
        {"a": range(2, 81, 2)},
        lambda a: {"h": a // 2},
        {
            "en": Phrasing(
                ["What is half of {a}?", "Halve the number {a}.", "How much is one half of {a}?"],
                [["Half of {a} is {h}."]],
                "{h}",
            ),
            "ja": Phrasing(
                ["{a}の半分はいくつですか。", "{a}を半分にしてください。"], [["{a}の半分は{h}です。"]], "{h}"
            ),
        },
        wider={"a": range(0, 1000, 2)},
    ),
    Family(
        "sequence",
        "mathematics",
        {"a": range(1, 31), "step": range(2, 11)},
        lambda a, step: {"b": a + step, "c": a + 2 * step, "n": a + 3 * step},
        {
            "en": Phrasing(
                [
                    "Start at {a} and count up in steps of {step}: give the next three numbers.",
                    "Count on from {a} by {step}, three times.",
                ],
                [["{a}, then {b}, {c}, {n}."]],
                "{b}, {c}, {n}",
            ),
            "ja": Phrasing(
                [
                    "{a}から{step}ずつ増やして、次の三つの数を答えてください。",
                    "{a}から{step}飛びに三回数えてください。",
                ],
                [["{a}の次は{b}、{c}、{n}です。"]],
                "{b}、{c}、{n}",
            ),
        },
        wider={"a": NUMBERS, "step": range(1, 100)},
    ),
]
