"""Families about numbers in use: word problems, number words, units, checking a sum."""

from kasasagi.hina.world.entry import Entry
from kasasagi.hina.world.family import Family, Phrasing
from kasasagi.hina.world.tables_daily import ITEMS, NAMES, NO, SHAPES, UNITS, YES

TIMES = range(2, 11)
ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
KANJI = "〇一二三四五六七八九"


def english_number(number: int) -> str:
    """Return a number from 0 to 99 in English words."""
    if number < 20:
        return ONES[number]
    tens, ones = divmod(number, 10)
    return TENS[tens] + (f"-{ONES[ones]}" if ones else "")


def kanji_number(number: int) -> str:
    """Return a number from 1 to 99 in kanji."""
    tens, ones = divmod(number, 10)
    return (KANJI[tens] if tens > 1 else "") + ("十" if tens else "") + (KANJI[ones] if ones else "")


NUMBERS = [Entry(english_number(n), kanji_number(n), digits=n) for n in range(1, 100)]

FAMILIES = [
    Family(
        "buying",
        "mathematics",
        {"who": NAMES, "i": ITEMS, "a": range(2, 21), "b": range(2, 21)},
        lambda who, i, a, b: {"s": a + b},
        {
            "en": Phrasing(
                [
                    "{who} has {a} {i.pl} and gets {b} more. How many {i.pl} does {who} have now?",
                    "{who} had {a} {i.pl} and bought {b} more. How many are there now?",
                ],
                [["{a} + {b} = {s}, so {who} has {s} {i.pl}."]],
                "{s}",
            ),
            "ja": Phrasing(
                [
                    "{who}さんは{i}を{a}{i.unit}持っていて、{b}{i.unit}もらいました。全部で何{i.unit}ですか。",
                    "{who}さんは{i}を{a}{i.unit}持ち、さらに{b}{i.unit}買いました。今は何{i.unit}ですか。",
                ],
                [["{a} + {b} = {s} なので、{who}さんの{i}は{s}{i.unit}です。"]],
                "{s}",
            ),
        },
        wider={"a": range(2, 1000), "b": range(1, 1000)},
    ),
    Family(
        "giving",
        "mathematics",
        {"who": NAMES, "i": ITEMS, "a": range(5, 31), "b": range(2, 16)},
        lambda who, i, a, b: {"d": a - b},
        {
            "en": Phrasing(
                [
                    "{who} has {a} {i.pl} and gives away {b}. How many are left?",
                    "{who} had {a} {i.pl} but lost {b} of them. How many {i.pl} remain?",
                ],
                [["{a} - {b} = {d}, so {who} has {d} {i.pl} left."]],
                "{d}",
            ),
            "ja": Phrasing(
                [
                    "{who}さんは{i}を{a}{i.unit}持っていて、{b}{i.unit}あげました。残りは何{i.unit}ですか。",
                    "{who}さんの{i}{a}{i.unit}のうち{b}{i.unit}がなくなりました。何{i.unit}残りますか。",
                ],
                [["{a} - {b} = {d} なので、残りは{d}{i.unit}です。"]],
                "{d}",
            ),
        },
        valid=lambda who, i, a, b: a > b + 1,
        wider={"a": range(2, 1000), "b": range(1, 1000)},
        meant=lambda who, i, a, b: a >= b,
    ),
    Family(
        "sharing",
        "mathematics",
        {"i": ITEMS, "a": range(4, 101), "b": TIMES},
        lambda i, a, b: {"q": a // b},
        {
            "en": Phrasing(
                [
                    "{b} children share {a} {i.pl} equally. How many does each child get?",
                    "Share {a} {i.pl} fairly among {b} children. How many for each?",
                ],
                [["{a} ÷ {b} = {q}, so each child gets {q}."]],
                "{q}",
            ),
            "ja": Phrasing(
                [
                    "{b}人の子どもが{a}{i.unit}の{i}を同じ数ずつ分けます。一人何{i.unit}ですか。",
                    "{i}{a}{i.unit}を{b}人で等しく分けると、一人何{i.unit}ですか。",
                ],
                [["{a} ÷ {b} = {q} なので、一人{q}{i.unit}です。"]],
                "{q}",
            ),
        },
        valid=lambda i, a, b: a % b == 0 and 2 <= a // b <= 10,
        wider={"a": range(2, 1000), "b": range(2, 100)},
        meant=lambda i, a, b: a % b == 0,
    ),
    Family(
        "price",
        "mathematics",
        {"i": ITEMS, "a": TIMES, "b": TIMES},
        lambda i, a, b: {"p": a * b},
        {
            "en": Phrasing(
                [
                    "One {i} costs {b} coins. What do {a} {i.pl} cost?",
                    "If {i.a} costs {b} coins, how much are {a} {i.pl}?",
                ],
                [["{a} × {b} = {p}, so they cost {p} coins."]],
                "{p}",
            ),
            "ja": Phrasing(
                [
                    "{i}は一{i.unit}{b}円です。{a}{i.unit}でいくらですか。",
                    "一{i.unit}{b}円の{i}を{a}{i.unit}買うといくらですか。",
                ],
                [["{a} × {b} = {p} なので、{p}円です。"]],
                "{p}",
            ),
        },
        wider={"a": range(2, 100), "b": range(1, 100)},
    ),
    Family(
        "number words",
        "mathematics",
        {"n": [e["digits"] for e in NUMBERS]},
        lambda n: {"word": NUMBERS[n - 1]},
        {
            "en": Phrasing(
                ["Write {n} in words.", "How do you write the number {n} in words?", "Spell out {n}."],
                [["{n} in words is {word}."]],
                "{word}",
            ),
            "ja": Phrasing(
                ["{n}を漢字で書いてください。", "{n}は漢数字でどう書きますか。"],
                [["{n}は漢字で{word}です。"]],
                "{word}",
            ),
        },
    ),
    Family(
        "number reading",
        "mathematics",
        {"word": NUMBERS},
        lambda word: {"n": word["digits"]},
        {
            "en": Phrasing(
                ["Write {word} in digits.", "Which number is {word}?"], [["{word.C} in digits is {n}."]], "{n}"
            ),
            "ja": Phrasing(
                ["{word}を数字で書いてください。", "漢数字の{word}は数字でいくつですか。"],
                [["{word}は数字で{n}です。"]],
                "{n}",
            ),
        },
    ),
    Family(
        "conversion",
        "mathematics",
        {"u": UNITS, "n": range(2, 11)},
        lambda u, n: {"small": u["small"], "total": u["factor"] * n},
        {
            "en": Phrasing(
                ["How many {u.small} are {n} {u}?", "Convert {n} {u} to {u.small}.", "{n} {u} are how many {u.small}?"],
                [["{n} {u} are {total} {small}."]],
                "{total}",
            ),
            "ja": Phrasing(
                ["{n}{u}は何{u.small}ですか。", "{n}{u}を{u.small}に直してください。"],
                [["{n}{u}は{total}{small}です。"]],
                "{total}",
            ),
        },
        wider={"n": range(2, 100)},
    ),
    Family(
        "sides",
        "mathematics",
        {"shape": SHAPES, "n": range(2, 10)},
        lambda shape, n: {"sides": shape["sides"], "total": shape["sides"] * n},
        {
            "en": Phrasing(
                [
                    "How many sides are there in a set of {n} times {shape.a}?",
                    "A child draws {shape.a} {n} times. How many sides are drawn?",
                ],
                [["{shape.A} has {sides} sides, and {n} × {sides} = {total}."]],
                "{total}",
            ),
            "ja": Phrasing(
                ["{shape}を{n}個かくと、辺は全部で何本ですか。", "{n}個の{shape}には辺が何本ありますか。"],
                [["{shape}の辺は{sides}本で、{n} × {sides} = {total} 本です。"]],
                "{total}",
            ),
        },
        wider={"n": range(2, 100)},
    ),
    Family(
        "check sum",
        "mathematics",
        {"a": range(2, 30), "b": range(2, 30), "c": range(4, 60)},
        lambda a, b, c: {"yes": YES if a + b == c else NO, "s": a + b},
        {
            "en": Phrasing(
                [
                    "Is {a} + {b} equal to {c}?",
                    "True or not: {a} + {b} = {c}? Correct it if it is wrong.",
                    "Someone says that {a} + {b} is {c}. Is that so?",
                ],
                [["{yes}, {a} + {b} = {s}."]],
                "{yes}, {s}",
            ),
            "ja": Phrasing(
                ["{a} + {b} は{c}ですか。", "{a} + {b} = {c} は正しいですか。"],
                [["{yes}、{a} + {b} = {s} です。"]],
                "{yes}、{s}",
            ),
        },
        valid=lambda a, b, c: abs(a + b - c) in {0, 1, 10},
        wider={"a": range(1000), "b": range(1000), "c": range(1000)},
        meant=lambda **_: True,
    ),
]
