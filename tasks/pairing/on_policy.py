"""How much of a dataset the student wrote itself: pairs that it did not write give way until their share is kept.

Preference tuning learns more from what the model itself would say than from what others say
(https://arxiv.org/abs/2404.14367).
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal

from pydantic import Field

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.models.kinds import Config
from kasasagi.tasks.pairing.candidates import Dropped, Pair

Outcome = list[Pair] | Dropped


class OnPolicy(Config):
    """The minimum share of pairs whose responses the student wrote."""

    models: tuple[str, ...] = Field(min_length=1, description="Responders that are the student model.")
    share: float = Field(gt=0, le=1, description="Minimum share of on-policy pairs; 1 allows no others.")
    sides: Literal["both", "either", "chosen", "rejected"] = Field(
        "both", description="Which responses of a pair the student must have written for it to be on-policy."
    )

    def holds(self, pair: Pair) -> bool:
        """Return whether a pair is on-policy."""
        chosen, rejected = pair.chosen.model in self.models, pair.rejected.model in self.models
        match self.sides:
            case "both":
                return chosen and rejected
            case "either":
                return chosen or rejected
            case "chosen":
                return chosen
            case _:
                return rejected


def keep_share(config: OnPolicy, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Return the outcomes by prompt_id, with as many off-policy pairs left as the share allows.

    Which of them stay is drawn by their digests, so that it depends on nothing but the pairs. A prompt that is left
    without a pair is dropped as `off_policy`.
    """
    pairs = [(prompt_id, pair) for prompt_id, some in outcomes.items() if isinstance(some, list) for pair in some]
    off = sorted((_draw(prompt_id, pair) for prompt_id, pair in pairs if not config.holds(pair)))
    kept = set(off[: _most_others(config.share, len(pairs) - len(off))])

    def stays(prompt_id: str, pair: Pair) -> bool:
        return config.holds(pair) or _draw(prompt_id, pair) in kept

    return {
        prompt_id: some if isinstance(some, Dropped) else _outcome_of(config, [p for p in some if stays(prompt_id, p)])
        for prompt_id, some in outcomes.items()
    }


def _most_others(share: float, on_policy: int) -> int:
    """Return how many other pairs so many on-policy pairs allow."""
    wanted = Fraction(str(share))
    return int(on_policy * (1 - wanted) / wanted)


def _outcome_of(config: OnPolicy, left: Sequence[Pair]) -> Outcome:
    names = ", ".join(config.models)
    wanted = f"pairs by {names} ({config.sides}) must be {config.share:.0%} of all"
    return list(left) or Dropped("off_policy", f"{wanted}, and there are too few of them for this pair to stay")


def _draw(prompt_id: str, pair: Pair) -> str:
    return digest([prompt_id, pair.chosen.response_id, pair.rejected.response_id])
