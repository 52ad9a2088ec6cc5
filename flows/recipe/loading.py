"""How a recipe is read and checked before anything runs."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from kasasagi.blocks.canonical import NotCanonicalError, canonical
from kasasagi.blocks.models.kinds import Config
from kasasagi.flows.recipe.errors import RecipeError, literal_keys, nearest, sentences, shown
from kasasagi.flows.recipe.gates import gate_problems
from kasasagi.flows.recipe.judging import with_judge_texts, with_source_chosen
from kasasagi.flows.recipe.own_providers import with_own_providers
from kasasagi.flows.recipe.own_stages import gate_stage_problems, own_stage_problems
from kasasagi.flows.recipe.problems import problems_between_parts
from kasasagi.flows.recipe.quotas import quota_problems
from kasasagi.flows.recipe.yaml import read_yaml
from kasasagi.tasks.load import DatasetSource, source_columns
from kasasagi.tasks.mix.problems import with_near_duplicates
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.synthesize.config import MagpieSource, round_of_the_day

Problems = Callable[[Recipe, Path], list[str]]
RECIPES = ("recipes", "flows/shipped/recipes")


class LoadedRecipe(Config):
    """A recipe, and the folder that its relative paths start from."""

    recipe: Recipe = Field(description="The recipe.")
    base: Path = Field(description="The folder of its file.")
    file: Path | None = Field(None, description="Its file.")


def find_recipe(name: str) -> Path:
    """Return the file of a recipe: a path, or the name of one that ships with kasasagi. Raises RecipeError."""
    path = Path(name)
    with suppress(OSError):  # a name too long for a file is no file
        if path.is_file():
            return path
    shipped = shipped_recipes()
    if name in shipped:
        return shipped[name]
    choices = [*shipped, *(str(p) for p in Path().glob("*.y*ml"))]
    raise RecipeError(
        f"there is no recipe {shown(name)}: neither a file nor one that ships with kasasagi{nearest(name, choices)}"
    )


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes that ship with kasasagi, by name."""
    root = Path(__file__).resolve().parents[2]
    folders = [root / folder for folder in RECIPES if (root / folder).is_dir()]
    return {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}


def load_recipe(name: str, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Read a recipe's file, lay `a.b=c` overrides over it and check it. Raises RecipeError."""
    file = find_recipe(name).resolve()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"the recipe {file} cannot be read: {error}") from error
    # Gates are checked of a person's file alone: what has run already is published and paired as it is.
    recipe = check_recipe(override(parse_yaml(text, str(file)), overrides), file.parent, gate_problems)
    return LoadedRecipe(recipe=recipe, base=file.parent, file=file)


def only_new(loaded: LoadedRecipe) -> LoadedRecipe:
    """Return the same recipe for a scheduled run: prompts that an earlier run of it published are left out, Magpie
    draws a round of the day, and what is published is a version of its own beside the earlier ones.
    """
    recipe = loaded.recipe
    dedup = recipe.filter.dedup.model_copy(update={"published": True})
    changes: dict[str, Any] = {"filter": recipe.filter.model_copy(update={"dedup": dedup})}
    if isinstance(recipe.source, MagpieSource):
        changes["source"] = recipe.source.model_copy(update={"round": round_of_the_day()})
    path = recipe.publish.path
    if path is not None and "{run}" not in path:
        changes["publish"] = recipe.publish.model_copy(update={"path": f"{path.rstrip('/')}-{{run}}"})
    return loaded.model_copy(update={"recipe": recipe.model_copy(update=changes)})


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """Return the mapping in a YAML text.

    Raises:
        RecipeError: If it is not valid, naming line and column.
    """
    try:
        data = read_yaml(text)
    except ValueError as error:
        raise RecipeError(f"{where} {error}") from error
    if not isinstance(data, dict):
        what = "is empty" if data is None else f"holds {shown(data)}"
        raise RecipeError(f"{where} {what}, and a recipe is a mapping with name, source, models, respond and judge")
    return data


def override(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a recipe's data with `a.b=c` settings laid over it; values are read as YAML. Raises RecipeError."""
    result = dict(data)
    for text in overrides:
        path, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", path.strip()):
            raise RecipeError(f"--set {text!r} must look like judge.orders=both: a path of names, =, a value")
        try:
            parsed = read_yaml(value)
        except ValueError as error:
            raise RecipeError(f"--set {text!r}: the value {error}; put quotes around it") from error
        result = _with(result, path.strip().split("."), parsed, text)
    return result


def _with(data: Any, path: Sequence[str], value: Any, text: str) -> Any:
    """data with value at path; numbers pick from lists, and missing mappings are made."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(data, list):
        if not head.isdigit() or int(head) >= len(data):
            raise RecipeError(f"--set {text!r}: {head!r} is not a place in a list of {len(data)}; they count from 0")
        picked = data[int(head)]
        if isinstance(picked, str) and rest:  # a responder that is but a name
            picked = {"use": picked}
        return [*data[: int(head)], _with(picked, rest, value, text), *data[int(head) + 1 :]]
    if data is not None and not isinstance(data, dict):
        raise RecipeError(f"--set {text!r}: {head!r} cannot be set inside {data!r}, which has no keys")
    return {**(data or {}), head: _with((data or {}).get(head), rest, value, text)}


def check_recipe(data: Mapping[str, Any], base: Path, further: Problems = lambda recipe, base: []) -> Recipe:
    """Return the recipe in some plain data.

    Args:
        data: The recipe as YAML or JSON gives it.
        base: The folder that its relative paths start from.
        further: Gives the problems of a recipe that is whole, beside those that every recipe is checked for.

    Raises:
        RecipeError: It is not valid; one sentence for each problem.
    """
    data = with_own_providers(data, base)
    if keys := literal_keys(data):
        raise RecipeError("\n".join(keys))
    try:
        recipe = Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError("\n".join(sentences(error, Recipe))) from error
    recipe = with_near_duplicates(with_source_chosen(with_judge_texts(recipe, base)))
    own = [*own_stage_problems(recipe, base), *gate_stage_problems(recipe)]
    problems = [*problems_between_parts(recipe, base), *quota_problems(recipe), *own, *further(recipe, base)]
    if problems:
        raise RecipeError("\n".join(problems))
    try:
        canonical(recipe.plain())
    except NotCanonicalError as error:
        raise RecipeError(f"the recipe contains a number or a character that cannot be stored: {error}") from error
    return recipe


def missing_columns(loaded: LoadedRecipe) -> list[str]:
    """Return one sentence for each column that the recipe takes from its source and that the source does not have.

    Raises:
        SourceError: If the source cannot be read.
    """
    source = loaded.recipe.source
    if not isinstance(source, DatasetSource):
        return []
    there = source_columns(source, loaded.base)
    if there is None:
        return []
    wanted = [(f"source.columns.{ours}", theirs) for ours, theirs in source.columns.items()]
    wanted += [("source.keep", name) for name in source.keep]
    named = source.responses.columns() if source.responses else []
    wanted += [(f"source.responses.{ours}", theirs) for ours, theirs in named]
    return [
        f"{place}: {name!r} is not a column of {source.path}{nearest(name, there)}"
        for place, name in wanted
        if name not in there
    ]
