"""The checker `text`: the final answer against the true text, exactly but for case, width, blanks and punctuation."""

import re
import unicodedata

from kasasagi.tasks.judge.checkers.answers import Statement, statements
from kasasagi.tasks.judge.checkers.model import Case, Finding, best_of, cannot_tell, correct, incorrect
from kasasagi.tasks.judge.checkers.plain import plain, without_latex
from kasasagi.tasks.judge.checkers.truths import truths_of

LONGEST_ANSWER = 60
_PUNCTUATION = re.compile(r"[\s.,;:!?\"'`。、！？「」『』()\[\]{}<>*_…・·]+")
_ARTICLE = re.compile(r"\A(?:the|a|an)\s+", re.IGNORECASE)
_POLITE = re.compile(r"(?:です|でした|である|だ|になります|となります)\Z")


def normalized(text: str) -> str:
    """Return a text as it is compared: one width and case, without blanks, punctuation and a leading article."""
    text = _ARTICLE.sub("", without_latex(plain(text)).strip(" \"'「」.。"))
    return _PUNCTUATION.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def check_text(case: Case) -> Finding:
    """Compare the final answer with each of the texts that are accepted."""
    truths = truths_of(case.truth)
    return best_of([_against(truth, case, truths) for truth in truths])


def _against(truth: str, case: Case, truths: list[str]) -> Finding:
    wanted = normalized(truth)
    if not wanted:
        return cannot_tell(f"the truth {truth[:40]!r} has no letters and no digits")
    if normalized(case.answer) == wanted:
        return correct(f"the answer is {truth[:60]!r}")
    said = statements(case.answer)
    if said.final is None:
        return cannot_tell(said.problem)
    same = _says(said.final, wanted)
    if any(_says(other, wanted) != same for other in said.others):
        return cannot_tell("the response states two answers")
    return correct(f"the answer is {truth[:60]!r}") if same else _other(said.final, truth, case.answer, truths)


def _other(final: Statement, truth: str, answer: str, truths: list[str]) -> Finding:
    """A final answer that is not the truth: wrong if it is short and the truth is nowhere in the response."""
    if any(_holds(answer, normalized(one)) for one in truths):
        return cannot_tell(f"the response holds {truth[:40]!r}, and does not state it as its whole answer")
    if final.place == "conclusion" or len(final.text) > LONGEST_ANSWER:
        return cannot_tell(f"the response states no short answer: {final.text[:60]}")
    return incorrect(f"the answer is {final.text[:60]!r}, and {truth[:60]!r} is right")


def _says(statement: Statement, wanted: str) -> bool:
    """Whether a statement is the text that is wanted."""
    said = normalized(statement.text)
    return wanted in (said, normalized(_POLITE.sub("", statement.text.strip(" .。*"))))


def _holds(answer: str, wanted: str) -> bool:
    """Whether a text is found somewhere in an answer."""
    return wanted.replace(" ", "") in normalized(answer).replace(" ", "")
