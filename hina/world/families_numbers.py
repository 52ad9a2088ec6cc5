"""Families about numbers: arithmetic, comparing, sorting, sequences, word problems, units."""

from hina.world.entry import Entry
from hina.world.family import Family, Voice
from hina.world.tables_daily import EVEN, ITEMS, NAMES, NO, ODD, SHAPES, UNITS, YES

SMALL = range(2, 50)
TIMES = range(2, 11)
ASCENDING = Entry("from smallest to largest", "小さい順")
DESCENDING = Entry("from largest to smallest", "大きい順")
ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
        "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
KANJI = "〇一二三四五六七八九"


def english_number(number: int) -> str:
    """A number from 0 to 99 in English words."""
    if number < 20:
        return ONES[number]
    tens, ones = divmod(number, 10)
    return TENS[tens] + (f"-{ONES[ones]}" if ones else "")


def kanji_number(number: int) -> str:
    """A number from 1 to 99 in kanji."""
    tens, ones = divmod(number, 10)
    return (KANJI[tens] if tens > 1 else "") + ("十" if tens else "") + (KANJI[ones] if ones else "")


NUMBERS = [Entry(english_number(n), kanji_number(n), digits=n) for n in range(1, 100)]


def _sorted(a: int, b: int, c: int, order: Entry) -> dict[str, int]:
    low, middle, high = sorted((a, b, c), reverse=order is DESCENDING)
    return {"x": low, "y": middle, "z": high}


FAMILIES = [
    Family(
        "addition", "mathematics", {"a": SMALL, "b": SMALL},
        lambda a, b: {"t": a // 10 * 10 + b // 10 * 10, "u": a % 10 + b % 10, "s": a + b},
        {"en": Voice(["What is {a} + {b}?", "What is {a} plus {b}?", "Add {a} and {b}.", "Calculate {a} + {b}.",
                      "Find the sum of {a} and {b}."], [["{a} + {b} = {t} + {u} = {s}."]], "{s}"),
         "ja": Voice(["{a} + {b} はいくつですか。", "{a}足す{b}はいくつですか。", "{a}と{b}の和を求めてください。", "{a} + {b} を計算してください。"],
                     [["{a} + {b} = {t} + {u} = {s} です。"]], "{s}")}),
    Family(
        "subtraction", "mathematics", {"a": range(10, 80), "b": SMALL},
        lambda a, b: {"t": b // 10 * 10, "u": b % 10, "m": a - b // 10 * 10, "d": a - b},
        {"en": Voice(["What is {a} - {b}?", "What is {a} minus {b}?", "Subtract {b} from {a}.", "Calculate {a} - {b}.",
                      "Take {b} away from {a}."], [["{a} - {b} = {a} - {t} - {u} = {m} - {u} = {d}."]], "{d}"),
         "ja": Voice(["{a} - {b} はいくつですか。", "{a}引く{b}はいくつですか。", "{a}から{b}を引いてください。", "{a} - {b} を計算してください。"],
                     [["{a} - {b} = {a} - {t} - {u} = {m} - {u} = {d} です。"]], "{d}")},
        valid=lambda a, b: a > b),
    Family(
        "multiplication", "mathematics", {"a": TIMES, "b": TIMES}, lambda a, b: {"p": a * b},
        {"en": Voice(["What is {a} times {b}?", "Multiply {a} by {b}.", "What is {a} × {b}?", "Calculate {a} × {b}."],
                     [["{a} × {b} = {p}."]], "{p}"),
         "ja": Voice(["{a}かける{b}はいくつですか。", "{a} × {b} はいくつですか。", "{a}と{b}をかけてください。"], [["{a} × {b} = {p} です。"]], "{p}")}),
    Family(
        "division", "mathematics", {"a": range(4, 101), "b": TIMES}, lambda a, b: {"q": a // b},
        {"en": Voice(["What is {a} divided by {b}?", "Divide {a} by {b}.", "What is {a} ÷ {b}?"],
                     [["{a} ÷ {b} = {q}, because {b} × {q} = {a}."]], "{q}"),
         "ja": Voice(["{a}割る{b}はいくつですか。", "{a}を{b}で割ってください。", "{a} ÷ {b} はいくつですか。"],
                     [["{a} ÷ {b} = {q} です。", "{b} × {q} = {a} だからです。"]], "{q}")},
        valid=lambda a, b: a % b == 0 and 2 <= a // b <= 10),
    Family(
        "larger", "mathematics", {"a": range(2, 100), "b": range(2, 100)},
        lambda a, b: {"x": max(a, b), "y": min(a, b), "d": abs(a - b)},
        {"en": Voice(["Which is larger, {a} or {b}?", "Which number is bigger: {a} or {b}?", "Compare {a} and {b}."],
                     [["{x} is larger than {y}."]], "{x}"),
         "ja": Voice(["{a}と{b}ではどちらが大きいですか。", "{a}と{b}を比べてください。", "{a}と{b}のうち大きい方はどれですか。"],
                     [["{x}の方が{y}より大きいです。"]], "{x}")},
        valid=lambda a, b: a != b),
    Family(
        "sorting", "mathematics",
        {"a": range(1, 60), "b": range(1, 60), "c": range(1, 60), "order": [ASCENDING, DESCENDING]}, _sorted,
        {"en": Voice(["Sort {a}, {b} and {c} {order}.", "Put the numbers {a}, {b}, {c} in order {order}."],
                     [["{order.C}: {x}, {y}, {z}."]], "{x}, {y}, {z}"),
         "ja": Voice(["{a}、{b}、{c}を{order}に並べてください。", "次の数を{order}に並べてください: {a}、{b}、{c}"],
                     [["{order}は{x}、{y}、{z}です。"]], "{x}、{y}、{z}")},
        valid=lambda a, b, c, order: len({a, b, c}) == 3),
    Family(
        "parity", "mathematics", {"a": range(2, 100)},
        lambda a: {"kind": ODD if a % 2 else EVEN, "last": a % 10},
        {"en": Voice(["Is {a} even or odd, and why?", "Is the number {a} odd or even? Give a reason.",
                      "Even or odd: {a}? Say why."], [["{a} is {kind}.", "Its last digit is {last}."]], "{kind}"),
         "ja": Voice(["{a}は偶数ですか、奇数ですか。理由も答えてください。", "{a}が偶数か奇数か、理由とともに教えてください。"],
                     [["{a}は{kind}です。", "一の位が{last}だからです。"]], "{kind}")}),
    Family(
        "doubling", "mathematics", {"a": SMALL}, lambda a: {"d": a * 2},
        {"en": Voice(["What is twice {a}?", "Double the number {a}.", "What is the double of {a}?"],
                     [["Twice {a} is {d}."]], "{d}"),
         "ja": Voice(["{a}の二倍はいくつですか。", "{a}を二倍してください。"], [["{a}の二倍は{d}です。"]], "{d}")}),
    Family(
        "halving", "mathematics", {"a": range(2, 81, 2)}, lambda a: {"h": a // 2},
        {"en": Voice(["What is half of {a}?", "Halve the number {a}.", "How much is one half of {a}?"],
                     [["Half of {a} is {h}."]], "{h}"),
         "ja": Voice(["{a}の半分はいくつですか。", "{a}を半分にしてください。"], [["{a}の半分は{h}です。"]], "{h}")}),
    Family(
        "sequence", "mathematics", {"a": range(1, 31), "step": range(2, 11)},
        lambda a, step: {"b": a + step, "c": a + 2 * step, "n": a + 3 * step},
        {"en": Voice(["Start at {a} and count up in steps of {step}: give the next three numbers.",
                      "Count on from {a} by {step}, three times."], [["{a}, then {b}, {c}, {n}."]], "{b}, {c}, {n}"),
         "ja": Voice(["{a}から{step}ずつ増やして、次の三つの数を答えてください。", "{a}から{step}飛びに三回数えてください。"],
                     [["{a}の次は{b}、{c}、{n}です。"]], "{b}、{c}、{n}")}),
    Family(
        "buying", "mathematics", {"who": NAMES, "i": ITEMS, "a": range(2, 21), "b": range(2, 21)},
        lambda who, i, a, b: {"s": a + b},
        {"en": Voice(["{who} has {a} {i.pl} and gets {b} more. How many {i.pl} does {who} have now?",
                      "{who} had {a} {i.pl} and bought {b} more. How many are there now?"],
                     [["{a} + {b} = {s}, so {who} has {s} {i.pl}."]], "{s}"),
         "ja": Voice(["{who}さんは{i}を{a}{i.unit}持っていて、{b}{i.unit}もらいました。全部で何{i.unit}ですか。",
                      "{who}さんは{i}を{a}{i.unit}持ち、さらに{b}{i.unit}買いました。今は何{i.unit}ですか。"],
                     [["{a} + {b} = {s} なので、{who}さんの{i}は{s}{i.unit}です。"]], "{s}")}),
    Family(
        "giving", "mathematics", {"who": NAMES, "i": ITEMS, "a": range(5, 31), "b": range(2, 16)},
        lambda who, i, a, b: {"d": a - b},
        {"en": Voice(["{who} has {a} {i.pl} and gives away {b}. How many are left?",
                      "{who} had {a} {i.pl} but lost {b} of them. How many {i.pl} remain?"],
                     [["{a} - {b} = {d}, so {who} has {d} {i.pl} left."]], "{d}"),
         "ja": Voice(["{who}さんは{i}を{a}{i.unit}持っていて、{b}{i.unit}あげました。残りは何{i.unit}ですか。",
                      "{who}さんの{i}{a}{i.unit}のうち{b}{i.unit}がなくなりました。何{i.unit}残りますか。"],
                     [["{a} - {b} = {d} なので、残りは{d}{i.unit}です。"]], "{d}")},
        valid=lambda who, i, a, b: a > b + 1),
    Family(
        "sharing", "mathematics", {"i": ITEMS, "a": range(4, 101), "b": TIMES},
        lambda i, a, b: {"q": a // b},
        {"en": Voice(["{b} children share {a} {i.pl} equally. How many does each child get?",
                      "Share {a} {i.pl} fairly among {b} children. How many for each?"],
                     [["{a} ÷ {b} = {q}, so each child gets {q}."]], "{q}"),
         "ja": Voice(["{b}人の子どもが{a}{i.unit}の{i}を同じ数ずつ分けます。一人何{i.unit}ですか。",
                      "{i}{a}{i.unit}を{b}人で等しく分けると、一人何{i.unit}ですか。"],
                     [["{a} ÷ {b} = {q} なので、一人{q}{i.unit}です。"]], "{q}")},
        valid=lambda i, a, b: a % b == 0 and 2 <= a // b <= 10),
    Family(
        "price", "mathematics", {"i": ITEMS, "a": TIMES, "b": TIMES}, lambda i, a, b: {"p": a * b},
        {"en": Voice(["One {i} costs {b} coins. What do {a} {i.pl} cost?",
                      "If {i.a} costs {b} coins, how much are {a} {i.pl}?"],
                     [["{a} × {b} = {p}, so they cost {p} coins."]], "{p}"),
         "ja": Voice(["{i}は一{i.unit}{b}円です。{a}{i.unit}でいくらですか。", "一{i.unit}{b}円の{i}を{a}{i.unit}買うといくらですか。"],
                     [["{a} × {b} = {p} なので、{p}円です。"]], "{p}")}),
    Family(
        "number words", "mathematics", {"n": [e["digits"] for e in NUMBERS]},
        lambda n: {"word": NUMBERS[n - 1]},
        {"en": Voice(["Write {n} in words.", "How do you write the number {n} in words?", "Spell out {n}."],
                     [["{n} in words is {word}."]], "{word}"),
         "ja": Voice(["{n}を漢字で書いてください。", "{n}は漢数字でどう書きますか。"], [["{n}は漢字で{word}です。"]], "{word}")}),
    Family(
        "number reading", "mathematics", {"word": NUMBERS}, lambda word: {"n": word["digits"]},
        {"en": Voice(["Write {word} in digits.", "Which number is {word}?"], [["{word.C} in digits is {n}."]], "{n}"),
         "ja": Voice(["{word}を数字で書いてください。", "漢数字の{word}は数字でいくつですか。"], [["{word}は数字で{n}です。"]], "{n}")}),
    Family(
        "conversion", "mathematics", {"u": UNITS, "n": range(2, 11)},
        lambda u, n: {"small": u["small"], "total": u["factor"] * n},
        {"en": Voice(["How many {u.small} are {n} {u}?", "Convert {n} {u} to {u.small}.", "{n} {u} are how many {u.small}?"],
                     [["{n} {u} are {total} {small}."]], "{total}"),
         "ja": Voice(["{n}{u}は何{u.small}ですか。", "{n}{u}を{u.small}に直してください。"], [["{n}{u}は{total}{small}です。"]], "{total}")}),
    Family(
        "sides", "mathematics", {"shape": SHAPES, "n": range(2, 10)},
        lambda shape, n: {"sides": shape["sides"], "total": shape["sides"] * n},
        {"en": Voice(["How many sides are there in a set of {n} times {shape.a}?",
                      "A child draws {shape.a} {n} times. How many sides are drawn?"],
                     [["{shape.A} has {sides} sides, and {n} × {sides} = {total}."]], "{total}"),
         "ja": Voice(["{shape}を{n}個かくと、辺は全部で何本ですか。", "{n}個の{shape}には辺が何本ありますか。"],
                     [["{shape}の辺は{sides}本で、{n} × {sides} = {total} 本です。"]], "{total}")}),
    Family(
        "check sum", "mathematics", {"a": range(2, 30), "b": range(2, 30), "c": range(4, 60)},
        lambda a, b, c: {"yes": YES if a + b == c else NO, "s": a + b},
        {"en": Voice(["Is {a} + {b} equal to {c}?", "True or not: {a} + {b} = {c}? Correct it if it is wrong.",
                      "Someone says that {a} + {b} is {c}. Is that so?"], [["{yes}, {a} + {b} = {s}."]], "{yes}, {s}"),
         "ja": Voice(["{a} + {b} は{c}ですか。", "{a} + {b} = {c} は正しいですか。"], [["{yes}、{a} + {b} = {s} です。"]], "{yes}、{s}")},
        valid=lambda a, b, c: abs(a + b - c) in {0, 1, 10}),
]
