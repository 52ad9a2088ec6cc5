"""Families about the calendar, jobs, tools, the weather and the household."""

from kasasagi.hina.world.entry import Entry
from kasasagi.hina.world.family import Family, Phrasing
from kasasagi.hina.world.tables import JOBS, TOOLS
from kasasagi.hina.world.tables_daily import DAYS, HOWTO, MONTHS, NAMES, NO, ORDINALS, SEASONS, WEATHER, YES

RANKS = [Entry(word, f"{number}番目", number=number) for number, word in enumerate(ORDINALS, start=1)]
LATER = [Entry(f"{n} days after", f"{n}日後", n=n) for n in range(2, 7)] + [Entry("the day after", "翌日", n=1)]
EARLIER = [Entry(f"{n} days before", f"{n}日前", n=-n) for n in range(2, 7)] + [Entry("the day before", "前日", n=-1)]
MONTH_SHIFTS = [
    Entry("the month after", "翌月", n=1),
    Entry("the month before", "前月", n=-1),
    Entry("two months after", "二か月後", n=2),
    Entry("two months before", "二か月前", n=-2),
]
CLOCK = range(1, 13)
SPAN = [Entry("first", "最初"), Entry("last", "最後")]


def _steps(h: Entry, span: Entry, n: int) -> dict[str, Entry]:
    chosen = h["steps"][:n] if span is SPAN[0] else h["steps"][-n:]
    return {f"s{number}": step for number, step in enumerate(chosen, start=1)}


def _how_to(n: int) -> Family:
    """Return how-to lists of n steps, each step a line."""
    lines = [f"{number}. {{s{number}}}" for number in range(1, n + 1)]
    english, japanese = ", ".join(f"{{s{k}}}" for k in range(1, n + 1)), "、".join(f"{{s{k}}}" for k in range(1, n + 1))
    return Family(
        f"how-to in {n} steps",
        "household",
        {"h": HOWTO, "span": SPAN},
        lambda h, span: _steps(h, span, n),
        {
            "en": Phrasing(
                [
                    f"List the {{span}} {n} steps to {{h}}.",
                    f"How do I {{h}}? Give the {{span}} {n} steps.",
                    f"I want to {{h}}. What are the {{span}} {n} steps?",
                ],
                [["\n".join(lines)]],
                english,
            ),
            "ja": Phrasing(
                [f"{{h}}手順の{{span}}の{n}つを挙げてください。", f"{{h}}には、{{span}}の{n}つの手順はどうしますか。"],
                [["\n".join(lines)]],
                japanese,
            ),
        },
    )


def _step_after(h: Entry, rank: Entry) -> dict[str, Entry]:
    return {"step": h["steps"][rank["number"] - 1]}


def _shift(d: Entry, move: Entry) -> dict[str, Entry]:
    return {"then": DAYS[(DAYS.index(d) + move["n"]) % 7]}


FAMILIES = [
    Family(
        "weekday",
        "calendar",
        {"d": DAYS, "move": LATER + EARLIER},
        _shift,
        {
            "en": Phrasing(
                [
                    "Which day is {move} {d}?",
                    "What day of the week comes {move} {d}?",
                    "Name the day that is {move} {d}.",
                ],
                [["{move.C} {d} is {then}."]],
                "{then}",
            ),
            "ja": Phrasing(
                ["{d}の{move}は何曜日ですか。", "{d}の{move}の曜日を教えてください。"],
                [["{d}の{move}は{then}です。"]],
                "{then}",
            ),
        },
    ),
    Family(
        "month shift",
        "calendar",
        {"m": MONTHS, "move": MONTH_SHIFTS},
        lambda m, move: {"then": MONTHS[(m["number"] - 1 + move["n"]) % 12]},
        {
            "en": Phrasing(
                ["Which month is {move} {m}?", "Name the month that comes {move} {m}."],
                [["{move.C} {m} is {then}."]],
                "{then}",
            ),
            "ja": Phrasing(
                ["{m}の{move}は何月ですか。", "{m}の{move}を答えてください。"],
                [["{m}の{move}は{then}です。"]],
                "{then}",
            ),
        },
    ),
    Family(
        "days of a month",
        "calendar",
        {"m": MONTHS},
        lambda m: {"n": m["days"]},
        {
            "en": Phrasing(
                [
                    "How many days does {m} have?",
                    "How long is {m} in days?",
                    "Count the days of {m} in an ordinary year.",
                ],
                [["{m} has {n} days."]],
                "{n}",
            ),
            "ja": Phrasing(["{m}は何日ありますか。", "{m}の日数を教えてください。"], [["{m}は{n}日あります。"]], "{n}"),
        },
    ),
    Family(
        "season",
        "calendar",
        {"m": MONTHS, "s": SEASONS},
        lambda m, s: {"yes": YES if m["season"] is s else NO, "right": m["season"]},
        {
            "en": Phrasing(
                ["Is {m} in {s} in Japan?", "Does {m} belong to {s} in Japan?"],
                [["{yes}, {m} is in {right}."]],
                "{yes}, {right}",
            ),
            "ja": Phrasing(
                ["日本では{m}は{s}ですか。", "日本で{m}は{s}に入りますか。"],
                [["{yes}、{m}は{right}です。"]],
                "{yes}、{right}",
            ),
        },
    ),
    Family(
        "month number",
        "calendar",
        {"rank": RANKS},
        lambda rank: {"m": MONTHS[rank["number"] - 1]},
        {
            "en": Phrasing(
                ["What is the {rank} month of the year?", "Name the {rank} month."],
                [["The {rank} month is {m}."]],
                "{m}",
            ),
            "ja": Phrasing(
                ["一年の{rank}の月は何月ですか。", "{rank}の月の名前は何ですか。"], [["{rank}の月は{m}です。"]], "{m}"
            ),
        },
    ),
    Family(
        "clock",
        "calendar",
        {"h": CLOCK, "n": range(1, 12)},
        lambda h, n: {"t": (h + n - 1) % 12 + 1},
        {
            "en": Phrasing(
                [
                    "It is {h} o'clock. What time is it in {n} hours?",
                    "The clock shows {h}. Which hour does it show {n} hours later?",
                ],
                [["It will be {t} o'clock."]],
                "{t} o'clock",
            ),
            "ja": Phrasing(
                ["今{h}時です。{n}時間後は何時ですか。", "時計が{h}時を指しています。{n}時間後は何時を指しますか。"],
                [["{t}時です。"]],
                "{t}時",
            ),
        },
    ),
    Family(
        "working time",
        "calendar",
        {"who": NAMES, "h": range(6, 12), "n": range(1, 12)},
        lambda who, h, n: {"t": h + n},
        {
            "en": Phrasing(
                [
                    "{who} starts work at {h}:00 and works {n} hours. When does {who} stop?",
                    "{who} begins at {h}:00 and needs {n} hours. When is the work done?",
                ],
                [["{h} + {n} = {t}, so {who} stops at {t}:00."]],
                "{t}:00",
            ),
            "ja": Phrasing(
                [
                    "{who}さんは{h}時に仕事を始めて{n}時間働きます。何時に終わりますか。",
                    "{who}さんの仕事は{h}時に始まり{n}時間かかります。終わるのは何時ですか。",
                ],
                [["{h} + {n} = {t} なので、{t}時に終わります。"]],
                "{t}時",
            ),
        },
    ),
    Family(
        "tool of a job",
        "work",
        {"j": JOBS},
        lambda j: {"tool": j["tool"]},
        {
            "en": Phrasing(
                ["Which tool does {j.a} use?", "What does {j.a} work with?", "Name something that {j.a} uses at work."],
                [["{j.A} uses {tool.a}."]],
                "{tool.a}",
            ),
            "ja": Phrasing(
                ["{j}はどんな道具を使いますか。", "{j}が仕事で使うものは何ですか。"],
                [["{j}は{tool}を使います。"]],
                "{tool}",
            ),
        },
    ),
    Family(
        "place of a job",
        "work",
        {"j": JOBS},
        lambda j: {"place": j["place"], "does": j["does"]},
        {
            "en": Phrasing(
                ["Where does {j.a} work, and what does {j.a} do there?", "Tell me the place and the task of {j.a}."],
                [["{j.A} works in {place.a}.", "There {j.a} {does}."]],
                "{place.a}",
            ),
            "ja": Phrasing(
                ["{j}はどこで働き、そこで何をしますか。", "{j}の職場と仕事を教えてください。"],
                [["{j}の職場は{place}です。", "そこで{does}のが仕事です。"]],
                "{place}",
            ),
        },
    ),
    Family(
        "definition of a job",
        "work",
        {"j": JOBS},
        lambda j: {"does": j["does"]},
        {
            "en": Phrasing(
                ["What is {j.a}?", "Define the word '{j}'.", "Explain what {j.a} does."],
                [["{j.A} is someone who {does}."]],
                "{does}",
            ),
            "ja": Phrasing(
                ["{j}とは何ですか。", "「{j}」という言葉の意味を説明してください。"],
                [["{j}とは、{does}人です。"]],
                "{does}",
            ),
        },
    ),
    Family(
        "job of a person",
        "work",
        {"who": NAMES, "j": JOBS},
        lambda who, j: {},
        {
            "en": Phrasing(
                ["{who} {j.does} every day. What is {who}'s job?", "What do we call {who}, who {j.does}?"],
                [["{who} is {j.a}."]],
                "{j.a}",
            ),
            "ja": Phrasing(
                [
                    "{who}さんは毎日{j.does}仕事をしています。職業は何ですか。",
                    "{j.does}仕事をする{who}さんの職業を答えてください。",
                ],
                [["{who}さんは{j}です。"]],
                "{j}",
            ),
        },
    ),
    Family(
        "use of a tool",
        "household",
        {"t": TOOLS},
        lambda t: {"use": t["purpose"]},
        {
            "en": Phrasing(
                ["What is {t.a} for?", "What do people do with {t.a}?", "Explain the use of {t.a}."],
                [["{t.A} is used to {use}."]],
                "{use}",
            ),
            "ja": Phrasing(
                ["{t}は何に使いますか。", "{t}の使い道を説明してください。"], [["{t}は{use}ために使います。"]], "{use}"
            ),
        },
    ),
    Family(
        "tool for a use",
        "household",
        {"who": NAMES, "t": TOOLS},
        lambda who, t: {},
        {
            "en": Phrasing(
                ["{who} wants to {t.purpose}. What does {who} need?", "Which thing helps {who} to {t.purpose}?"],
                [["{who} needs {t.a}."]],
                "{t.a}",
            ),
            "ja": Phrasing(
                [
                    "{who}さんは{t.purpose}つもりです。何が必要ですか。",
                    "{who}さんが{t.purpose}時に使うものは何ですか。",
                ],
                [["{who}さんに必要なのは{t}です。"]],
                "{t}",
            ),
        },
    ),
    Family(
        "weather advice",
        "household",
        {"who": NAMES, "w": WEATHER},
        lambda who, w: {"take": w["take"], "why": w["why"]},
        {
            "en": Phrasing(
                [
                    "It is {w} today. What should {who} take along, and why?",
                    "{who} goes out on a {w} day. Advise what to take and give the reason.",
                ],
                [["{who} should take {take.a}.", "It {why}."]],
                "{take.a}",
            ),
            "ja": Phrasing(
                [
                    "今日の天気は{w}です。{who}さんは何を持って行くべきですか。理由も答えてください。",
                    "{who}さんが出かけます。天気は{w}です。持ち物と理由を教えてください。",
                ],
                [["{who}さんは{take}を持つとよいです。", "{why}からです。"]],
                "{take}",
            ),
        },
    ),
    Family(
        "one step",
        "household",
        {"h": HOWTO, "rank": RANKS[:4]},
        _step_after,
        {
            "en": Phrasing(
                [
                    "I want to {h}. What is the {rank} step?",
                    "Name the {rank} step when people {h}.",
                    "Which step comes {rank} when I {h}?",
                ],
                [["The {rank} step is: {step}."]],
                "{step}",
            ),
            "ja": Phrasing(
                ["{h}時の{rank}の手順は何ですか。", "{h}には、{rank}に何をしますか。"],
                [["{rank}の手順は「{step}」です。"]],
                "{step}",
            ),
        },
    ),
    _how_to(2),
    _how_to(3),
    _how_to(4),
]
