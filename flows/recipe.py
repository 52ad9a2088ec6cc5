"""The recipe: one frozen model of a whole job, and how it is read and checked before anything runs."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from blocks.canonical import NotCanonicalError, canonical
from blocks.cluster.config import RuntimeConfig
from blocks.models import Budget, Config, ModelConfig
from flows.recipe_errors import RecipeError, literal_keys, nearest, sentences, shown
from flows.recipe_faults import PROMPT_COLUMNS, faults_between_parts
from flows.recipe_gates import due, gate_faults
from flows.recipe_judging import with_rubric
from flows.recipe_quotas import quota_faults
from flows.recipe_yaml import read_yaml
from tasks.filter import FilterConfig
from tasks.format_dpo import PairsConfig
from tasks.gate.config import Expectation, GatesConfig
from tasks.judge.config import JudgeConfig
from tasks.load import DatasetSource, source_columns
from tasks.publish import PublishConfig
from tasks.respond import RespondConfig
from tasks.rewrite.config import RewriteConfig
from tasks.select.config import SelectConfig
from tasks.semantic.config import COLUMNS, SemanticConfig
from tasks.synthesize import MagpieSource, round_of_the_day
from tasks.tags.config import TagsConfig

RECIPES = ("recipes", "flows/shipped/recipes")

NOBODY = RespondConfig.model_construct(models=())
"""The respond of a recipe that makes instructions alone."""

SourceConfig = Annotated[DatasetSource | MagpieSource, Field(discriminator="kind")]


class Recipe(Config):
    """A whole job: where prompts come from, who answers, who judges, which pairs are made and where they go."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="The job's name, also in file names.")
    source: SourceConfig = Field(description="Where prompts come from: a dataset, or Magpie.")
    models: dict[str, ModelConfig] = Field(min_length=1, description="Models by the names that this recipe uses.")
    filter: FilterConfig = Field(FilterConfig(), description="Which prompts go on.")
    tags: TagsConfig | None = Field(None, description="A model labels the prompts; the labels are columns.")
    semantic: SemanticConfig | None = Field(None, description="Prompts are compared by meaning.")
    select: SelectConfig | None = Field(None, description="How many prompts of each kind go on.")
    rewrite: RewriteConfig | None = Field(None, description="Further prompts are made out of those that are selected.")
    respond: RespondConfig = Field(
        NOBODY, description="Who answers; a recipe without respond and judge makes instructions alone."
    )
    judge: JudgeConfig | None = Field(None, description="Who judges; nobody where strong_vs_weak makes the pairs.")
    pairs: PairsConfig = Field(PairsConfig(), description="Which pairs are made.")
    gates: GatesConfig = Field(GatesConfig(), description="What is expected of the data.")
    budget: Budget = Field(Budget(), description="What one run may spend at most.")
    publish: PublishConfig = Field(PublishConfig(), description="Where the pairs go, and in which form.")
    runtime: RuntimeConfig | None = Field(
        None, description="A cluster that makes the calls; this process makes them if not set."
    )

    @property
    def answers(self) -> bool:
        """Whether there are answers, asked for or given; else the instructions are what is published."""
        return bool(self.respond.models) or self.given

    @property
    def given(self) -> bool:
        """Whether the source holds the responses already, so that nobody is asked for any."""
        return isinstance(self.source, DatasetSource) and self.source.responses is not None

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """Columns of the source that are carried along."""
        return tuple(self.source.keep if isinstance(self.source, DatasetSource) else self.source.columns)

    @property
    def prompt_columns(self) -> tuple[str, ...]:
        """Columns that the respond template may use."""
        return (*PROMPT_COLUMNS, *self.kept_columns)

    @property
    def default_rules(self) -> tuple[str | dict[str, Any], ...]:
        """Filter rules that hold unless the recipe drops them: for Magpie alone; real prompts often break them."""
        return self.source.default_rules if isinstance(self.source, MagpieSource) else ()

    @property
    def judging(self) -> JudgeConfig | None:
        """Who judges, if anybody is asked: strong_vs_weak heeds no ratings, so they are not paid for."""
        return None if self.pairs.strategy == "strong_vs_weak" else self.judge

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """What the gates expect of this recipe's rows."""
        return due(self)

    @property
    def is_refined(self) -> bool:
        """Whether stages of their own stand between the filter and the responders."""
        return any(part is not None for part in (self.tags, self.semantic, self.select, self.rewrite))

    @property
    def tag_columns(self) -> tuple[str, ...]:
        """Columns that tags add."""
        return self.tags.columns if self.tags else ()

    @property
    def neighbor_columns(self) -> tuple[str, ...]:
        """Columns that the comparison by meaning adds."""
        return COLUMNS if self.semantic else ()

    def plain(self) -> dict[str, Any]:
        """The recipe as plain data, without what was left at its default; it can be read again."""
        data = self.model_dump(mode="json", exclude_defaults=True)
        return {**data, "source": {**data["source"], "kind": self.source.kind}}


class LoadedRecipe(Config):
    """A recipe, and the folder that its relative paths start from."""

    recipe: Recipe = Field(description="The recipe.")
    base: Path = Field(description="The folder of its file.")
    file: Path | None = Field(None, description="Its file.")


def find_recipe(name: str) -> Path:
    """The file of a recipe: a path, or the name of one that travels with kasasagi. Raises RecipeError."""
    path = Path(name)
    with suppress(OSError):  # a name too long for a file is no file
        if path.is_file():
            return path
    shipped = shipped_recipes()
    if name in shipped:
        return shipped[name]
    choices = [*shipped, *(str(p) for p in Path().glob("*.y*ml"))]
    raise RecipeError(
        f"there is no recipe {shown(name)}: neither a file nor one that travels with kasasagi{nearest(name, choices)}"
    )


def shipped_recipes() -> dict[str, Path]:
    """The recipes that travel with kasasagi, by name."""
    root = Path(__file__).resolve().parents[1]
    folders = [root / folder for folder in RECIPES if (root / folder).is_dir()]
    return {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}


def load_recipe(name: str, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Read a recipe's file, lay `a.b=c` overrides over it and check it. Raises RecipeError."""
    file = find_recipe(name).resolve()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"the recipe {file} cannot be read: {error}") from error
    recipe = check_recipe(override(parse_yaml(text, str(file)), overrides), file.parent)
    if faults := gate_faults(recipe):  # of a person's file alone: what has run already is published and paired as it is
        raise RecipeError("\n".join(faults))
    return LoadedRecipe(recipe=recipe, base=file.parent, file=file)


def only_new(loaded: LoadedRecipe) -> LoadedRecipe:
    """The same recipe for a scheduled run: prompts that an earlier run of it published are set aside, Magpie draws a
    round of the day, and what is published is a version of its own beside the earlier ones.
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
    """The mapping in a YAML text. Raises RecipeError naming line and column."""
    try:
        data = read_yaml(text)
    except ValueError as error:
        raise RecipeError(f"{where} {error}") from error
    if not isinstance(data, dict):
        what = "is empty" if data is None else f"holds {shown(data)}"
        raise RecipeError(f"{where} {what}, and a recipe is a mapping with name, source, models, respond and judge")
    return data


def override(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A recipe's data with `a.b=c` settings laid over it; values are read as YAML. Raises RecipeError."""
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
            raise RecipeError(f"--set {text!r}: {head!r} is no place in a list of {len(data)}; they count from 0")
        picked = data[int(head)]
        if isinstance(picked, str) and rest:  # a responder that is but a name
            picked = {"use": picked}
        return [*data[: int(head)], _with(picked, rest, value, text), *data[int(head) + 1 :]]
    if data is not None and not isinstance(data, dict):
        raise RecipeError(f"--set {text!r}: {head!r} would stand inside {data!r}, which holds no names")
    return {**(data or {}), head: _with((data or {}).get(head), rest, value, text)}


def check_recipe(data: Mapping[str, Any], base: Path) -> Recipe:
    """The recipe in some plain data. Raises RecipeError with one sentence for each fault."""
    if keys := literal_keys(data):
        raise RecipeError("\n".join(keys))
    try:
        recipe = Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError("\n".join(sentences(error, Recipe))) from error
    recipe = with_rubric(recipe, base)
    faults = [*faults_between_parts(recipe, base), *quota_faults(recipe)]
    if faults:
        raise RecipeError("\n".join(faults))
    try:
        canonical(recipe.plain())
    except NotCanonicalError as error:
        raise RecipeError(f"the recipe holds a number or a character that no table can keep: {error}") from error
    return recipe


def missing_columns(loaded: LoadedRecipe) -> list[str]:
    """One sentence for each column that the recipe takes from its source and that the source does not have.

    Raises SourceError where the source cannot be read.
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
        f"{place}: {name!r} is no column of {source.path}{nearest(name, there)}"
        for place, name in wanted
        if name not in there
    ]
