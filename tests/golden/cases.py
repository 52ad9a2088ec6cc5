"""The recipes that are held: those that travel with kasasagi, and richer ones of the tests."""

from pathlib import Path

from kasasagi.blocks.engines.kinds import engines_for, identity_of
from kasasagi.flows.recipe.loading import LoadedRecipe, load_recipe, shipped_recipes

HERE = Path(__file__).parent
SHIPPED = tuple(sorted(shipped_recipes()))
OWN = tuple(sorted(file.stem for file in (HERE / "recipes").glob("*.yaml")))
CASES = (*SHIPPED, *OWN)
PLANNED = (
    "magpie-dpo",
    "quickstart",
    "two-models-one-judge",
    "confirmed",
    "invented",
    "panel",
    "refined",
    "turns",
)
"""The recipes whose plans are held; those of the others have no part of their own."""
ROWS = {"magpie-dpo": 2}
USUAL_ROWS = 6
"""How many rows of its source, or how many invented instructions, a recipe takes."""
CHANGES = {
    # Its tokenizer would have to be fetched from the Hub. The identity is the model's name, here as on vLLM.
    "tanuki-ja": (
        'models.tanuki={kind: openai, base_url: "http://127.0.0.1:1/v1", model: weblab-GENIAC/Tanuki-8B-dpo-v1.0}',
    ),
    # The labels of the tests' models are drawn, and few of them are good.
    "magpie-dpo": ("source.min_yield=0",),
}


def load(case: str) -> LoadedRecipe:
    """Return the recipe of that name, with the changes that the tests need."""
    name = case if case in SHIPPED else str(HERE / "recipes" / f"{case}.yaml")
    return load_recipe(name, CHANGES.get(case, ()))


def rows(case: str) -> int:
    """Return how many rows of its source a recipe takes."""
    return ROWS.get(case, USUAL_ROWS)


def identities(case: str) -> dict[str, str]:
    """Return what the ledger knows the models of a shipped recipe by, without any change."""
    loaded = load_recipe(case)
    engines = engines_for(loaded.recipe.models, base=loaded.base)
    return {label: identity_of(model, engines, label) for label, model in loaded.recipe.models.items()}
