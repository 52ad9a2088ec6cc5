"""What `kasasagi check --ping` shows of the judges: which of two plain answers they prefer."""

from collections.abc import Awaitable, Callable
from typing import Any

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import BundledModel, RewardModel
from kasasagi.blocks.models.llm import Completion, Request
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.tasks.asking import Answered
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.groups import Group
from kasasagi.tasks.judge.methods import Method, method_of
from kasasagi.tasks.judge.prompt import Language
from kasasagi.tasks.judge.rate import read_answer
from kasasagi.tasks.judge.replies.lines import UnreadableReply
from kasasagi.tasks.judge.requests import body_for, shown_data
from kasasagi.tasks.recipe import Recipe

EXAMPLE: dict[Language, str] = {"en": "What is the capital of Japan?", "ja": "日本の首都はどこですか。"}
GOOD: dict[Language, str] = {"en": "The capital of Japan is Tokyo.", "ja": "日本の首都は東京です。"}
BAD: dict[Language, str] = {"en": "The capital of Japan is Berlin.", "ja": "日本の首都はベルリンです。"}
Complete = Callable[[Request], Awaitable[Completion]]


def example_row(recipe: Recipe) -> dict[str, Any]:
    """Return an example of a prompt in the judge's language, with a name in place of each column that is kept."""
    language = _language(recipe.judging) if recipe.judging else "en"
    columns: dict[str, Any] = {name: f"({name})" for name in recipe.kept_columns}
    messages = [{"role": "user", "content": EXAMPLE[language]}]
    return {**columns, "prompt_id": "0" * 32, "instruction": EXAMPLE[language], "messages": messages}


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
    method, shown = _method(loaded, judging, label), shown_data(judging, example_row(recipe))
    ratings: dict[int, float] = {}
    for group, question, texts in asked:
        completion = await complete(question.request)
        if completion.error is not None:
            return completion
        try:
            verdicts = read_answer(method, Answered(question, completion, False), texts, judging.criteria[0], shown)
        except UnreadableReply as error:
            what = f"its verdict on a plain example cannot be read ({error})"
            log(f"warning: models.{label}: {what}; {_remedy(recipe, label)}")
            return None
        ratings |= {index: verdict.rating for index, verdict in zip(group, verdicts, strict=False)}
        if judging.read == "distribution" and completion.numbers is None:
            what = "gives no log probabilities, so its ratings are read from the text"
            log(f"warning: models.{label}: {what}; write judge.read: text, or judge with another model")
    log(_preference(recipe, judging, label, (ratings[0], ratings[1])))
    return None


def _questions(loaded: LoadedRecipe, judging: JudgeConfig, label: str) -> list[tuple[Group, Question, list[str]]]:
    """Return what a judge is asked about the good and the bad answer: which of them are shown, the
    question, the texts.
    """
    language, method = _language(judging), _method(loaded, judging, label)
    body = body_for(judging, loaded.recipe.models[label])
    row, found = example_row(loaded.recipe), []
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
