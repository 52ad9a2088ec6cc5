"""What is left out once all pairs are made: the prompts beyond a quota, and the pairs beyond a target."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kasasagi.blocks.workspace.runs import Run
from kasasagi.blocks.workspace.shards import Shard
from kasasagi.tasks.format_dpo.chosen_prompts import LEFT_OUT, left_out_by_chunk
from kasasagi.tasks.format_dpo.target import PairsMade
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.select.task import scales_of


@dataclass(frozen=True, slots=True)
class Remake:
    """A chunk of pairs that is made again, without what is left out.

    Attributes:
        chunk: Its number.
        inputs: The tables that it reads.
        params: How many pairs it keeps, where that is limited.
    """

    chunk: int
    inputs: Mapping[str, Shard]
    params: Mapping[str, int] = field(default_factory=dict)


def remakes(run: Run, recipe: Recipe) -> list[Remake]:
    """Return the chunks of pairs of a run that are made again; a recipe has either quotas or a target here."""
    made = PairsMade.of(run)
    left_out = left_out_by_chunk(run, recipe.pairs, scales_of(recipe.tags))
    over_quota = [
        Remake(one.chunk, {**one.inputs, LEFT_OUT: left_out[one.chunk]}) for one in made.chunks if one.chunk in left_out
    ]
    over_target = [Remake(one.chunk, one.inputs, {"most": most}) for one, most in made.surplus(recipe.pairs.target)]
    return [*over_quota, *over_target]
