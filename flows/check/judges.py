"""What `kasasagi check` shows of the judges: their request, and with --ping which of two plain answers they prefer."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import BundledModel, RewardModel
from kasasagi.blocks.models.llm import Completion, Request
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.flows.views.language import say
from kasasagi.tasks.asking import Answered
from kasasagi.tasks.judge.checkers.auto import kind_for, needs_extra
from kasasagi.tasks.judge.checkers.finding import Case
from kasasagi.tasks.judge.checkers.numbers.expressions import EXTRA
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.groups import Group
from kasasagi.tasks.judge.methods import Method, method_of
from kasasagi.tasks.judge.prompt import Language
from kasasagi.tasks.judge.rate import read_answer
from kasasagi.tasks.judge.replies.lines import UnreadableReply
from kasasagi.tasks.judge.requests import body_for, judge_language
from kasasagi.tasks.judge.verify.config import VerifyConfig
from kasasagi.tasks.judge.verify.work import last_turn
from kasasagi.tasks.recipe import Recipe

EXAMPLE: dict[Language, str] = {"en": "What is the capital of Japan?", "ja": "日本の首都はどこですか。"}
GOOD: dict[Language, str] = {"en": "The capital of Japan is Tokyo.", "ja": "日本の首都は東京です。"}
BAD: dict[Language, str] = {"en": "The capital of Japan is Berlin.", "ja": "日本の首都はベルリンです。"}
SHOWN_TRUTH = 200
Complete = Callable[[Request], Awaitable[Completion]]


def example_row(recipe: Recipe, language: Language = "en") -> dict[str, Any]:
    """Return an example of a prompt, with a name in place of each column that the recipe keeps."""
    columns: dict[str, Any] = {name: f"({name})" for name in recipe.kept_columns}
    messages = [{"role": "user", "content": EXAMPLE[language]}]
    return {**columns, "prompt_id": "0" * 32, "instruction": EXAMPLE[language], "messages": messages}


def judge_example(
    loaded: LoadedRecipe, judging: JudgeConfig, first: Mapping[str, Any] | None = None
) -> tuple[str, str]:
    """Return what the judges are asked about the source's first row, else about an example, with a title."""
    row = first or example_row(loaded.recipe, _language(judging))
    if judging.verifies:
        return "answers are checked, and no model is asked", _checked(judging.verifying, row)
    language, method = judge_language(judging, row), _method(loaded, judging, judging.judges[0])
    texts = ["(first answer)", "(second answer)"][: len(method.groups(row["prompt_id"], 2)[0])]
    request = method.request(row, texts, judging.criteria[0], language)
    title = say("{model} judges", model=", ".join(judging.judges))
    return title, "\n".join(turn["content"] for turn in request["messages"])


def _checked(config: VerifyConfig, row: Mapping[str, Any]) -> str:
    """Return what the answers to a prompt are checked against, and whether something for that is missing here."""
    truth = config.constraint if config.truth is None else row.get(config.truth)
    kind = config.kind if config.kind != "auto" else kind_for(Case("", truth, last_turn(row)))
    against = "what the prompt asks for" if truth is None else repr(truth)
    lines = [f"{kind} against {against[:SHOWN_TRUTH]}"]
    if kind == "number" and truth is not None and needs_extra(str(truth)):
        lines.append(f"such expressions are compared by the extra [{EXTRA}], which is not installed")
    return "\n".join(lines)


async def ask_preference(
    loaded: LoadedRecipe, judging: JudgeConfig, label: str, complete: Complete, log: Callable[[str], None]
) -> Completion | None:
    """Show which of a good and a bad answer a judge prefers, and warn where it is the bad one.

    Args:
        loaded: The recipe.
        judging: Its judges.
        label: The judge that is asked.
        complete: Sends a request to its model.
        log: Shows a line.

    Returns:
        The completion that failed, if one did.
    """
    recipe, asked = loaded.recipe, _questions(loaded, judging, label)
    method = _method(loaded, judging, label)
    ratings: dict[int, float] = {}
    for group, question, texts in asked:
        completion = await complete(question.request)
        if completion.error is not None:
            return completion
        try:
            verdicts = read_answer(method, Answered(question, completion, False), texts, judging.criteria[0])
        except UnreadableReply as error:
            what = f"its verdict on a plain example cannot be read ({error})"
            log(f"warning: models.{label}: {what}; {_remedy(recipe, label)}")
            return None
        ratings |= {index: verdict.rating for index, verdict in zip(group, verdicts, strict=True)}
    log(_preference(recipe, judging, label, (ratings[0], ratings[1])))
    return None


def _questions(loaded: LoadedRecipe, judging: JudgeConfig, label: str) -> list[tuple[Group, Question, list[str]]]:
    """Return what a judge is asked about the good and the bad answer: which of them are shown, the
    question, the texts.
    """
    language, method = _language(judging), _method(loaded, judging, label)
    body = body_for(judging, loaded.recipe.models[label])
    row, found = example_row(loaded.recipe, language), []
    for group in method.groups(row["prompt_id"], 2):
        texts = [(GOOD[language], BAD[language])[index] for index in group]
        request = {**method.request(row, texts, judging.criteria[0], language), **body}
        found.append((group, Question(label, "", request), texts))
    return found


def _preference(recipe: Recipe, judging: JudgeConfig, label: str, ratings: tuple[float, float]) -> str:
    """Say which of the good and the bad answer has the higher rating."""
    answers = (GOOD[_language(judging)], BAD[_language(judging)])
    good, bad = (f"{rating:g} for {answer!r}" for rating, answer in zip(ratings, answers, strict=True))
    if ratings[0] > ratings[1]:
        return f"  {label} prefers the good one of two answers: {good}, {bad}"
    if ratings[0] < ratings[1]:
        what = f"prefers the bad one of two plain answers ({good}, {bad}), so its pairs may mean the opposite"
    else:
        what = f"sees no difference between a good and a bad answer ({good}, {bad}), so it may make no pairs"
    return f"warning: models.{label}: {what}; {_remedy(recipe, label)}"


def _remedy(recipe: Recipe, label: str) -> str:
    if isinstance(recipe.models[label], RewardModel):
        return "set number to the label that means a good answer, or judge with another model"
    return "read the request above, or judge with another model"


def _method(loaded: LoadedRecipe, judging: JudgeConfig, label: str) -> Method:
    return method_of(judging, loaded.base, bundled=isinstance(loaded.recipe.models[label], BundledModel))


def _language(judging: JudgeConfig) -> Language:
    return "en" if judging.language == "auto" else judging.language
