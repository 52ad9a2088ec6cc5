"""What hina can do, on instructions held out from its training: `python -m benchmarks.hina [--vllm]`."""

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from kasasagi.blocks.engines.bundled import BundledEngine, shipped_model
from kasasagi.blocks.models.llm import Message
from kasasagi.hina.corpus import STEERS, TOPIC_SYSTEMS, WorldQuestion, draw_question
from kasasagi.hina.world.oracle import grade_task
from kasasagi.hina.world.talk import TOPICS, draw_task, instruct, read
from kasasagi.tasks.judge.prompt import ASPECTS, judge_messages, judge_prompt
from kasasagi.tasks.text.languages import language_of

MAX_ANSWER, MAX_INSTRUCTION, MAX_VERDICT = 128, 96, 400


@dataclass(frozen=True)
class Figure:
    """One line of the table: a name, what was measured, and what it should at least (or at most) be."""

    name: str
    value: float
    floor: float | None = None
    at_most: bool = False
    unit: str = "%"

    @property
    def holds(self) -> bool:
        """Whether the floor is kept."""
        if self.floor is None:
            return True
        return self.value <= self.floor if self.at_most else self.value >= self.floor

    def line(self) -> str:
        """Return the figure as a row of a Markdown table."""
        shown = f"{self.value:,.1f}%" if self.unit == "%" else f"{self.value:,.0f}{self.unit}"
        floor = "" if self.floor is None else f"{'<=' if self.at_most else '>='} {self.floor:,.0f}"
        return f"| {self.name} | {shown} | {floor} | {'ok' if self.holds else 'MISSED'} |"


def share(hits: Sequence[bool]) -> float:
    """Return the percentage of hits."""
    return 100 * sum(hits) / max(1, len(hits))


def questions(count: int, seed: int) -> list[WorldQuestion]:
    """Questions whose instructions were held out of training, some of them follow-ups."""
    rng = random.Random(seed)
    return [draw_question(rng, unseen=True) for _ in range(count)]


def answers(engine: BundledEngine, asked: Sequence[WorldQuestion], temperature: float) -> list[str]:
    """Return one answer to each question."""
    requests = [{"messages": q.messages, "temperature": temperature, "max_tokens": MAX_ANSWER} for q in asked]
    return [reply.text for reply in engine.generate(requests)]


def answer_figures(engine: BundledEngine, count: int) -> list[Figure]:
    """Return how many answers are right, greedy and sampled."""
    asked = questions(count, 1)
    found = []
    for temperature, floor in ((0.0, 93.0), (1.0, None), (1.3, None)):
        texts = answers(engine, asked, temperature)
        right = [grade_task(q.task, text).verdict == "right" for q, text in zip(asked, texts, strict=True)]
        name = "answers right, greedy" if temperature == 0 else f"answers right, temperature {temperature}"
        found.append(Figure(name, share(right), floor))
    return found


def japanese_share(texts: Sequence[str]) -> float:
    """Return the percentage of texts that are written in Japanese, well-formed or not."""
    return share([language_of(text) == "ja" for text in texts])


def corpus_instructions(count: int) -> list[str]:
    """First instructions as the corpus has them, without a system prompt or a steering line."""
    rng = random.Random(5)
    return [instruct(draw_task(rng), rng) for _ in range(count)]


def magpie_figures(engine: BundledEngine, count: int = 1000) -> list[Figure]:
    """Instructions from the empty pre-query prefix: well-formed, distinct, Japanese."""
    request = {"prompt": engine.pre_query_prefix(), "temperature": 1.0, "max_tokens": MAX_INSTRUCTION}
    texts = [reply.text.strip() for reply in engine.generate([request] * count)]
    tasks = [read(text) for text in texts]
    off = japanese_share(texts) - japanese_share(corpus_instructions(4 * count))
    return [
        Figure("well-formed instructions from the empty prefix", share([task is not None for task in tasks]), 93.0),
        Figure(f"distinct among {count:,} of them", len(set(texts)), 0.8 * count, unit=""),
        Figure("Japanese share, points away from the corpus", abs(off), 5.0, at_most=True),
    ]


def steering_figure(engine: BundledEngine, each: int = 40) -> Figure:
    """Return how often a topic, given as a system prompt or as a steering line, is the topic of the instruction."""
    prefixes = []
    for topic in [*TOPICS, "Japanese"]:
        for template in TOPIC_SYSTEMS["en"]:
            prefixes.append((topic, engine.pre_query_prefix(template.format(topic=topic))))
        prefixes.append((topic, engine.pre_query_prefix(steer=STEERS["en"].format(topic=topic))))
    drawn = [(topic, prefix) for topic, prefix in prefixes for _ in range(each)]
    requests = [{"prompt": prefix, "temperature": 1.0, "max_tokens": MAX_INSTRUCTION} for _, prefix in drawn]
    hits = []
    for (topic, _), reply in zip(drawn, engine.generate(requests), strict=True):
        task = read(reply.text.strip())
        hits.append(task is not None and (task.lang == "ja" if topic == "Japanese" else task.family.topic == topic))
    return Figure("steering hits its topic", share(hits), 85.0)


def ratings(reply: str, lang: str, count: int) -> list[int] | None:
    """Return the ratings of a judge's reply, or None where it lacks one."""
    label = judge_prompt("ja" if lang == "ja" else "en").labels["rating"]
    found = [int(digit) for digit in re.findall(rf"^{re.escape(label)} ([1-5])$", reply, re.MULTILINE)]
    return found if len(found) == count else None


def judged(
    engine: BundledEngine, cases: Sequence[tuple[WorldQuestion, list[str]]], aspect: str
) -> list[list[int] | None]:
    """Return the ratings that hina gives to the texts of each case, in their order."""
    requests = []
    for question, texts in cases:
        messages: list[Message] = judge_messages(question.messages, texts, aspect, question.task.lang, bundled=True)
        requests.append({"messages": messages, "temperature": 0.0, "max_tokens": MAX_VERDICT})
    replies = engine.generate(requests)
    return [ratings(r.text, q.task.lang, len(t)) for r, (q, t) in zip(replies, cases, strict=True)]


def sign(number: float) -> int:
    """-1, 0 or 1."""
    return (number > 0) - (number < 0)


def judge_figures(engine: BundledEngine, count: int, aspect: str = ASPECTS[0]) -> list[Figure]:
    """Return whether the judge tells the better of two of hina's own answers, and says the same in both orders."""
    asked = questions(count, 2)
    pairs = zip(asked, answers(engine, asked, 1.0), answers(engine, asked, 1.3), strict=True)
    cases = [(q, [a, b]) for q, a, b in pairs if a.strip() != b.strip() and a.strip() and b.strip()]
    forward = judged(engine, cases, aspect)
    backward = judged(engine, [(q, texts[::-1]) for q, texts in cases], aspect)
    truth = [[grade_task(q.task, text).rate(aspect) for text in texts] for q, texts in cases]
    read_both = [(t, f, b[::-1]) for t, f, b in zip(truth, forward, backward, strict=True) if f and b]
    verdicts = [(sign(t[0] - t[1]), sign(f[0] - f[1]), sign(b[0] - b[1])) for t, f, b in read_both]
    unequal = [(right, verdict) for right, *both in verdicts for verdict in both if right]
    name = f"judge ({aspect}): "
    return [
        Figure(name + "readable replies", share([f is not None for f in forward + backward]), 95.0),
        Figure(name + "better text gets the higher rating", share([a == b for a, b in unequal]), 88.0),
        Figure(name + "worse text gets the higher rating", share([a == -b for a, b in unequal]), 6.0, at_most=True),
        Figure(name + "same verdict in both orders", share([f == b for _, f, b in verdicts]), 85.0),
        Figure(
            name + "answers of equal grade rated equal", share([s == 0 for r, *both in verdicts for s in both if not r])
        ),
    ]


def many_texts_figure(engine: BundledEngine, count: int) -> Figure:
    """Of four sampled answers judged at once: how often two of unequal grade are rated the right way round."""
    asked = questions(count, 3)
    drawn = [answers(engine, asked, t) for t in (0.7, 1.0, 1.3, 1.5)]
    cases = [(q, [text or "?" for text in texts]) for q, *texts in zip(asked, *drawn, strict=True)]
    hits = []
    for (question, texts), ratings in zip(cases, judged(engine, cases, ASPECTS[0]), strict=True):
        grades = [grade_task(question.task, text).rating for text in texts]
        for (a, x), (b, y) in pairwise(zip(grades, ratings or [0] * 4, strict=True)):
            if a != b:
                hits.append(sign(a - b) == sign(x - y))
    return Figure("judge, four texts: better text gets the higher rating", share(hits))


def speed_figure(engine: BundledEngine, count: int = 4000) -> Figure:
    """Tokens a second when sampling instructions and answers in batches."""
    prefix = {"prompt": engine.pre_query_prefix(), "temperature": 1.0, "max_tokens": MAX_INSTRUCTION}
    start = time.monotonic()
    invented = engine.generate([prefix] * count)
    requests = [{"messages": [{"role": "user", "content": r.text}], "max_tokens": MAX_ANSWER} for r in invented]
    replies = engine.generate(requests)
    tokens = sum(reply.completion_tokens for reply in [*invented, *replies])
    return Figure("tokens a second, sampled", tokens / (time.monotonic() - start), 20_000, unit="")


def vllm_figures(engine: BundledEngine, count: int) -> list[Figure]:
    """Compare the same weights in vLLM: greedy answers of the same grade, and the same word for word."""
    from vllm import LLM, SamplingParams

    folder = shipped_model().parent / "hf"
    model = LLM(model=str(folder), enforce_eager=True, max_model_len=2048, dtype="bfloat16")
    asked = questions(count, 4)
    ours = answers(engine, asked, 0.0)
    replies = model.chat([q.messages for q in asked], SamplingParams(temperature=0, max_tokens=MAX_ANSWER))
    theirs = [reply.outputs[0].text for reply in replies]
    graded = [
        grade_task(q.task, a).verdict == grade_task(q.task, b).verdict
        for q, a, b in zip(asked, ours, theirs, strict=True)
    ]
    return [
        Figure("vLLM, same weights: greedy answers of the same grade", share(graded), 99.0),
        Figure("vLLM, same weights: word for word", share([a == b for a, b in zip(ours, theirs, strict=True)])),
    ]


def measure(engine: BundledEngine, count: int, with_vllm: bool) -> list[Figure]:
    """Return all figures, each from about `count` questions."""
    steps: list[Callable[[], list[Figure]]] = [
        lambda: answer_figures(engine, count),
        lambda: magpie_figures(engine),
        lambda: [steering_figure(engine)],
        lambda: judge_figures(engine, count),
        lambda: [many_texts_figure(engine, count // 4)],
        lambda: [speed_figure(engine)],
    ]
    if with_vllm:
        steps.append(lambda: vllm_figures(engine, count))
    return [figure for step in steps for figure in step()]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=None, help="another CTranslate2 folder than the shipped one")
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--vllm", action="store_true", help="compare with vLLM on the same weights (imports vllm)")
    parser.add_argument("--json", type=Path, default=None, help="write the figures there too")
    arguments = parser.parse_args()
    figures = measure(BundledEngine(arguments.model, threads=arguments.threads), arguments.questions, arguments.vllm)
    print("| figure | measured | floor | |\n| --- | --- | --- | --- |")
    for figure in figures:
        print(figure.line())
    if arguments.json:
        arguments.json.write_text(json.dumps({f.name: f.value for f in figures}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
