"""What a recipe says of its judges, checked against its models and its pairs."""

import math
from pathlib import Path

from kasasagi.blocks.models.kinds import BundledModel, RewardModel
from kasasagi.flows.recipe.errors import RecipeError, shown
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.judge.checklist.config import HIGHEST
from kasasagi.tasks.judge.config import CHECKLIST, VERIFY, JudgeConfig
from kasasagi.tasks.load import SOURCE
from kasasagi.tasks.publish.config import RESPONSE_FORMATS
from kasasagi.tasks.recipe import Recipe

_HIGHEST = {
    "pairwise": (1, "shares of matches won, from 0 to 1"),
    VERIFY: (1, "1 for correct and 0 for incorrect"),
    CHECKLIST: (HIGHEST, "ten times the share of the items that are met, from 0 to 10"),
}
"""The ways of judging with a highest rating that bounds must not exceed, and what their ratings are."""


def judging_problems(recipe: Recipe) -> list[str]:
    """Return what of the judges, the models and the pairs does not go together."""
    judge, pairs = recipe.judging, recipe.pairs
    if judge is None:
        return [] if recipe.pairing else _problems_of_responses(recipe)
    problems = []
    if recipe.responses_provided and recipe.respond.models:
        problems.append("respond: source.responses already provides the responses; remove respond or source.responses")
    if not isinstance(pairs.aspects, str) and set(pairs.aspects) != set(judge.criteria):
        weighed, judged = ", ".join(pairs.aspects), ", ".join(judge.criteria)
        problems.append(
            f"pairs.aspects: the weights name {weighed}, but the judged aspects are {judged}; "
            "name the same ones (a weight of 0 leaves one out)"
        )
    if pairs.quorum is not None and pairs.quorum > len(judge.votes):
        problems.append(
            f"pairs.quorum: {pairs.quorum} judges are asked for, and there are {len(judge.votes)} "
            "(each sample of each counts); lower it"
        )
    rated_by = VERIFY if judge.checks else judge.method
    bounds = {"min_margin": pairs.min_margin, "min_chosen_rating": pairs.min_chosen_rating or 0}
    problems += [
        f"pairs.{name}: {value:g} is more than {rated_by} can give, whose ratings are {ratings}; lower it"
        for name, value in bounds.items()
        for highest, ratings in [_HIGHEST.get(rated_by, (math.inf, ""))]
        if value > highest
    ]
    problems += [
        f"judge: {name!r} is {'a' if rewards else 'no'} reward model, and judge.method is {judge.method}; "
        f"{'set it to reward' if rewards else 'name a model of the kind reward'}"
        for name in judge.judges
        if name in recipe.models
        and (rewards := isinstance(recipe.models[name], RewardModel)) != (judge.method == "reward")
    ]
    bundled = [name for name in judge.judges if isinstance(recipe.models.get(name), BundledModel)]
    if judge.output == "json" and bundled:
        problems.append(f"judge.output: the bundled model {bundled[0]!r} cannot be held to JSON; use sections")
    problems += _checklist_problems(recipe, judge)
    if judge.together and bundled:
        problems.append(f"judge.together: the bundled model {bundled[0]!r} rates one aspect a call; leave together out")
    return problems


def _checklist_problems(recipe: Recipe, judge: JudgeConfig) -> list[str]:
    """Return which models of a checklist cannot follow its form."""
    if not judge.is_checklist:
        return []
    asked = dict.fromkeys(judge.judges, "leave model out, so that checkers alone decide")
    asked |= {judge.items_writer: "give the items"} if judge.items_writer else {}
    return [
        f"judge: the bundled model {name!r} was not trained on checklists; name another model, or {remedy}"
        for name, remedy in asked.items()
        if isinstance(recipe.models.get(name), BundledModel)
    ] + [
        f"judge.items_by: {name!r} is a reward model, which gives numbers and no words; name another"
        for name in [judge.items_by]
        if name and isinstance(recipe.models.get(name), RewardModel)
    ]


def _problems_of_responses(recipe: Recipe) -> list[str]:
    """Return the settings that a recipe without a judge and pairs cannot have."""
    if recipe.responses_provided:
        return ["judge: this key is missing (who judges); the source holds the responses already"]
    if recipe.pairs != PairsConfig():
        return ["judge: this key is missing (who judges); only a recipe without judge and pairs publishes responses"]
    chosen = recipe.publish.formats if "formats" in recipe.publish.model_fields_set else ()
    return [
        f"publish.formats: {name!r} is made of pairs, and without judge there are responses; use "
        f"{' or '.join(RESPONSE_FORMATS)}"
        for name in chosen
        if name not in RESPONSE_FORMATS
    ]


def with_source_chosen(recipe: Recipe) -> Recipe:
    """Return the recipe with pairs of the source's own answers and the responders', where the source's are the chosen
    ones.

    Raises:
        RecipeError: If another strategy is set, or a responder has the source's name.
    """
    if not recipe.chooses_source:
        return recipe
    responders = tuple(responder.name for responder in recipe.respond.models)
    if SOURCE in responders:
        raise RecipeError(f"respond.models: {SOURCE!r} names the source's own answers here; give the model a label")
    if not responders:
        raise RecipeError("respond: this key is missing (whose answers are rejected); source.last_answer is as_chosen")
    if recipe.pairs.strategy == "strong_vs_weak" and recipe.pairs.strong == (SOURCE,):
        return recipe
    sides = {"strategy": "strong_vs_weak", "strong": (SOURCE,), "weak": responders}
    if {"strategy", "strong", "weak"} & recipe.pairs.model_fields_set:
        raise RecipeError(
            f"pairs.strategy: {recipe.pairs.strategy!r} may choose other answers than the source's, and "
            "source.last_answer is as_chosen; leave strategy, strong and weak out"
        )
    return recipe.model_copy(
        update={"pairs": PairsConfig.model_validate({**recipe.pairs.model_dump(exclude_unset=True), **sides})}
    )


def with_judge_texts(recipe: Recipe, base: Path) -> Recipe:
    """Return the recipe with the texts of its rubric and judge prompt in place of files, so that a run keeps them.

    Raises:
        RecipeError: A file cannot be read.
    """
    judge = recipe.judge
    if judge is None:
        return recipe
    parts = {name: part for name in ("rubric", "prompt") if (part := getattr(judge, name)) is not None and part.file}
    texts = {
        name: part.model_copy(update={"text": _text_of(f"judge.{name}.file", base / part.file), "file": None})
        for name, part in parts.items()
    }
    return recipe.model_copy(update={"judge": judge.model_copy(update=texts)}) if texts else recipe


def _text_of(place: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:  # ValueError: a path that no file system has
        raise RecipeError(f"{place}: {shown(str(file))} cannot be read ({error}); correct the path") from error
