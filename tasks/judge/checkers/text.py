"""The checker `text`: the final answer against the true text, exactly but for case, width, blanks and punctuation."""

import re
import unicodedata
from difflib import SequenceMatcher

from kasasagi.tasks.judge.checkers.final_answer import Statement, Statements, conclusions_in, statements
from kasasagi.tasks.judge.checkers.finding import Case, Finding, best_of, cannot_tell, correct, incorrect
from kasasagi.tasks.judge.checkers.plain import plain, without_latex
from kasasagi.tasks.judge.checkers.truths import truths_of

LONGEST_ANSWER = 60
_PUNCTUATION = re.compile(r"(?:[\s;!?\"'`。、！？「」『』()\[\]{}*_…・·]|(?<!\d)[.,:]|[.,:](?!\d))+")
_SIGNS = re.compile(r"[*_\[\](){}]|(?<=[\w)])[!'′″](?!\w)")
"""Signs that may be a part of what a text says, as in `C*`, `__init__`, `(1, 2)` and `5!`."""
_GLUED = re.compile(r"(?<=\w)\*(?![*\w])|(?<!\S)\*{1,2}(?=\w)|(?<!\S)__(?=\w)")
"""Such signs that no emphasis of Markdown explains, once it is removed."""
_ARE_AROUND = re.compile(r"[(\[]\w[\w\s]*[)\]]|\*\*[^*]+\*\*|[^\W\d]+!")
_ARTICLE = re.compile(r"\A(?:the|a|an)\s+", re.IGNORECASE)
_POLITE = re.compile(r"(?:です|でした|である|(?<![ぁ-ん])だ|になります|となります)\Z")
_SEPARATORS = re.compile(r"[\s\-–_./,:'$€£¥%^]+")
_TWO_LETTERS = {"ä": "ae", "ö": "oe", "ü": "ue", "æ": "ae", "œ": "oe", "ø": "oe"}
_ACCENT = re.compile(r"[\u0300-\u036f]")
_KATAKANA = {code: code - 0x60 for code in range(ord("ァ"), ord("ヶ") + 1)}
_KANA = re.compile(r"[ぁ-ゖァ-ヺー\s]+")
_EASTERN = re.compile(r"[ぁ-ヿ一-鿿]")
_KANJI = re.compile(r"[一-鿿]")
_SMALL_WORDS = frozenset(("of", "the", "and", "de", "la", "for", "in", "a", "an"))
_SAME = (
    frozenset(("true", "yes", "yep", "yeah", "correct", "right", "t", "y", "はい", "正しい", "真", "○")),
    frozenset(("none", "nothing", "nobody", "no one", "なし", "ない")),
    frozenset(("false", "no", "nope", "incorrect", "wrong", "f", "n", "いいえ", "正しくない", "誤り", "偽", "×")),
)
"""Words that say the same where a question is answered by yes or no, or by nothing."""
NEAR = 0.8
LONGEST_SHORT = 4


def normalized(text: str) -> str:
    """Return a text as it is compared: one width and case, without blanks, punctuation and a leading article."""
    text = _ARTICLE.sub("", without_latex(plain(text)).strip(" \"'「」.。"))
    return _PUNCTUATION.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def check_text(case: Case) -> Finding:
    """Compare the final answer with each of the texts that are accepted."""
    truths, stated = truths_of(case.truth), statements(case.answer)
    return best_of([_against(truth, case, truths, stated) for truth in truths])


def _against(truth: str, case: Case, truths: list[str], stated: Statements) -> Finding:
    found = _compared(truth, case, truths, stated)
    said = stated.final.text if stated.final else case.answer
    is_other = _lacks_signs(truth, case.answer) or (_GLUED.search(plain(said)) and not _GLUED.search(truth))
    if found.verdict == "correct" and is_other:
        return cannot_tell(f"{said[:40]!r} and {truth[:40]!r} differ in signs that may be part of them")
    return found


def _compared(truth: str, case: Case, truths: list[str], stated: Statements) -> Finding:
    wanted = normalized(truth)
    if not wanted:
        return cannot_tell(f"the truth {truth[:40]!r} has no letters and no digits")
    if normalized(case.answer) == wanted and not (case.answer.rstrip().endswith(("?", "？")) and "?" not in truth):
        return correct(f"the answer is {truth[:60]!r}")
    if stated.final is None:
        return cannot_tell(stated.problem)
    final = normalized(_POLITE.sub("", stated.final.text.strip(" .。*")))
    if others := [one for one in conclusions_in(stated.behind) if final not in normalized(one)]:
        return cannot_tell(f"behind its answer it says: {others[0][:60]}")
    same = _says(stated.final, wanted)
    if any(_says(other, wanted) != same for other in stated.others):
        return cannot_tell("the response states two answers")
    return correct(f"the answer is {truth[:60]!r}") if same else _other(stated.final, truth, case.answer, truths)


def _lacks_signs(truth: str, answer: str) -> bool:
    """Return whether a truth has signs that are part of it, and does not stand in an answer with them."""
    if "\\" in truth or not _SIGNS.search(truth) or _ARE_AROUND.fullmatch(truth.strip()):
        return False
    one, other = ("".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in (truth, answer))
    return one not in other


def _other(final: Statement, truth: str, answer: str, truths: list[str]) -> Finding:
    """Return a final answer that is not the truth: wrong if it is short and unlike it, and the truth is nowhere."""
    if any(_holds(answer, normalized(one)) for one in truths):
        return cannot_tell(f"the response holds {truth[:40]!r}, and does not state it as its whole answer")
    if final.place == "conclusion" or len(final.text) > LONGEST_ANSWER:
        return cannot_tell(f"the response states no short answer: {final.text[:60]}")
    final_text = normalized(_POLITE.sub("", final.text.strip(" .。*")))
    if any(_may_be(final_text, normalized(one)) for one in truths):
        return cannot_tell(f"{final.text[:60]!r} may be another way of writing {truth[:40]!r}")
    return incorrect(f"the answer is {final.text[:60]!r}, and {truth[:60]!r} is right")


def _may_be(answer: str, wanted: str) -> bool:
    """Return whether two texts may say the same: in part, in another order, script or spelling, or with
    other numbers.
    """
    one, other = _folded(answer), _folded(wanted)
    if not one or one == other or (min(len(one), len(other)) > 1 and (one in other or other in one)):
        return True
    if any(answer in same and wanted in same for same in _SAME):
        return True
    if _are_in_other_scripts(answer, wanted):
        return True
    if re.sub(r"\d+", "0", answer) != re.sub(r"\d+", "0", wanted) and re.search(r"\d", answer + wanted):
        return True
    if re.fullmatch(r"\d+\s*:\s*\d+", answer) and re.fullmatch(r"\d+\s*:\s*\d+", wanted):
        return True
    return _are_alike(_SEPARATORS.split(answer), _SEPARATORS.split(wanted))


def _are_in_other_scripts(answer: str, wanted: str) -> bool:
    """Return whether one text is in Latin letters and the other in Japanese, or one in kanji and the other in kana."""
    if bool(_EASTERN.search(answer)) != bool(_EASTERN.search(wanted)):
        return bool(re.search(r"[a-z]{2}", answer + wanted))
    is_kana = _KANA.fullmatch(answer) or _KANA.fullmatch(wanted)
    return bool(is_kana) and bool(_KANJI.search(answer)) != bool(_KANJI.search(wanted))


def _folded(text: str) -> str:
    """Return a text without separators and accents, in one kind of kana."""
    text = re.sub("([äöüæœø])", lambda found: _TWO_LETTERS[found[0]], text)
    text = unicodedata.normalize("NFKD", _SEPARATORS.sub("", text).translate(_KATAKANA))
    return unicodedata.normalize("NFC", _ACCENT.sub("", text))


def _are_alike(answer: list[str], wanted: list[str]) -> bool:
    """Return whether the words of the shorter text are, or shorten, words of the longer, or one is made of initials."""
    short, long = sorted((answer, wanted), key=len)
    full = [[word for word in long if word], [word for word in long if word and word not in _SMALL_WORDS]]
    initials = ["".join(word[0] for word in words) for words in full if len(words) > 1]
    if len(short) == 1 and any(short[0].startswith(one) for one in initials):
        return True
    return all(any(_is_like(one, other) for other in long) for one in short)


def _is_like(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    if short == long:
        return True
    if not (short and short.isascii() and short.isalpha()) or short[0] != long[0]:
        return False
    letters = iter(long)
    if len(short) <= LONGEST_SHORT and all(letter in letters for letter in short):
        return True
    return SequenceMatcher(None, short, long).ratio() >= NEAR


def _says(statement: Statement, wanted: str) -> bool:
    """Return whether a statement is the text that is wanted."""
    stated = normalized(statement.text)
    return wanted in (stated, normalized(_POLITE.sub("", statement.text.strip(" .。*"))))


def _holds(answer: str, wanted: str) -> bool:
    """Return whether a text is found somewhere in an answer."""
    return wanted.replace(" ", "") in normalized(answer).replace(" ", "")
