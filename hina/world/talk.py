"""The talk of the world: topics, openers, tasks drawn at random, and instructions read back."""

import random
import re
from collections.abc import Sequence
from functools import cache, lru_cache

from kasasagi.hina.world import families_daily, families_nature, families_numbers, families_problems, families_words
from kasasagi.hina.world.entry import Lang
from kasasagi.hina.world.family import Family, Task, show
from kasasagi.hina.world.tables_daily import NAMES

FAMILIES: list[Family] = [
    *families_numbers.FAMILIES,
    *families_problems.FAMILIES,
    *families_nature.FAMILIES,
    *families_words.FAMILIES,
    *families_daily.FAMILIES,
]
JAPANESE_SHARE = 1 / 3
OPENED_SHARE = 0.25
TOPICS = {
    "mathematics": "数学",
    "geography": "地理",
    "animals": "動物",
    "colours": "色",
    "food": "食べ物",
    "words": "言葉",
    "calendar": "暦",
    "work": "仕事",
    "household": "暮らし",
}
OPENERS: dict[Lang, list[str]] = {
    "en": ["I have a question. ", "Quick question: ", "Please answer this: ", *(f"{n.en} asks: " for n in NAMES)],
    "ja": ["質問です。", "教えてください。", "宿題です。", *(f"{n.ja}さんの質問です。" for n in NAMES)],
}
STEER = re.compile(r"(?:Topic|話題): [^\n]*\n")
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龠]")
ABOUT = {
    "capital",
    "country of a capital",
    "continent",
    "animal class",
    "habitat",
    "young animal",
    "sound",
    "colour",
    "opposite",
    "plural",
    "past tense",
    "days of a month",
    "tool of a job",
    "definition of a job",
    "use of a tool",
    "doubling",
    "halving",
    "parity",
    "made of",
    "group",
}
COUNTED = {"addition": "s", "subtraction": "d", "multiplication": "p", "doubling": "d", "halving": "h", "division": "q"}
FOLLOW_UPS: dict[Lang, dict[str, list[str]]] = {
    "en": {
        "about": ["And what about {}?", "How about {}?"],
        "addition": ["Add {} to the result.", "Now add {}."],
        "subtraction": ["Take {} away from the result.", "Now subtract {}."],
    },
    "ja": {
        "about": ["では{}はどうですか。", "{}の場合はどうですか。"],
        "addition": ["その答えに{}を足してください。"],
        "subtraction": ["その答えから{}を引いてください。"],
    },
}


@cache
def family(name: str) -> Family:
    """Return the family of that name."""
    return next(f for f in FAMILIES if f.name == name)


@cache
def _choices(topic: str | None) -> tuple[list[Family], list[float]]:
    chosen = [f for f in FAMILIES if topic in (None, f.topic)]
    return chosen, [min(f.size(), 1500) ** 0.5 for f in chosen]


def draw_language(rng: random.Random) -> Lang:
    """English or Japanese, in the corpus's shares."""
    return "ja" if rng.random() < JAPANESE_SHARE else "en"


def draw_task(rng: random.Random, lang: Lang | None = None, topic: str | None = None) -> Task:
    """Return a task at random; families with more to ask are drawn more often."""
    chosen, weights = _choices(topic)
    drawn = rng.choices(chosen, weights)[0]
    return Task(drawn, lang or draw_language(rng), drawn.draw(rng))


def instruct(task: Task, rng: random.Random) -> str:
    """Return an instruction that asks for the task, now and then behind an opener."""
    opener = rng.choice(OPENERS[task.lang]) if rng.random() < OPENED_SHARE else ""
    return opener + task.ask(rng)


@lru_cache(maxsize=200_000)
def read(instruction: str) -> Task | None:
    """Return the task that an instruction asks for, or None where it is none of this world's."""
    text = STEER.sub("", instruction, count=1).strip()
    lang: Lang = "ja" if any(mark in text for mark in "。?？:") and _is_japanese(text) else "en"
    for opener in OPENERS[lang]:
        if text.startswith(opener):
            text = text[len(opener) :]
            break
    for candidate in FAMILIES:
        slots = candidate.read(text, lang)
        if slots is not None:
            return Task(candidate, lang, slots)
    return None


def _is_japanese(text: str) -> bool:
    outside = re.sub(r"「[^」]*」", "", text)
    return JAPANESE.search(outside) is not None


def draw_follow_up(task: Task, rng: random.Random) -> str | None:
    """Return a question that needs the turn before, or None where the task has none."""
    kinds = [
        kind
        for kind, holds in (
            ("about", task.family.name in ABOUT),
            ("addition", _result(task) is not None),
            ("subtraction", (_result(task) or 0) > 12),
        )
        if holds
    ]
    if not kinds:
        return None
    kind = rng.choice(kinds)
    if kind == "about":
        slot = next(iter(task.family.slots))
        value = show(rng.choice(task.family.slots[slot]), task.lang)
    else:
        value = str(rng.randint(2, 10 if kind == "subtraction" else 49))
    return rng.choice(FOLLOW_UPS[task.lang][kind]).format(value)


def follow(task: Task, text: str) -> Task | None:
    """Return the task that a follow-up asks for, given the task before it."""
    for kind, asks in FOLLOW_UPS[task.lang].items():
        for ask in asks:
            head, tail = ask.split("{}")
            if text.startswith(head) and text.endswith(tail) and len(text) > len(head + tail):
                return _followed(task, kind, text[len(head) : len(text) - len(tail)])
    return None


def _followed(task: Task, kind: str, value: str) -> Task | None:
    if kind == "about":
        return _other(task, value) if task.family.name in ABOUT else None
    result = _result(task)
    if result is None or not value.isdecimal():
        return None
    slots = {"a": result, "b": int(value)}
    wanted = family(kind)
    known = all(number in wanted.slots[name] for name, number in slots.items()) and wanted.valid(**slots)
    return Task(wanted, task.lang, slots) if known else None


def _other(task: Task, value: str) -> Task | None:
    slot, domain = next(iter(task.family.slots.items()))
    found = next((thing for thing in domain if show(thing, task.lang) == value), None)
    return None if found is None else Task(task.family, task.lang, {**task.slots, slot: found})


def _result(task: Task) -> int | None:
    """Return the number that a task comes to, where a follow-up can reckon on with it."""
    fact = COUNTED.get(task.family.name)
    number = task.values[fact] if fact else None
    return number if isinstance(number, int) and number in family("addition").slots["a"] and number >= 10 else None


def read_conversation(turns: Sequence[str]) -> Task | None:
    """Return the task of the last of several user turns, each a question of its own or a follow-up of the
    one before.
    """
    task = None
    for turn in turns:
        own = read(turn)
        task = own if own is not None else (follow(task, turn.strip()) if task is not None else None)
    return task
