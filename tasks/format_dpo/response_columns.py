"""What the responses to a prompt showed, as columns of the prompt: their spread, how many pass, which model is better.

Prompts whose responses differ teach more than those that all models solve or none does (arXiv 2504.03612, 2606.25996).
"""

from collections.abc import Collection, Sequence
from statistics import fmean

import pyarrow as pa

from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.judge.checklist.config import HIGHEST
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.pairing import Candidate
from kasasagi.tasks.pairing.candidates import reaches

RESPONSE_COLUMNS = tuple(pa.field(name, pa.float64()) for name in ("rating_spread", "pass_rate", "solver_gap"))
SHARE_OF_THE_SCALE = 0.75
"""How far up its scale a rating passes: 4 of 1 to 5."""


def pass_rating(config: PairsConfig, judge: JudgeConfig) -> float | None:
    """Return the rating from which an answer passes; None where ratings have no scale and none is named."""
    if config.pass_rating is not None or judge.checks:
        return 1.0 if config.pass_rating is None else config.pass_rating
    if judge.is_checklist:
        return SHARE_OF_THE_SCALE * HIGHEST
    if judge.method != "ultrafeedback" and judge.rubric is None:
        return None
    lowest, highest = judge.scale[0], judge.scale[-1]
    return lowest + SHARE_OF_THE_SCALE * (highest - lowest)


def response_columns(
    config: PairsConfig, judge: JudgeConfig | None, candidates: Sequence[Candidate]
) -> dict[str, float | None]:
    """Return the columns of a prompt by its responses; answers without a rating do not count.

    Args:
        config: From which rating an answer passes, and which models are the strong and the weak ones.
        judge: Who judged; without a judge nothing is known.
        candidates: The responses to the prompt.
    """
    rated = [(one.model, rating) for one in candidates if (rating := one.rating) is not None]
    ratings = [rating for _, rating in rated]
    passing = None if judge is None else pass_rating(config, judge)
    strong, weak = (_mean(rated, models) for models in (config.strong, config.weak))
    return {
        "rating_spread": max(ratings) - min(ratings) if len(ratings) > 1 else None,
        "pass_rate": fmean(reaches(one, passing) for one in ratings) if ratings and passing is not None else None,
        "solver_gap": strong - weak if strong is not None and weak is not None else None,
    }


def _mean(rated: Sequence[tuple[str, float]], models: Collection[str]) -> float | None:
    ratings = [rating for model, rating in rated if model in models]
    return fmean(ratings) if ratings else None
