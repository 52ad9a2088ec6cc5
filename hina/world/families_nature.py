"""Families about countries, animals, colours and food."""

from typing import Any

from kasasagi.hina.world.entry import Entry
from kasasagi.hina.world.family import Family, Phrasing
from kasasagi.hina.world.tables import (
    ANIMALS,
    CITIES,
    CLASSES,
    COLOUR,
    COLOURS,
    COUNTRIES,
    MIXES,
    SOURCES,
    THINGS,
    YOUNG,
)
from kasasagi.hina.world.tables_daily import NO, YES


def _yes(holds: bool) -> Entry:
    return YES if holds else NO


def _larger(x: Entry, y: Entry) -> dict[str, Entry]:
    big, small = (x, y) if x["size"] > y["size"] else (y, x)
    return {"big": big, "small": small}


FAMILIES = [
    Family(
        "capital",
        "geography",
        {"c": COUNTRIES},
        lambda c: {"city": c["capital"]},
        {
            "en": Phrasing(
                [
                    "What is the capital of {c}?",
                    "Name the capital of {c}.",
                    "Which city is the capital of {c}?",
                    "Tell me the capital city of {c}.",
                ],
                [["The capital of {c} is {city}."], ["{city} is the capital of {c}."]],
                "{city}",
            ),
            "ja": Phrasing(
                ["{c}の首都はどこですか。", "{c}の首都を教えてください。", "{c}の首都の名前は何ですか。"],
                [["{c}の首都は{city}です。"]],
                "{city}",
            ),
        },
    ),
    Family(
        "country of a capital",
        "geography",
        {"city": CITIES},
        lambda city: {"c": city["country"]},
        {
            "en": Phrasing(
                [
                    "Which country has the capital {city}?",
                    "{city} is the capital of which country?",
                    "Of which country is {city} the capital?",
                ],
                [["{city} is the capital of {c}."]],
                "{c}",
            ),
            "ja": Phrasing(
                ["{city}はどの国の首都ですか。", "{city}を首都とする国はどこですか。"],
                [["{city}は{c}の首都です。"]],
                "{c}",
            ),
        },
    ),
    Family(
        "continent",
        "geography",
        {"c": COUNTRIES},
        lambda c: {"k": c["continent"]},
        {
            "en": Phrasing(
                ["On which continent is {c}?", "Which continent does {c} belong to?", "Where in the world is {c}?"],
                [["{c} is in {k}."]],
                "{k}",
            ),
            "ja": Phrasing(
                ["{c}はどの大陸にありますか。", "{c}は世界のどの地域にありますか。"], [["{c}は{k}にあります。"]], "{k}"
            ),
        },
    ),
    Family(
        "capital check",
        "geography",
        {"city": CITIES, "c": COUNTRIES},
        lambda city, c: {"yes": _yes(city["country"] is c), "right": c["capital"]},
        {
            "en": Phrasing(
                ["Is {city} the capital of {c}?", "Is it true that the capital of {c} is {city}?"],
                [["{yes}, the capital of {c} is {right}."]],
                "{yes}, {right}",
            ),
            "ja": Phrasing(
                ["{city}は{c}の首都ですか。", "{c}の首都は{city}ですか。"],
                [["{yes}、{c}の首都は{right}です。"]],
                "{yes}、{right}",
            ),
        },
    ),
    Family(
        "same continent",
        "geography",
        {"c": COUNTRIES, "d": COUNTRIES},
        lambda c, d: {"yes": _yes(c["continent"] is d["continent"]), "k": c["continent"], "j": d["continent"]},
        {
            "en": Phrasing(
                ["Are {c} and {d} on the same continent? Explain.", "Do {c} and {d} lie on one continent, and why?"],
                [["{yes}.", "{c} is in {k} and {d} is in {j}."]],
                "{yes}",
            ),
            "ja": Phrasing(
                [
                    "{c}と{d}は同じ大陸にありますか。説明してください。",
                    "{c}と{d}は同じ大陸の国ですか。理由も答えてください。",
                ],
                [["{yes}。", "{c}は{k}、{d}は{j}にあります。"]],
                "{yes}",
            ),
        },
        valid=lambda c, d: c is not d,
    ),
    Family(
        "animal class",
        "animals",
        {"x": ANIMALS},
        lambda x: {"k": x["kind"], "why": x["kind"]["reason"]},
        {
            "en": Phrasing(
                [
                    "What kind of animal is {x.a}, and why?",
                    "Which class of animals does {x.a} belong to? Give a reason.",
                    "To which animal group does the {x} belong? Say why.",
                ],
                [["{x.A} is {k.a}.", "The reason is that {why}."]],
                "{k.a}",
            ),
            "ja": Phrasing(
                [
                    "{x}は何の仲間ですか。理由も答えてください。",
                    "{x}はどの種類の動物ですか。理由とともに教えてください。",
                ],
                [["{x}は{k}です。", "理由は{why}からです。"]],
                "{k}",
            ),
        },
    ),
    Family(
        "class check",
        "animals",
        {"x": ANIMALS, "g": CLASSES},
        lambda x, g: {"yes": _yes(x["kind"] is g), "k": x["kind"], "why": x["kind"]["reason"]},
        {
            "en": Phrasing(
                ["Is {x.a} {g.a}? Say why.", "Is it right to call {x.a} {g.a}? Give a reason."],
                [["{yes}, {x.a} is {k.a}.", "The reason is that {why}."]],
                "{yes}, {k.a}",
            ),
            "ja": Phrasing(
                ["{x}は{g}ですか。理由も答えてください。", "{x}を{g}と呼ぶのは正しいですか。理由も教えてください。"],
                [["{yes}、{x}は{k}です。", "理由は{why}からです。"]],
                "{yes}、{k}",
            ),
        },
    ),
    Family(
        "legs",
        "animals",
        {"x": ANIMALS, "n": range(2, 10)},
        lambda x, n: {"legs": x["legs"], "total": x["legs"] * n},
        {
            "en": Phrasing(
                [
                    "How many legs has a group of {n} {x.pl}?",
                    "Count the legs of {n} {x.pl}.",
                    "I see {n} {x.pl}. How many legs is that?",
                ],
                [["{x.A} has {legs} legs, and {n} × {legs} = {total}."]],
                "{total}",
            ),
            "ja": Phrasing(
                ["{n}匹の{x}の足は全部で何本ですか。", "{x}が{n}匹います。足は何本ですか。"],
                [["{x}の足は{legs}本で、{n} × {legs} = {total} 本です。"]],
                "{total}",
            ),
        },
        wider={"n": range(2, 100)},
    ),
    Family(
        "habitat",
        "animals",
        {"x": ANIMALS},
        lambda x: {"home": x["home"]},
        {
            "en": Phrasing(
                ["Where does {x.a} live?", "Where do people find {x.pl}?", "Name a place where {x.pl} live."],
                [["{x.A} lives {home}."]],
                "{home}",
            ),
            "ja": Phrasing(
                ["{x}はどこにすんでいますか。", "{x}がいる場所を教えてください。"],
                [["{x}がいるのは{home}です。"]],
                "{home}",
            ),
        },
    ),
    Family(
        "bigger animal",
        "animals",
        {"x": ANIMALS, "y": ANIMALS},
        _larger,
        {
            "en": Phrasing(
                [
                    "Which is bigger, {x.a} or {y.a}?",
                    "Compare the size of {x.a} and {y.a}.",
                    "Is {x.a} bigger or smaller than {y.a}?",
                ],
                [["{big.A} is bigger than {small.a}."]],
                "{big.a}",
            ),
            "ja": Phrasing(
                ["{x}と{y}ではどちらが大きいですか。", "{x}と{y}の大きさを比べてください。"],
                [["{big}の方が{small}より大きいです。"]],
                "{big}",
            ),
        },
        valid=lambda x, y: abs(x["size"] - y["size"]) >= 15,
    ),
    Family(
        "young animal",
        "animals",
        {"x": YOUNG},
        lambda x: {"young": x["young"]},
        {
            "en": Phrasing(
                ["What is a young {x} called?", "What do you call the baby of {x.a}?"],
                [["A young {x} is called {young.a}."]],
                "{young.a}",
            ),
            "ja": Phrasing(
                ["{x}の子は何と呼ばれますか。", "{x}の子どもを何といいますか。"],
                [["{x}の子は{young}と呼ばれます。"]],
                "{young}",
            ),
        },
    ),
    Family(
        "sound",
        "animals",
        {"x": YOUNG},
        lambda x: {"sound": x["sound"]},
        {
            "en": Phrasing(
                ["What sound does {x.a} make?", "How does {x.a} sound?"], [["{x.A} says {sound}."]], "{sound}"
            ),
            "ja": Phrasing(
                ["{x}は何と鳴きますか。", "{x}の鳴き声を教えてください。"], [["{x}は{sound}と鳴きます。"]], "{sound}"
            ),
        },
    ),
    Family(
        "colour",
        "colours",
        {"t": THINGS},
        lambda t: {"k": t["colour"]},
        {
            "en": Phrasing(
                ["What colour is {t.a}?", "Which colour does {t.a} have?", "Tell me the colour of {t.a}."],
                [["{t.A} is {k}."]],
                "{k}",
            ),
            "ja": Phrasing(["{t}は何色ですか。", "{t}の色を教えてください。"], [["{t}の色は{k}です。"]], "{k}"),
        },
    ),
    Family(
        "same colour",
        "colours",
        {"t": THINGS, "v": THINGS},
        lambda t, v: {"yes": _yes(t["colour"] is v["colour"]), "k": t["colour"], "j": v["colour"]},
        {
            "en": Phrasing(
                ["Do {t.a} and {v.a} have the same colour? Explain.", "Are {t.a} and {v.a} alike in colour, and why?"],
                [["{yes}.", "{t.A} is {k} and {v.a} is {j}."]],
                "{yes}",
            ),
            "ja": Phrasing(
                ["{t}と{v}は同じ色ですか。説明してください。", "{t}と{v}の色は同じですか。理由も答えてください。"],
                [["{yes}。", "{t}は{k}、{v}は{j}です。"]],
                "{yes}",
            ),
        },
        valid=lambda t, v: t is not v,
    ),
    Family(
        "mixing",
        "colours",
        {"a": COLOURS, "b": COLOURS},
        lambda a, b: {"m": COLOUR[MIXES[frozenset({a.en, b.en})]]},
        {
            "en": Phrasing(
                [
                    "What colour do {a} and {b} make?",
                    "Mix {a} and {b}: what colour is it?",
                    "Which colour comes from {a} and {b} paint?",
                ],
                [["{a.C} and {b} make {m}."]],
                "{m}",
            ),
            "ja": Phrasing(
                ["{a}と{b}を混ぜると何色になりますか。", "{a}と{b}の絵の具を混ぜた色を教えてください。"],
                [["{a}と{b}を混ぜると{m}になります。"]],
                "{m}",
            ),
        },
        valid=lambda a, b: frozenset({a.en, b.en}) in MIXES,
    ),
    Family(
        "made of",
        "food",
        {"f": SOURCES},
        lambda f: {"s": f["source"]},
        {
            "en": Phrasing(
                [
                    "What is {f} made from?",
                    "Which raw material does {f} come from?",
                    "What do people need to make {f}?",
                ],
                [["{f.C} is made from {s}."]],
                "{s}",
            ),
            "ja": Phrasing(
                ["{f}は何から作られますか。", "{f}の原料は何ですか。"], [["{f}は{s}から作られます。"]], "{s}"
            ),
        },
    ),
]


def _made_of_check(f: Entry, s: Entry) -> dict[str, Any]:
    return {"yes": _yes(f["source"].en == s.en), "right": f["source"]}


FAMILIES.append(
    Family(
        "made of check",
        "food",
        {"f": SOURCES, "s": list({e["source"].en: e["source"] for e in SOURCES}.values())},
        _made_of_check,
        {
            "en": Phrasing(
                ["Is {f} made from {s}?", "Does {f} come from {s}?"],
                [["{yes}, {f} is made from {right}."]],
                "{yes}, {right}",
            ),
            "ja": Phrasing(
                ["{f}は{s}から作られますか。", "{f}の原料は{s}ですか。"],
                [["{yes}、{f}は{right}から作られます。"]],
                "{yes}、{right}",
            ),
        },
    )
)
