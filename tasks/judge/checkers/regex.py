"""The checker `regex`: whether a pattern is found in an answer.

Patterns may come from data. They run in RE2, which takes time in proportion to the text whatever the pattern; it has
neither look-around nor back-references.
"""

from kasasagi.tasks.judge.checkers.finding import Case, Finding, best_of, cannot_tell, correct, incorrect


def check_regex(case: Case) -> Finding:
    """Look for the pattern in the whole answer; `^` and `$` bind it to the answer's begin and end."""
    patterns = case.truth if isinstance(case.truth, list | tuple) else [case.truth]
    return best_of([_one(str(pattern), case.answer) for pattern in patterns])


def _one(pattern: str, answer: str) -> Finding:
    try:
        found = matches(pattern, answer.strip())
    except ValueError as error:
        return cannot_tell(f"{pattern[:60]!r} is no pattern of RE2: {error}", "bad_truth")
    result = f"{pattern[:60]!r} is {'' if found else 'not '}found"
    return correct(result) if found else incorrect(result)


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern is found in a text.

    Raises:
        ValueError: For what RE2 does not understand.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    return bool(pc.match_substring_regex(pa.array([text]), pattern=pattern)[0].as_py())
