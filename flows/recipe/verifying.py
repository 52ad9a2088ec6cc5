"""What a recipe says of its checker, held against its columns and its constraint."""

from pathlib import Path

from kasasagi.blocks.own.python import is_own
from kasasagi.flows.recipe.errors import nearest, shown
from kasasagi.tasks.judge.checkers.code.sandbox import unsupported
from kasasagi.tasks.judge.checkers.named import CHECKERS
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.verify.work import constraint_problem
from kasasagi.tasks.recipe import Recipe


def verify_problems(recipe: Recipe, base: Path) -> list[str]:
    """Return a sentence for each thing that answers cannot be checked against."""
    if recipe.judging is None:
        return []
    problems = [*_missing_columns(recipe, recipe.judging), *_item_problems(recipe.judging, base)]
    if not recipe.judging.checks:
        return problems
    config = recipe.judging.verifying
    if config.run_code and (missing := unsupported()):
        problems.append(
            f"judge.verify.kind: 'code' cannot be checked here: {missing}; run the recipe on such a machine"
        )
    if not is_own(config.kind) and (problem := constraint_problem(config, CHECKERS.find(config.kind, base))):
        problems.append(f"judge.verify.constraint: {shown(str(config.constraint))} cannot be checked: {problem}")
    return problems


def _missing_columns(recipe: Recipe, judge: JudgeConfig) -> list[str]:
    """Return a sentence for each column that the checker or the items name and that the prompts do not have."""
    known = [*recipe.prompt_columns, *recipe.filter.columns, *recipe.stage_columns]
    named = {"judge.verify.truth": judge.verifying.truth if judge.checks else None}
    if isinstance(judge.items, str):
        named["judge.items"] = judge.items
    elif judge.items is not None:
        checks = {f"judge.items.{place}.check": one.check for place, one in enumerate(judge.items)}
        named |= {f"{place}.truth": check.truth for place, check in checks.items() if check is not None}
    return [
        f"{place}: {column!r} is not a column of the prompts{nearest(column, known)}; "
        "further columns of the source are named in source.keep"
        for place, column in named.items()
        if column is not None and column not in known and not recipe.stages
    ]


def _item_problems(judge: JudgeConfig, base: Path) -> list[str]:
    """Return a sentence for each item of the recipe whose constraint cannot be checked."""
    items = () if judge.items is None or isinstance(judge.items, str) else judge.items
    checks = [(f"judge.items.{place}.check", one.check) for place, one in enumerate(items) if one.check is not None]
    return [
        f"{place}: {shown(str(check.constraint))} cannot be checked: {problem}"
        for place, check in checks
        if (problem := constraint_problem(check, CHECKERS.find(check.kind, base)))
    ]
