"""The verdict of a probe, and what to try: each piece of advice names the figure that it comes from."""

from collections.abc import Callable, Iterator
from typing import Literal

from pydantic import Field

from kasasagi.blocks.models.kinds import Config, Sampling
from kasasagi.flows.probe.figures import ProbeFigures

Verdict = Literal["suits", "usable", "unsuited"]
GOOD_YIELD, POOR_YIELD = 0.6, 0.25
GOOD_DISTINCT, POOR_DISTINCT = 0.9, 0.5
GOOD_NEAR, POOR_NEAR = 0.2, 0.6
OFTEN, SOMETIMES = 0.1, 0.05
ENOUGH_DRAWS = 100


class Judgement(Config):
    """Whether a model suits Magpie, why, and what to try."""

    verdict: Verdict = Field(description="suits, usable (if you follow the advice), or unsuited.")
    because: tuple[str, ...] = Field(description="The figures that decided.")
    advice: tuple[str, ...] = Field((), description="What to try, the most promising first.")


def judge(figures: ProbeFigures, sampling: Sampling, steered: bool) -> Judgement:
    """Return the verdict on some figures that were drawn with this sampling; steered says whether anything steered
    them.

    A model suits Magpie where at least 60% of the draws are accepted, 90% of the texts are distinct and at most 20%
    of these near duplicates; it is unsuited under 25% or 50%, or beyond 60%.
    """
    measured = (
        (figures.accepted, GOOD_YIELD, POOR_YIELD, "of the draws are accepted"),
        (figures.distinct, GOOD_DISTINCT, POOR_DISTINCT, "of the texts are distinct"),
        (1 - figures.near, 1 - GOOD_NEAR, 1 - POOR_NEAR, "of the distinct ones are unlike the earlier ones"),
    )
    verdict: Verdict = "suits" if all(value >= good for value, good, _, _ in measured) else "usable"
    if any(value < poor for value, _, poor, _ in measured):
        verdict = "unsuited"
    because = tuple(f"{value:.0%} {what} (good: {good:.0%} or more)" for value, good, _, what in measured)
    return Judgement(verdict=verdict, because=because, advice=tuple(_advice(figures, sampling, steered)))


def _advice(figures: ProbeFigures, sampling: Sampling, steered: bool) -> Iterator[str]:
    if figures.draws < ENOUGH_DRAWS:
        yield f"{figures.draws} draws are too few to rely on these shares: draw at least {ENOUGH_DRAWS} (-n)"
    for one in (_on_failures, _on_answers, _on_leaks, _on_stops, _on_cuts):
        yield from one(figures, sampling)
    for rule, least, words in _ON_RULES:
        lost = 1 - figures.passes.get(rule, 1.0)
        if lost >= least:
            yield words(lost, sampling)
    yield from _on_sameness(figures, sampling, steered)
    if (other := figures.languages.get("other", 0.0)) >= SOMETIMES:
        yield f"{other:.0%} are in neither English nor Japanese: set source.languages, or the rule language"


def _on_failures(figures: ProbeFigures, sampling: Sampling) -> Iterator[str]:
    for reason, count in figures.failed.items():
        share = count / figures.draws
        if reason == "empty" and share >= SOMETIMES:
            yield (
                f"{share:.0%} of the draws are empty: the model ends its turn at once, so the template is probably not "
                "its own; name its family in source.template, or give its tokenizer"
            )
        elif share >= SOMETIMES:
            yield f"{share:.0%} of the draws failed ({reason}): fix the endpoint first"


def _on_answers(figures: ProbeFigures, sampling: Sampling) -> Iterator[str]:
    if figures.answers >= SOMETIMES:
        yield (
            f"{figures.answers:.0%} of the texts sound like an assistant: the model did not play the user; "
            "use an endpoint with /completions and the model's own template, not a chat-only endpoint"
        )


def _on_leaks(figures: ProbeFigures, sampling: Sampling) -> Iterator[str]:
    leaks = 1 - figures.passes.get("template_leak", 1.0)
    if leaks >= SOMETIMES:
        yield f"{leaks:.0%} contain text of a chat template: add the markers that end a user's turn to sampling.stop"


def _on_stops(figures: ProbeFigures, sampling: Sampling) -> Iterator[str]:
    cut = 1 - figures.passes.get("stopped_by", 1.0)
    words = [text for text in sampling.stop or () if text.strip().isalpha()]
    named = f" ({', '.join(map(repr, words))})" if words else ""
    if cut >= 0.02 or words:
        found = f"{cut:.0%} were cut at a word{named}" if cut >= 0.005 else f"sampling.stop has words{named}"
        yield (
            f"{found}: a stop string that is a word also cuts texts which hold it; stop at the markers of the template"
        )


def _on_cuts(figures: ProbeFigures, sampling: Sampling) -> Iterator[str]:
    if figures.cut >= OFTEN:
        limit = f" (now {sampling.max_tokens})" if sampling.max_tokens else ""
        yield (
            f"{figures.cut:.0%} ended at max_tokens{limit}: raise it, or stop at the end of the first paragraph with "
            r'stop: ["\n\n"]'
        )


def _on_sameness(figures: ProbeFigures, sampling: Sampling, steered: bool) -> Iterator[str]:
    same = figures.distinct < GOOD_DISTINCT or figures.near > GOOD_NEAR
    if same and (sampling.temperature is None or sampling.temperature < 1):
        now = "not set" if sampling.temperature is None else f"{sampling.temperature:g}"
        yield f"many texts are alike: raise sampling.temperature to 1.0 (now {now}), with top_p 1"
    elif same:
        yield f"many texts are alike at temperature {sampling.temperature:g}: try 1.2, or steer"
    if (same or figures.opening_share >= 0.3) and not steered:
        begins = f" ({figures.opening_share:.0%} begin with {figures.opening!r})" if figures.opening else ""
        yield f"the instructions vary little{begins}: steer them by source.system_prompts, packs, personas or languages"


def _repetition(lost: float, sampling: Sampling) -> str:
    now = f" (now {sampling.repetition_penalty:g})" if sampling.repetition_penalty else ""
    return f"{lost:.0%} repeat themselves: set sampling.repetition_penalty to 1.1{now}"


def _odd(lost: float, sampling: Sampling) -> str:
    return f"{lost:.0%} mix scripts: lower sampling.temperature or top_p (0.95), and keep the rule odd_script"


def _no_sentence_end(lost: float, sampling: Sampling) -> str:
    return (
        f"{lost:.0%} do not end as a sentence: lower sampling.temperature; a base model without chat training seldom "
        "learns to end"
    )


def _rule(name: str, what: str) -> Callable[[float, Sampling], str]:
    return lambda lost, sampling: f"{lost:.0%} {what}: add the rule {name} to filter.rules"


_ON_RULES: tuple[tuple[str, float, Callable[[float, Sampling], str]], ...] = (
    ("repetition", SOMETIMES, _repetition),
    ("odd_script", SOMETIMES, _odd),
    ("ends_as_a_sentence", 0.3, _no_sentence_end),
    ("answer_inside", SOMETIMES, _rule("answer_inside", "hold their own answer")),
    ("private_life", SOMETIMES, _rule("private_life", "ask about the answerer's private life")),
    ("missing_context", SOMETIMES, _rule("missing_context", "refer to something that is missing")),
    ("personal_data", 0.02, _rule("personal_data", "contain what looks like personal data")),
)
