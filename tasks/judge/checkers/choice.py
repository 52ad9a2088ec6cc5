"""The checker `choice`: which of a question's options an answer names, by its letter or its text."""

import re
from collections.abc import Mapping

from kasasagi.tasks.judge.checkers.closings import without_closing
from kasasagi.tasks.judge.checkers.final_answer import (
    HEDGES,
    Statement,
    conclusions_in,
    is_taken_back,
    statements,
)
from kasasagi.tasks.judge.checkers.finding import Case, Finding, best_of, cannot_tell, correct, incorrect
from kasasagi.tasks.judge.checkers.plain import plain, without_latex
from kasasagi.tasks.judge.checkers.text import normalized
from kasasagi.tasks.judge.checkers.truths import truths_of

MOST_CHARS = 8_000
KANA = "アイウエオカキクケコ"
_LABEL = rf"[A-J]|[{KANA}]|\d{{1,2}}"
_OPTION = re.compile(
    rf"(?:^|(?<=[\s。?？:、,;]))[(\[]?(?P<label>{_LABEL})\s?[.)\]:、．](?!\d)\s*(?P<text>\S.*?)"
    rf"(?=\s*$|[\s、,;]+[(\[]?(?:{_LABEL})\s?[.)\]:．](?!\d)\s*\S)",
    re.MULTILINE,
)
_SAID = re.compile(
    rf"\A(?:(?:the\s+)?(?:option|choice|letter|answer|選択肢|記号)\s*)?(?P<open>[(\[「『])?\s*(?P<label>{_LABEL})\s*"
    r"(?P<close>[)\]」』])?(?P<stop>[.:、,．]|\s*[-–])?(?P<rest>.*)\Z",
    re.IGNORECASE | re.DOTALL,
)
_POLITE = re.compile(r"\A(?:です|である|だ|になります|となります|が正解|が正しい|を選[びぶ]|番)+(?:です|ます)?\Z")
_IS_CORRECT = re.compile(
    r"\A\s*(?:is\s+(?:the\s+)?(?:correct|right|best)(?:\s+(?:answer|option|choice))?)?\s*\Z", re.IGNORECASE
)
_OTHERS_ARE_WRONG = re.compile(
    r"\A(?:(?:the\s+)?others?|(?:option\s+)?[(]?[A-J][)]?)\s+(?:is|are|was|were)\s+(?:wrong|incorrect|false|not)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:not?|never|wrong|incorrect|false|out)\b|n't\b|[✗✘❌×🚫👎]|誤|間違|違|不正解|ない|ません", re.IGNORECASE
)
_CONCLUSION = re.compile(
    r"\A\s*(?:(?:so|therefore|thus|hence|したがって|従って|よって|つまり|ゆえに)\s*[,、]?\s*)?"
    r"(?:it\s+is\s+|it's\s+)?",
    re.IGNORECASE,
)
_TEXT_AND_LABEL = re.compile(
    rf"\A(?P<text>\S.*?)\s*[,、(\[]\s*(?:(?:which\s+is\s+)?(?:option|choice|選択肢)\s*)?[(\[]?(?P<label>{_LABEL})[)\]]{{0,2}}\Z",
    re.IGNORECASE | re.DOTALL,
)
"""An option's text with its label behind it, such as `4, option (B)`."""
_NO_LABEL = re.compile(
    r"(?<![A-Za-z])(?:I(?![A-Za-z])|A(?=\s+(?!(?:is|was|and|or|nor|would|could|should|may|might|will|must|can|has|says|seems|fits|as|in|to)\b)[a-z]))"
)
"""The pronoun and the article."""
_SEVERAL = re.compile(
    rf"(?<![A-Za-z])(?:{_LABEL})(?![A-Za-z])\s*(?:,|、|/|and|or|と|や|か|&|\+)\s*[(\[]?(?:{_LABEL})(?![A-Za-z])",
    re.IGNORECASE,
)


def options_in(prompt: str) -> dict[str, str]:
    """Return the options of a question by their labels, in their order; none where fewer than two are found."""
    found: dict[str, str] = {}
    for one in _OPTION.finditer(plain(prompt[-MOST_CHARS:])):
        found.setdefault(one["label"], one["text"].strip(" ,;、"))
    run = _run(list(found))
    return {label: found[label] for label in run} if len(run) > 1 else {}


def _run(labels: list[str]) -> list[str]:
    """Return the labels of one kind that follow one another from the first: A, B, C or 1, 2, 3."""
    for first in ("A", "ア", "1"):
        if first in labels:
            names = KANA if first == "ア" else "ABCDEFGHIJ" if first == "A" else [str(n) for n in range(1, 21)]
            count = next((place for place, name in enumerate(names) if name not in labels), len(names))
            return list(names[:count])
    return []


def check_choice(case: Case) -> Finding:
    """Compare the option that an answer names with the right one."""
    options = options_in(case.prompt)
    stated = statements(case.answer)
    if stated.final is None:
        label = _opening(case.answer, options)
        whole = [_against(truth, label, options) for truth in truths_of(case.truth)] if label else []
        return best_of(whole) if whole else cannot_tell(stated.problem)
    found = _named(stated.final, options)
    if found is None:
        return cannot_tell(f"the answer names no single option: {stated.final.text[:80]}")
    others = [one.text for one in stated.others if _named(one, options) != found]
    others += [one for one in conclusions_in(stated.behind) if _names_another(one, found, options)]
    if others:
        return cannot_tell(f"the response names several options: {others[0][:60]}")
    return best_of([_against(truth, found, options) for truth in truths_of(case.truth)])


def _against(truth: str, found: str, options: Mapping[str, str]) -> Finding:
    wanted = label_of(truth, options)
    if wanted is None:
        return cannot_tell(f"the truth {truth[:60]!r} is none of the question's options")
    right = f"{wanted} is the right one"
    return correct(f"it names {found}") if found == wanted else incorrect(f"it names {found}, and {right}")


def label_of(truth: str, options: Mapping[str, str]) -> str | None:
    """Return the label of the option that a truth names, None where it names none."""
    tidied = without_latex(plain(truth)).strip()
    match = _SAID.match(tidied)
    found = None
    if match is not None:
        label, rest = match["label"].upper(), match["rest"].strip()
        is_own = label in options and normalized(rest) == normalized(options[label])
        found = label if is_own or (not rest and (not options or label in options)) else None
    return _one_of(found, normalized(tidied), options)


def _named(statement: Statement, options: Mapping[str, str]) -> str | None:
    """Return the label of the one option that a statement names, None where it names none or several."""
    text = _CONCLUSION.sub("", without_latex(statement.text)).strip(' .。"')
    text = text[1:-1] if re.fullmatch("'[^']*'", text) else text
    if _SEVERAL.search(text):
        return None
    behind = _TEXT_AND_LABEL.match(_without_polite(text))
    if behind and (own := options.get(behind["label"].upper())) and normalized(behind["text"]) == normalized(own):
        return behind["label"].upper()
    return _one_of(_by_label(text, options), normalized(_without_polite(text)), options)


def _opening(answer: str, options: Mapping[str, str]) -> str | None:
    """Return the option that an answer begins with, whole and in its own line; None where the rest may doubt it."""
    line, _, rest = without_closing(plain(answer).strip()).partition("\n")
    begin = normalized(line)
    same = [name for name, text in options.items() if begin == normalized(f"{name}. {text}")]
    is_doubted = HEDGES.search(rest) or _DENIED.search(rest) or is_taken_back(rest)
    if len(same) != 1 or answer.rstrip().endswith(("?", "？")) or is_doubted or _names_another(rest, same[0], options):
        return None
    return same[0]


def _names_another(sentence: str, found: str, options: Mapping[str, str]) -> bool:
    """Return whether a sentence names an option other than the one that was found, by its label or its text."""
    text = _NO_LABEL.sub(" ", sentence) if "I" not in options else sentence
    labels = {one.upper() for one in re.findall(rf"(?<![A-Za-z])(?:{_LABEL})(?![A-Za-z])", text)}
    words = normalized(sentence)
    named = {name for name, text in options.items() if (own := normalized(text)) and own in words}
    return bool((labels & {*options, *"ABCDEFGHIJ"} | named) - {found})


def _one_of(label: str | None, text: str, options: Mapping[str, str]) -> str | None:
    """Return the option of a label, or of a text; None where they are two, such as 3 for the third option and the
    first.
    """
    same = [name for name, option in options.items() if normalized(option) == text]
    if label is None:
        return same[0] if len(same) == 1 else None
    return label if set(same) <= {label} else None


def _by_label(text: str, options: Mapping[str, str]) -> str | None:
    """Return the label at the begin of a statement, if what stands behind it does not speak against it."""
    match = _SAID.match(text)
    if match is None or (options and match["label"].upper() not in options):
        return None
    label, rest = match["label"], re.sub(r"\A番?の", "", match["rest"].strip(" .。*"))
    if label.islower() and rest and not (match["close"] and (match["open"] or _fits(rest, label.upper(), options))):
        return None
    label = label.upper()
    if match["stop"] and match["stop"].strip() in ("-", "–") and not rest:  # a grade such as B-
        return None
    if not rest or _POLITE.match(rest) or _IS_CORRECT.match(rest):
        return label
    if not (match["close"] or match["stop"]):
        rest_is_option = label in options and normalized(_without_polite(rest)) == normalized(options[label])
        return label if rest_is_option else None
    return label if _OTHERS_ARE_WRONG.match(rest) or _fits(rest, label, options) else None


def _fits(rest: str, label: str, options: Mapping[str, str]) -> bool:
    """Return whether the words behind a label are those of its option, and not those of another."""
    words = normalized(_without_polite(rest))
    own = normalized(options.get(label, ""))
    if words == own:
        return True
    others = [normalized(text) for name, text in options.items() if name != label]
    if any(other and other in words for other in others) or _DENIED.search(rest):
        return False
    return bool(own) and words.startswith(own)


def _without_polite(text: str) -> str:
    return re.sub(r"(?:です|である|だ|になります|となります)\Z", "", text.strip(" .。"))
