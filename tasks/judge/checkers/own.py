"""A checker of a user's own: a function in a file next to the recipe."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kasasagi.tasks.judge.checkers.finding import Case, Checker, Finding, cannot_tell, correct, incorrect


def own_checker(name: str, function: Callable[[str, Mapping[str, Any]], object]) -> Checker:
    """Return a user's function as a checker: true is correct, false incorrect, None or a text means cannot_tell."""

    def check(case: Case) -> Finding:
        try:
            result = function(case.answer, dict(case.row))
        except Exception as error:  # any error concerns this answer alone
            return cannot_tell(f"{name} failed ({type(error).__name__}: {error})", "checker_error")
        if isinstance(result, bool | np.bool_):
            return correct(f"{name} says so") if result else incorrect(f"{name} says so")
        if result is None or isinstance(result, str):
            return cannot_tell(result or f"{name} cannot tell")
        problem = f"{name} returned {type(result).__name__}, not true, false, None or a text"
        return cannot_tell(problem, "checker_error")

    return check
