"""What is probed: a recipe's own source, or a model by its name, which is made into a recipe as small as can be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from kasasagi.blocks.hints import command
from kasasagi.blocks.models.kinds import Budget, Config, ModelConfig, Sampling
from kasasagi.flows.errors import UsageError
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe, load_recipe, override, shipped_recipes
from kasasagi.tasks.filter import FilterConfig
from kasasagi.tasks.filter.deferred_conditions import split_where
from kasasagi.tasks.synthesize.config import MagpieSource

SAMPLES = 300
PROBED = "probed"


class Probe(Config):
    """What is probed: a source with its model, and the filter that its draws meet."""

    name: str = Field(description="What is probed, as a person calls it.")
    source: MagpieSource = Field(description="How instructions are drawn.")
    model: ModelConfig = Field(description="The model.")
    filter: FilterConfig = Field(description="The filter that decides what is accepted.")
    rules: tuple[str | dict[str, Any], ...] = Field(description="The filter's default rules.")
    base: Path = Field(description="The folder that relative paths start from.")
    samples: int = Field(SAMPLES, description="How many samples are drawn.")
    budget: Budget = Field(Budget(), description="What may be spent, as the recipe says.")

    @property
    def sampling(self) -> Sampling:
        """The sampling of the draws."""
        return self.source.sampling.over(self.model.sampling)

    @property
    def is_steered(self) -> bool:
        """Whether anything steers the draws."""
        source = self.source
        return bool(source.steer or source.system_prompts or source.packs or source.languages or source.personas)


def probe_of(
    name: str, samples: int, overrides: Sequence[str], model: dict[str, Any], workspace: Path | None = None
) -> Probe:
    """Return the probe of a recipe or of a model. Raises RecipeError, and UsageError where neither can be meant.

    model has what the caller says of an OpenAI-compatible model (base_url and more); without it the name is a
    recipe's, or hina.
    """
    if not model and (Path(name).is_file() or name in shipped_recipes()):
        return _of_recipe(name, load_recipe(name, overrides), samples)
    if not model and name.lower() not in ("hina", "bundled"):
        example = command("probe", name, "--base-url", "http://127.0.0.1:8000/v1", workspace=workspace)
        raise UsageError(
            f"{name!r} is neither a recipe nor hina: to probe a model at an endpoint add its address, "
            f"as in {example}, or name a recipe that has it"
        )
    known = {"kind": "openai", "model": name, **model} if model else {"kind": "bundled"}
    data = {
        "name": "probe",
        "source": {"kind": "magpie", "model": PROBED, "samples": samples},
        "models": {PROBED: known},
        "respond": {"models": [PROBED]},
        "judge": {"model": PROBED},
    }
    recipe = check_recipe(override(data, overrides), Path())
    return _of_recipe(name, LoadedRecipe(recipe=recipe, base=Path()), samples)


def _of_recipe(name: str, loaded: LoadedRecipe, samples: int) -> Probe:
    recipe = loaded.recipe
    if not isinstance(recipe.source, MagpieSource):
        raise UsageError(
            f"the prompts of {name} come from a dataset, so there is nothing to probe: "
            "name a recipe whose source is magpie, or a model"
        )
    early = split_where(recipe.filter.where, [recipe.tag_columns, recipe.neighbor_columns])[0]
    return Probe(
        name=name,
        source=recipe.source,
        model=recipe.models[recipe.source.model],
        filter=recipe.filter.model_copy(update={"where": early}),
        rules=recipe.default_rules,
        base=loaded.base,
        samples=samples,
        budget=recipe.budget,
    )
