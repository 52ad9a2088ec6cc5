"""Families about words, translation and rewriting."""

from kasasagi.hina.world.entry import Entry
from kasasagi.hina.world.family import Family, Phrasing
from kasasagi.hina.world.tables import OPPOSITES
from kasasagi.hina.world.tables_daily import (
    COUNTABLE,
    LIKED,
    MEMBERS,
    NAMES,
    NO,
    PLACES,
    REQUESTS,
    SPELLED,
    VERBS,
    WORDS,
    YES,
)


def _odd_one(a: Entry, b: Entry, c: Entry) -> dict[str, Entry]:
    groups = [e["group"].en for e in (a, b, c)]
    odd = next(e for e, g in zip((a, b, c), groups, strict=True) if groups.count(g) == 1)
    other = b if odd is a else a
    return {"odd": odd, "group": other["group"], "own": odd["group"]}


def _opposite_check(w: Entry, v: Entry) -> dict[str, Entry]:
    return {"yes": YES if w["other"] == v.en else NO, "right": w["opposite"]}


FAMILIES = [
    Family(
        "opposite",
        "words",
        {"w": OPPOSITES},
        lambda w: {"o": w["opposite"]},
        {
            "en": Phrasing(
                [
                    "What is the opposite of '{w}'?",
                    "Give the opposite of the word '{w}'.",
                    "Which word means the contrary of '{w}'?",
                ],
                [["The opposite of '{w}' is '{o}'."]],
                "{o}",
            ),
            "ja": Phrasing(
                ["「{w}」の反対は何ですか。", "「{w}」の反対語を教えてください。"],
                [["「{w}」の反対は「{o}」です。"]],
                "{o}",
            ),
        },
    ),
    Family(
        "opposite check",
        "words",
        {"w": OPPOSITES, "v": OPPOSITES},
        _opposite_check,
        {
            "en": Phrasing(
                ["Is '{v}' the opposite of '{w}'?", "Are '{w}' and '{v}' opposites?"],
                [["{yes}, the opposite of '{w}' is '{right}'."]],
                "{yes}, {right}",
            ),
            "ja": Phrasing(
                ["「{v}」は「{w}」の反対ですか。", "「{w}」と「{v}」は反対の言葉ですか。"],
                [["{yes}、「{w}」の反対は「{right}」です。"]],
                "{yes}、{right}",
            ),
        },
        valid=lambda w, v: w is not v,
    ),
    Family(
        "plural",
        "words",
        {"w": COUNTABLE},
        lambda w: {"m": w["many_entry"]},
        {
            "en": Phrasing(
                [
                    "What is the plural of '{w}'?",
                    "Write the plural form of '{w}'.",
                    "How do you say more than one '{w}'?",
                ],
                [["The plural of '{w}' is '{m}'."]],
                "{m}",
            ),
            "ja": Phrasing(
                ["英語の「{w.en}」の複数形は何ですか。", "「{w.en}」を複数形にしてください。"],
                [["「{w.en}」の複数形は「{m}」です。"]],
                "{m}",
            ),
        },
    ),
    Family(
        "past tense",
        "words",
        {"w": VERBS},
        lambda w: {"p": w["past_entry"]},
        {
            "en": Phrasing(
                [
                    "What is the past tense of '{w}'?",
                    "Put the verb '{w}' into the past.",
                    "Give the past form of '{w}'.",
                ],
                [["The past tense of '{w}' is '{p}'."]],
                "{p}",
            ),
            "ja": Phrasing(
                ["英語の「{w.en}」の過去形は何ですか。", "「{w.en}」を過去形にしてください。"],
                [["「{w.en}」の過去形は「{p}」です。"]],
                "{p}",
            ),
        },
    ),
    Family(
        "into Japanese",
        "words",
        {"w": WORDS},
        lambda w: {"j": Entry(w.ja, w.ja)},
        {
            "en": Phrasing(
                ["What is '{w}' in Japanese?", "Translate '{w}' into Japanese.", "How do you say '{w}' in Japanese?"],
                [["'{w}' in Japanese is 「{j}」."]],
                "{j}",
            ),
            "ja": Phrasing(
                ["英語の「{w.en}」は日本語で何ですか。", "「{w.en}」を日本語に訳してください。"],
                [["「{w.en}」は日本語で「{j}」です。"]],
                "{j}",
            ),
        },
    ),
    Family(
        "into English",
        "words",
        {"w": WORDS},
        lambda w: {"e": Entry(w.en, w.en)},
        {
            "en": Phrasing(
                ["What does 「{w.ja}」 mean in English?", "Translate 「{w.ja}」 into English."],
                [["「{w.ja}」 in English is '{e}'."]],
                "{e}",
            ),
            "ja": Phrasing(
                [
                    "「{w}」は英語で何といいますか。",
                    "「{w}」を英語に訳してください。",
                    "「{w}」を英語で書いてください。",
                ],
                [["「{w}」は英語で「{e}」です。"]],
                "{e}",
            ),
        },
    ),
    Family(
        "letters",
        "words",
        {"w": SPELLED},
        lambda w: {"n": w["length"], "s": w["letters"]},
        {
            "en": Phrasing(
                [
                    "How many letters are in the word '{w}'?",
                    "Count the letters of '{w}'.",
                    "How long is the word '{w}'?",
                ],
                [["The word '{w}' is spelt {s}, which makes {n} letters."]],
                "{n}",
            ),
            "ja": Phrasing(
                ["「{w}」は何文字ですか。", "英単語「{w}」の文字数を数えてください。"],
                [["「{w}」のつづりは{s}で、{n}文字です。"]],
                "{n}",
            ),
        },
    ),
    Family(
        "first letter",
        "words",
        {"w": SPELLED},
        lambda w: {"f": w["first"], "l": w["last"]},
        {
            "en": Phrasing(
                ["What are the first and the last letter of '{w}'?", "With which letters does '{w}' begin and end?"],
                [["'{w}' begins with '{f}' and ends with '{l}'."]],
                "{f}, {l}",
            ),
            "ja": Phrasing(
                ["「{w}」の最初と最後の文字は何ですか。", "「{w}」はどの文字で始まり、どの文字で終わりますか。"],
                [["「{w}」は「{f}」で始まり「{l}」で終わります。"]],
                "{f}、{l}",
            ),
        },
    ),
    Family(
        "odd one out",
        "words",
        {"a": MEMBERS, "b": MEMBERS, "c": MEMBERS},
        _odd_one,
        {
            "en": Phrasing(
                [
                    "Which does not belong: {a}, {b}, {c}? Say why.",
                    "Find the odd one out and give the reason: {a}, {b}, {c}.",
                ],
                [["{odd.C} does not belong.", "It is {own.a}, but the others are {group.pl}."]],
                "{odd}",
            ),
            "ja": Phrasing(
                [
                    "{a}、{b}、{c}のうち仲間外れはどれですか。理由も答えてください。",
                    "{a}、{b}、{c}の中で違うものと、その理由を教えてください。",
                ],
                [["仲間外れは{odd}です。", "{odd}は{own}ですが、ほかは{group}です。"]],
                "{odd}",
            ),
        },
        valid=lambda a, b, c: len({a.en, b.en, c.en}) == 3 and len({e["group"].en for e in (a, b, c)}) == 2,
    ),
    Family(
        "group",
        "words",
        {"m": MEMBERS},
        lambda m: {"g": m["group"]},
        {
            "en": Phrasing(
                ["What sort of thing is {m.a}?", "In which category is {m.a}?"], [["{m.A} is {g.a}."]], "{g.a}"
            ),
            "ja": Phrasing(["{m}はどの分類に入りますか。", "{m}は何の一種ですか。"], [["{m}は{g}です。"]], "{g}"),
        },
    ),
    Family(
        "politer",
        "words",
        {"r": REQUESTS, "who": NAMES},
        lambda r, who: {},
        {
            "en": Phrasing(
                ["Make this politer: '{who}, {r}!'", "Say it more politely: '{who}, {r}!'"],
                [["{who}, could you {r}, please?"]],
                "{who}, could you {r}, please?",
            ),
            "ja": Phrasing(
                ["もっと丁寧に言ってください:「{who}さん、{r}」", "丁寧な言い方に直してください:「{who}さん、{r}」"],
                [["{who}さん、{r.polite}。"]],
                "{who}さん、{r.polite}",
            ),
        },
    ),
    Family(
        "negation",
        "words",
        {"who": NAMES, "x": LIKED, "p": PLACES},
        lambda who, x, p: {},
        {
            "en": Phrasing(
                [
                    "Make it negative: '{who} likes the {x} at the {p}.'",
                    "Say that it is not so: '{who} likes the {x} at the {p}.'",
                ],
                [["{who} does not like the {x} at the {p}."]],
                "{who} does not like the {x} at the {p}",
            ),
            "ja": Phrasing(
                [
                    "否定文にしてください:「{who}さんは{p}の{x}が好きです」",
                    "打ち消しの文に直してください:「{who}さんは{p}の{x}が好きです」",
                ],
                [["{who}さんは{p}の{x}が好きではありません。"]],
                "{who}さんは{p}の{x}が好きではありません",
            ),
        },
    ),
    Family(
        "shorter",
        "words",
        {"who": NAMES, "p": PLACES, "x": LIKED},
        lambda who, p, x: {},
        {
            "en": Phrasing(
                [
                    "Make it shorter: '{who} went to the {p} in order to look for {x}.'",
                    "Say this with fewer words: '{who} went to the {p} in order to look for {x}.'",
                ],
                [["{who} went to the {p} for {x}."]],
                "{who} went to the {p} for {x}",
            ),
            "ja": Phrasing(
                [
                    "短くしてください:「{who}さんは{p}に行って、そこで{x}を探しました」",
                    "もっと短く言ってください:「{who}さんは{p}に行って、そこで{x}を探しました」",
                ],
                [["{who}さんは{p}で{x}を探しました。"]],
                "{who}さんは{p}で{x}を探しました",
            ),
        },
    ),
    Family(
        "question form",
        "words",
        {"who": NAMES, "x": LIKED, "p": PLACES},
        lambda who, x, p: {},
        {
            "en": Phrasing(
                [
                    "Turn it into a question: '{who} buys {x} at the {p}.'",
                    "Ask whether it is so: '{who} buys {x} at the {p}.'",
                ],
                [["Does {who} buy {x} at the {p}?"]],
                "Does {who} buy {x} at the {p}",
            ),
            "ja": Phrasing(
                [
                    "疑問文にしてください:「{who}さんは{p}で{x}を買います」",
                    "質問の形に直してください:「{who}さんは{p}で{x}を買います」",
                ],
                [["{who}さんは{p}で{x}を買いますか。"]],
                "{who}さんは{p}で{x}を買いますか",
            ),
        },
    ),
]
