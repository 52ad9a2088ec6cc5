"""Problems between the parts of a recipe: names of nothing, templates, filters and columns that do not fit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2.meta
from jinja2 import TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kasasagi.blocks.models.kinds import OpenAIModel, RewardModel
from kasasagi.blocks.own.registry import Registry
from kasasagi.flows.recipe.conditions import answer_condition_problems, pair_condition_problems, safety_problems
from kasasagi.flows.recipe.errors import nearest, shown
from kasasagi.flows.recipe.judging import judging_problems
from kasasagi.flows.recipe.quotas import pair_target_problems
from kasasagi.flows.recipe.verifying import verify_problems
from kasasagi.tasks.converse.config import Turns
from kasasagi.tasks.converse.plan import TurnsError, dialogues
from kasasagi.tasks.filter import check_filter
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.judge.checkers.named import CHECKERS
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.named import METHODS
from kasasagi.tasks.judge.own_prompt import known_placeholders, required_placeholders
from kasasagi.tasks.load import SOURCE
from kasasagi.tasks.mix.config import RunsSource
from kasasagi.tasks.mix.problems import mix_problems
from kasasagi.tasks.pairing.named import STRATEGIES
from kasasagi.tasks.pipeline import STAGES
from kasasagi.tasks.publish import PublishConfig
from kasasagi.tasks.publish.formats import FORMATS
from kasasagi.tasks.recipe import PROMPT_COLUMNS, Recipe
from kasasagi.tasks.respond.rules import ANSWER_RULES
from kasasagi.tasks.synthesize.config import MagpieSource


def problems_between_parts(recipe: Recipe, base: Path) -> list[str]:
    """Return one sentence for each conflict between two parts of a recipe; files are looked for in base."""
    if recipe.mixes:
        return [*mix_problems(recipe), *_filter_problems(recipe, base), *_own_problems(recipe, base)]
    return [
        *_unknown_models(recipe),
        *_unknown_responders(recipe),
        *_unknown_licenses(recipe),
        *_unknown_places(recipe),
        *_turn_problems(recipe),
        *(judging_problems(recipe) if recipe.answers else _problems_without_answers(recipe)),
        *_template_problems(recipe),
        *_filter_problems(recipe, base),
        *answer_condition_problems(recipe, base),
        *safety_problems(recipe, base),
        *pair_condition_problems(recipe, base),
        *_own_problems(recipe, base),
        *pair_target_problems(recipe),
        *verify_problems(recipe, base),
    ]


def _own_problems(recipe: Recipe, base: Path) -> list[str]:
    """Return a sentence for each dotted path that leads to nothing of its kind."""
    turns = None if isinstance(recipe.source, RunsSource) else recipe.source.turns
    named: list[tuple[str, Registry[Any], Sequence[str]]] = [
        ("respond.rules", ANSWER_RULES, recipe.respond.rule_names),
        ("source.turns.answers.rules", ANSWER_RULES, turns.answers.rules if isinstance(turns, Turns) else ()),
        ("judge.method", METHODS, [recipe.judge.method] if recipe.judge else ()),
        ("judge.verify.kind", CHECKERS, [recipe.judge.verifying.kind] if recipe.judge else ()),
        ("pairs.strategy", STRATEGIES, [recipe.pairs.strategy]),
        ("publish.formats", FORMATS, recipe.publish.formats),
    ]
    return [f"{place}: {problem}" for place, registry, names in named for problem in registry.problems(names, base)]


def _unknown_models(recipe: Recipe) -> list[str]:
    named = list(dict.fromkeys((*model, stage.needs_words) for stage in STAGES for model in stage.named_models(recipe)))
    return [
        f"{place}: {name!r} is a reward model, which gives numbers and no words; name another"
        for place, name, needs_words in named
        if needs_words and isinstance(recipe.models.get(name), RewardModel)
    ] + [
        f"{place}: {name!r} is not a model of this recipe{nearest(name, list(recipe.models))}"
        for place, name, _ in named
        if name not in recipe.models
    ]


def _unknown_responders(recipe: Recipe) -> list[str]:
    pairs, responders = recipe.pairs, [responder.name for responder in recipe.respond.models]
    responders += [SOURCE] if recipe.chooses_source else []
    sides = {"pairs.strong": pairs.strong, "pairs.weak": pairs.weak}
    if pairs.on_policy is not None:
        sides["pairs.on_policy.models"] = pairs.on_policy.models
    return [
        f"{place}: {label!r} is not a responder of this recipe{nearest(label, responders)}"
        for place, labels in sides.items()
        for label in labels
        if label not in responders
    ]


def _turn_problems(recipe: Recipe) -> list[str]:
    """Return why dialogues cannot continue, where the recipe asks for that."""
    try:
        dialogues(recipe.source)
    except TurnsError as error:
        return [str(error)]
    return []


def _unknown_licenses(recipe: Recipe) -> list[str]:
    known = [*recipe.models, "source"]
    return [
        f"publish.licenses: {name!r} is neither a model of this recipe nor source{nearest(name, known)}"
        for name in recipe.publish.licenses
        if name not in known
    ]


def _unknown_places(recipe: Recipe) -> list[str]:
    return [
        f"runtime.resources: {name!r} is not a model of this recipe{nearest(name, list(recipe.models))}"
        for name in (recipe.runtime.resources if recipe.runtime else {})
        if name not in recipe.models
    ]


def _problems_without_answers(recipe: Recipe) -> list[str]:
    """Return the settings that a recipe without responses cannot have."""
    if recipe.judge is not None or recipe.pairs != PairsConfig():
        return ["respond: this key is missing (who answers); only a recipe without judge and pairs does without it"]
    if recipe.publish.formats != PublishConfig().formats or recipe.publish.split is not None:
        return ["publish: formats and split are of pairs, and without respond there are instructions; leave them out"]
    return []


def _template_problems(recipe: Recipe) -> list[str]:
    problems = _problems_of_template("respond.template", recipe.respond.template, recipe)
    rubric = recipe.judging.rubric if recipe.judging else None
    if rubric is not None and rubric.text is not None:
        problems += _problems_of_template("judge.rubric.text", rubric.text, recipe)
    if recipe.judging and recipe.judging.prompt is not None:
        problems += _problems_of_judge_prompt(recipe.judging, recipe.judging.prompt.text or "", recipe)
    return problems


def _problems_of_judge_prompt(judge: JudgeConfig, text: str, recipe: Recipe) -> list[str]:
    """Return what a judge prompt of the recipe's own has too much, or, where it is a template, too little."""
    if problems := _problems_of_template("judge.prompt", text, recipe, known_placeholders(judge)):
        return problems
    there = jinja2.meta.find_undeclared_variables(ImmutableSandboxedEnvironment().parse(text))
    return [
        f"judge.prompt: {shown(text)} has no {{{{ {name} }}}}, which the judge needs; write it into the template"
        for name in required_placeholders(judge)
        if name not in there
    ]


def _problems_of_template(place: str, text: str, recipe: Recipe, more: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with a template over the prompt's columns; more are the placeholders that it may have
    besides.
    """
    environment = ImmutableSandboxedEnvironment()
    template = shown(text)
    try:
        tree = environment.parse(text)
        undeclared = jinja2.meta.find_undeclared_variables(tree)
    except TemplateSyntaxError as error:
        return [f"{place}: {template} is not a Jinja template: {error.message}"]
    except RecursionError:
        return [f"{place}: {template} is nested too deeply; write it flatter"]
    known, what = [*more, *recipe.prompt_columns], "neither a placeholder here nor a column" if more else "not a column"
    return [
        f"{place}: {name!r} is {what} of the prompts{nearest(name, known)}; "
        "further columns of the source are named in source.keep"
        for name in sorted(undeclared - set(known))
    ]


def _filter_problems(recipe: Recipe, base: Path) -> list[str]:
    ended = ("stop_reason",) if isinstance(recipe.source, MagpieSource) else ()
    columns = [*PROMPT_COLUMNS, "source", "position", "finish_reason", *ended, *recipe.kept_columns]
    problems = _taken_columns(recipe, [*columns, *recipe.filter.columns])
    columns += [*recipe.tag_columns, *recipe.neighbor_columns]
    try:
        check_filter(recipe.filter, columns, base, recipe.default_rules)
    except ValueError as error:
        problems.append(f"filter.{error}" if str(error).startswith(("where.", "rules: ")) else f"filter: {error}")
    embedder = recipe.models.get(recipe.semantic.model) if recipe.semantic else None
    if recipe.semantic and embedder is not None and not isinstance(embedder, OpenAIModel):
        problems.append(
            f"semantic.model: {recipe.semantic.model!r} is {embedder.kind}, and only an OpenAI-compatible endpoint "
            "(kind: openai) gives vectors"
        )
    known = [*columns, *recipe.filter.columns]
    return problems + [
        f"select.{key}: {name!r} is not a column of the prompts{nearest(name, known)}"
        for key, name in (recipe.select.columns if recipe.select else ())
        if name not in known
    ]


def _taken_columns(recipe: Recipe, known: Sequence[str]) -> list[str]:
    """Return one sentence for each column that a stage would add and that is there already."""
    taken = {name.casefold() for name in known}
    return [
        f"{stage.name}: {name!r} is a column of the prompts already; {stage.if_taken}"
        for stage in STAGES
        for name in stage.columns(recipe)
        if name.casefold() in taken
    ]
