"""What a recipe says of its judges, checked against its models and its pairs."""

from pathlib import Path
from typing import TYPE_CHECKING

from blocks.models import BundledModel, RewardModel
from flows.recipe_errors import RecipeError, shown

if TYPE_CHECKING:
    from flows.recipe import Recipe


def judges_of(recipe: "Recipe") -> list[tuple[str, str]]:
    """The judges with the places in the recipe that name them."""
    judge = recipe.judge
    if judge is None:
        return []
    return [
        ("judge.model" if judge.model else f"judge.models.{number}", name) for number, name in enumerate(judge.judges)
    ]


def judging_faults(recipe: "Recipe") -> list[str]:
    """What of the judges, the models and the pairs does not go together."""
    judge, pairs = recipe.judging, recipe.pairs
    if judge is None:
        return [] if pairs.strategy == "strong_vs_weak" else ["judge: this key is missing (who judges)"]
    faults = []
    if recipe.given and recipe.respond.models:
        faults.append("respond: source.responses names responses that are there already, so nobody answers; drop one")
    if not isinstance(pairs.aspects, str) and set(pairs.aspects) != set(judge.marks):
        weighed, judged = ", ".join(pairs.aspects), ", ".join(judge.marks)
        faults.append(
            f"pairs.aspects: weights are given for {weighed}, and judged are {judged}; "
            "name the same ones, a weight of 0 leaves one out"
        )
    if pairs.quorum is not None and pairs.quorum > len(judge.voices):
        faults.append(
            f"pairs.quorum: {pairs.quorum} judges are asked for, and there are {len(judge.voices)} "
            "(each sample of each counts); lower it"
        )
    if judge.method == "pairwise" and pairs.min_margin > 1:
        faults.append(
            f"pairs.min_margin: {pairs.min_margin:g} is more than pairwise can give, whose ratings are shares of "
            "matches won, from 0 to 1; lower it"
        )
    faults += [
        f"judge: {name!r} is {'a' if rewards else 'no'} reward model, and judge.method is {judge.method}; "
        f"{'set it to reward' if rewards else 'name a model of the kind reward'}"
        for name in judge.judges
        if name in recipe.models
        and (rewards := isinstance(recipe.models[name], RewardModel)) != (judge.method == "reward")
    ]
    bundled = [name for name in judge.judges if isinstance(recipe.models.get(name), BundledModel)]
    if judge.output == "json" and bundled:
        faults.append(f"judge.output: the bundled model {bundled[0]!r} cannot be held to JSON; use sections")
    return faults


def with_rubric(recipe: "Recipe", base: Path) -> "Recipe":
    """The recipe with the text of its rubric in place of the rubric's file, so that a run keeps what was asked.

    Raises RecipeError.
    """
    judge = recipe.judge
    if judge is None or judge.rubric is None or judge.rubric.file is None:
        return recipe
    file = base / judge.rubric.file
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"judge.rubric.file: {shown(str(file))} cannot be read ({error}); correct the path"
        ) from error
    rubric = judge.rubric.model_copy(update={"text": text, "file": None})
    return recipe.model_copy(update={"judge": judge.model_copy(update={"rubric": rubric})})
