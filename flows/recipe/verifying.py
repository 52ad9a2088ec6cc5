"""What a recipe says of its checker, held against its columns and its constraint."""

from pathlib import Path

from kasasagi.blocks.own.python import is_own
from kasasagi.flows.recipe.errors import nearest, shown
from kasasagi.tasks.judge.checkers.code.sandbox import unsupported
from kasasagi.tasks.judge.checkers.named import CHECKERS
from kasasagi.tasks.judge.verify.work import constraint_problem
from kasasagi.tasks.recipe import Recipe


def verify_problems(recipe: Recipe, base: Path) -> list[str]:
    """Return a sentence for each thing that answers cannot be checked against."""
    if recipe.judging is None or not recipe.judging.checks:
        return []
    config = recipe.judging.verifying
    known = [*recipe.prompt_columns, *recipe.filter.columns, *recipe.stage_columns]
    problems = []
    if config.truth is not None and config.truth not in known and not recipe.stages:
        problems.append(
            f"judge.verify.truth: {config.truth!r} is not a column of the prompts{nearest(config.truth, known)}; "
            "further columns of the source are named in source.keep"
        )
    if config.run_code and (missing := unsupported()):
        problems.append(
            f"judge.verify.kind: 'code' cannot be checked here: {missing}; run the recipe on such a machine"
        )
    if not is_own(config.kind) and (problem := constraint_problem(config, CHECKERS.find(config.kind, base))):
        problems.append(f"judge.verify.constraint: {shown(str(config.constraint))} cannot be checked: {problem}")
    return problems
