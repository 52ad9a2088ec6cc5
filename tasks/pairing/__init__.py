"""From a prompt's responses to preferences, by one of several strategies, or the reason why there is none."""

from kasasagi.tasks.pairing.candidates import Candidate, Dropped, Pair, Reason, combine
from kasasagi.tasks.pairing.conditions import Conditions, TokenLimit, broken_condition, similarity
from kasasagi.tasks.pairing.on_policy import OnPolicy, keep_share
from kasasagi.tasks.pairing.safety import Refusals, Safety
from kasasagi.tasks.pairing.strategies import all_above_margin, best_vs_random, best_vs_worst, sigma, strong_vs_weak

__all__ = [
    "Candidate",
    "Conditions",
    "Dropped",
    "OnPolicy",
    "Pair",
    "Reason",
    "Refusals",
    "Safety",
    "TokenLimit",
    "all_above_margin",
    "best_vs_random",
    "best_vs_worst",
    "broken_condition",
    "combine",
    "keep_share",
    "sigma",
    "similarity",
    "strong_vs_weak",
]
