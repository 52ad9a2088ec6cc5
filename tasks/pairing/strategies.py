"""From a prompt's responses to preferences, by one of several strategies, or the reason why there is none.

Whatever the strategy, a pair of rated responses keeps the same promises: the chosen one is finished, rated higher by
more than nothing and by at least the margin, and lower in no order; the two texts differ. Only `strong_vs_weak` asks
no judge.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from kasasagi.blocks.canonical import digest
from kasasagi.tasks.pairing.candidates import Candidate, Dropped, Pair, higher, reaches, same_text, texts
from kasasagi.tasks.pairing.conditions import Conditions, broken_condition
from kasasagi.tasks.text.endings import is_cut_off


def best_vs_worst(candidates: Sequence[Candidate], min_margin: float) -> Pair | Dropped:
    """Return the pair of the best and the worst rated response, or why there is none.

    Only responses rated in every order count. The best is sought among the finished ones: a truncated answer is
    never chosen, but may be rejected. Among equals the highest rank is taken, then the smallest response_id, which is a
    digest and so favours no model. The mean margin must be above zero and at least `min_margin`; it may stem from one
    order alone if the other sees a tie, but where the orders contradict each other there is no pair. If the best and
    the worst make no pair, no other two are tried: that would pick what the judge happens to agree on. The outcome does
    not depend on the order of the candidates.
    """
    return _best_versus(lambda best, others: min(others, key=_from_worst), candidates, min_margin)


def best_vs_random(prompt_id: str, candidates: Sequence[Candidate], min_margin: float) -> Pair | Dropped:
    """Return the pair of the best response and one of the others, drawn by the digests of prompt and response.

    Otherwise as `best_vs_worst`. A further response changes the draw only where it is drawn itself.
    """

    def drawn(best: "_Rated", others: Sequence["_Rated"]) -> "_Rated":
        return min(others, key=lambda one: (_draw(prompt_id, one.candidate), one.name))

    return _best_versus(drawn, candidates, min_margin)


def sigma(candidates: Sequence[Candidate], min_margin: float, deviations: float = 2.0) -> Pair | Dropped:
    """Return the pair of the best response and the one rated nearest to the mean less some standard deviations.

    Otherwise as `best_vs_worst`. Mean and deviation are those of the prompt's rated responses, the best among them. As
    samples grow in number, the worst of them becomes a freak that teaches little (https://arxiv.org/abs/2502.16825).
    """

    def near(best: "_Rated", others: Sequence["_Rated"]) -> "_Rated":
        ratings = [best.rating, *(one.rating for one in others)]
        wanted = statistics.mean(ratings) - deviations * statistics.pstdev(ratings)
        return min(others, key=lambda one: (abs(one.rating - wanted), *_from_worst(one)))

    return _best_versus(near, candidates, min_margin)


def all_above_margin(
    candidates: Sequence[Candidate], min_margin: float, conditions: Conditions, most: int | None = None
) -> list[Pair] | Dropped:
    """Return every pair that meets the conditions, the widest margins first, up to a maximum number.

    A pair of texts occurs once. If equal texts are rated so differently that two pairs contradict each other, both are
    left out. If there is no pair, the reason is that of the two responses with the widest margin.
    """
    ready = _ready(candidates)
    if isinstance(ready, Dropped):
        return ready
    tried = [_apply_conditions(_pair(best, worst, min_margin), conditions) for best, worst in _by_distance(ready)]
    found = [outcome for outcome in tried if isinstance(outcome, Pair)]
    kept = list(_without_contradictions(found))[:most]
    if kept:
        return kept
    if found:
        return Dropped("contradicting_pairs", "equal texts are rated so differently that their pairs contradict")
    return next(outcome for outcome in tried if isinstance(outcome, Dropped))


def strong_vs_weak(
    prompt_id: str, candidates: Sequence[Candidate], strong: Sequence[str], weak: Sequence[str]
) -> Pair | Dropped:
    """Return the pair of a stronger model's finished response and a weaker model's; no judge is asked.

    strong and weak are the models' labels. Of several responses the digests of prompt and response draw one.
    """
    strongs = [one for one in candidates if one.model in strong]
    weaks = [one for one in candidates if one.model in weak]
    if not strongs:
        return Dropped("no_strong_response", f"none of {len(candidates)} responses is by {', '.join(strong)}")
    if not weaks:
        return Dropped("no_weak_response", f"none of {len(candidates)} responses is by {', '.join(weak)}")
    finished = [one for one in strongs if not is_cut_off(one.finish_reason)]
    if not finished:
        return Dropped("no_finished_response", f"all {len(strongs)} responses by {', '.join(strong)} are truncated")
    chosen, rejected = (min(some, key=lambda one: (_draw(prompt_id, one), _name(one))) for some in (finished, weaks))
    if same_text(chosen, rejected):
        return Dropped("identical_texts", f"{chosen.model} and {rejected.model} gave the same text")
    return Pair(chosen, rejected, None, None, None)


def chosen_by(
    choose: Callable[[list[Candidate]], Any], candidates: Sequence[Candidate], min_margin: float
) -> Pair | Dropped:
    """Return the pair that a user's own function names: the chosen and the rejected one, or a text that says why not.

    The function is given the rated candidates. Whatever it names, the promises of a pair hold.
    """
    ready = _ready(candidates)
    if isinstance(ready, Dropped):
        return ready
    by_candidate = {id(one.candidate): one for one in ready}
    try:
        choice = choose([one.candidate for one in ready])
        if choice is None or isinstance(choice, str):
            return Dropped("no_choice", choice or "the strategy names no pair of these responses")
        best, worst = (by_candidate[id(one)] for one in choice)
    except Exception as error:
        return Dropped("strategy_error", f"it names no two of its responses ({type(error).__name__}: {error})")
    if not best.is_finished:
        return Dropped("no_finished_response", "the response that the strategy chose is truncated")
    return _pair(best, worst, min_margin)


@dataclass(frozen=True, slots=True)
class _Rated:
    candidate: Candidate
    rating: float
    name: tuple[str, str, str]

    @property
    def is_finished(self) -> bool:
        return not is_cut_off(self.candidate.finish_reason)


def _name(candidate: Candidate) -> tuple[str, str, str]:
    """Return what tells candidates of equal worth apart."""
    return candidate.response_id, candidate.model, candidate.content


def _draw(prompt_id: str, candidate: Candidate) -> str:
    """Return a number of its own for each response to a prompt: the smallest is the one that is drawn."""
    return digest([prompt_id, candidate.response_id])


def _from_best(one: _Rated) -> tuple[float, float, str, str, str]:
    rank = one.candidate.rank
    return -one.rating, math.inf if rank is None else -rank, *one.name


def _from_worst(one: _Rated) -> tuple[float, str, str, str]:
    return one.rating, *one.name


def _best_versus(
    pick: Callable[[_Rated, Sequence[_Rated]], _Rated], candidates: Sequence[Candidate], min_margin: float
) -> Pair | Dropped:
    """Return the pair of the best response and the one that is picked of the others."""
    ready = _ready(candidates)
    if isinstance(ready, Dropped):
        return ready
    best = min((one for one in ready if one.is_finished), key=_from_best)
    return _pair(best, pick(best, [one for one in ready if one is not best]), min_margin)


def _ready(candidates: Sequence[Candidate]) -> list[_Rated] | Dropped:
    """Return the rated candidates, at least two and one of them finished, or why there are not so many."""
    rated = _rated_candidates(candidates) if candidates else []
    return _too_few(candidates, rated) or _unusable(rated) or rated


def _too_few(candidates: Sequence[Candidate], rated: Sequence[_Rated]) -> Dropped | None:
    """Return why there are no two rated responses, if there are not."""
    if len(candidates) < 2:
        only = [one for one in rated if one.candidate.checked]
        few = Dropped("too_few_responses", f"{len(candidates)} of the 2 responses that a pair needs")
        return _without_contrast(only) if only else few
    if len(rated) < 2 and any(one.lacks_quorum for one in candidates):
        return Dropped("no_quorum", f"too few judges rated all {len(candidates)} responses in every order")
    if len(rated) < 2:
        return Dropped("missing_rating", f"{len(rated)} of {len(candidates)} responses are rated in every order")
    return None


def _unusable(rated: Sequence[_Rated]) -> Dropped | None:
    """Return why none of the rated responses can be chosen, if so."""
    if all(one.candidate.checked for one in rated) and len({one.rating for one in rated}) == 1:
        return _without_contrast(rated)
    if not any(one.is_finished for one in rated):
        return Dropped("no_finished_response", f"all {len(rated)} rated responses are truncated")
    return None


def _without_contrast(rated: Sequence[_Rated]) -> Dropped:
    """Return why checked responses of one verdict make no pair; of equal ones a single one is left."""
    which = "the one response that is left is" if len(rated) == 1 else f"the {len(rated)} checked responses all are"
    if rated[0].rating > 0:
        return Dropped("all_correct", f"{which} correct")
    return Dropped("none_correct", f"{which} incorrect")


def _by_distance(rated: Sequence[_Rated]) -> list[tuple[_Rated, _Rated]]:
    """Return all couples of a finished response and another, by how much higher the first is rated, the most first."""
    couples = [couple for couple in permutations(sorted(rated, key=_from_best), 2) if couple[0].is_finished]
    return sorted(couples, key=lambda couple: couple[1].rating - couple[0].rating)


def _apply_conditions(outcome: Pair | Dropped, conditions: Conditions) -> Pair | Dropped:
    return outcome if isinstance(outcome, Dropped) else broken_condition(conditions, outcome) or outcome


def _without_contradictions(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """Yield the pairs by their texts, each once, without those of which another says the opposite."""
    all_texts = {texts(pair) for pair in pairs}
    seen: set[tuple[str, str]] = set()
    for pair in pairs:
        both = texts(pair)
        if both not in seen and both[::-1] not in all_texts:
            yield pair
        seen.add(both)


def _rated_candidates(candidates: Sequence[Candidate]) -> list[_Rated]:
    """Return the candidates that have a rating in as many orders as any of them, with what breaks ties between them."""
    orders = max(len(candidate.ratings) for candidate in candidates)
    return [
        _Rated(each, rating, _name(each))
        for each in candidates
        if len(each.ratings) == orders and (rating := each.rating) is not None
    ]


def _pair(best: _Rated, worst: _Rated, min_margin: float) -> Pair | Dropped:
    chosen, rejected = best.candidate, worst.candidate
    margin = best.rating - worst.rating
    ratings = f"{best.rating:g} and {worst.rating:g}"
    if same_text(chosen, rejected):
        return Dropped("identical_texts", f"the texts rated {ratings} are the same")
    if _flips(chosen, rejected):
        return Dropped("order_flip", f"the orders contradict each other: {chosen.ratings} and {rejected.ratings}")
    if not higher(best.rating, worst.rating):
        return Dropped("tie", f"the best and the worst are rated {ratings}")
    if not reaches(best.rating, worst.rating + min_margin):
        return Dropped("below_margin", f"the ratings {ratings} differ by {margin:g}, less than {min_margin:g}")
    if not _has_majority(chosen, rejected):
        return Dropped(
            "no_majority", f"not more than half of the {len(chosen.votes)} judges rate the better one higher"
        )
    return Pair(chosen, rejected, best.rating, worst.rating, margin)


def _flips(one: Candidate, other: Candidate) -> bool:
    """Return whether one is better in some order and worse in another."""
    known = [(a, b) for a, b in zip(one.ratings, other.ratings, strict=True) if a is not None and b is not None]
    return any(higher(a, b) for a, b in known) and any(higher(b, a) for a, b in known)


def _has_majority(one: Candidate, other: Candidate) -> bool:
    """Return whether more than half of the judges rate one higher, where they are asked for."""
    for_it = [higher(a, b) for a, b in zip(one.votes, other.votes, strict=True) if a is not None and b is not None]
    return not one.votes or sum(for_it) * 2 > len(one.votes)
