"""Items that ask for a form which checkers can decide, such as "Does the answer use at most 50 words?"."""

import re
from functools import lru_cache

from pydantic import ValidationError

from kasasagi.tasks.judge.checkers.instructions import english, japanese
from kasasagi.tasks.judge.checkers.instructions.constraints import Constraints
from kasasagi.tasks.judge.checkers.instructions.recognised import Rule
from kasasagi.tasks.judge.checkers.plain import plain
from kasasagi.tasks.judge.verify.config import VerifyConfig
from kasasagi.tasks.text.languages import KANA

LONGEST = 300
_TEXT = r"(?:the|this)\s+(?:(?:whole|entire)\s+)?(?:response|answer|text|reply|output)|it"
_FRAMES = (
    rf"(?:does|is|has)\s+(?:{_TEXT})\s+(?:(?:entire|whole)ly\s+)?",
    rf"(?:{_TEXT})\s+(?:(?:must|should|has\s+to|needs\s+to)\s+)?(?:be\s+|is\s+)?",
)
_FRAME = re.compile("|".join(f"(?:{frame})" for frame in _FRAMES), re.IGNORECASE)
_THIRD = re.compile(
    r"\A(contain|include|use|mention|start|begin|end|finish|conclude|avoid|consist|stay|have|ha)s\b", re.I
)
_LEAD = r"(?:(?:contain|include|have|use|using|consist\s+of|stay|keep|be|written|kept|limited\s+to|made\s+of)\s+)?"
_BEFORE_JA = re.compile(
    r"(?:(?:この|その)?(?:回答|答え|返答|応答|文章|本文|返事|出力)(?:全体)?(?:は|が|を|に|には|の中に|の中で)、?)?"
)
_AFTER_JA = re.compile(
    r"(?:(?:書かれて|答えて|回答して|述べて|まとめられて|まとめて|収まって|なって|構成されて|出力されて|始まって|終わって)?"
    r"(?:いる|います|ある|あります|である|です|いること|あること)|である|です|書かれている|こと)?か?[。？?]*"
)


@lru_cache(maxsize=4096)
def check_for(item: str) -> VerifyConfig | None:
    """Return what decides an item without a model; None where a word of it remains that no rule has read."""
    text = plain(" ".join(item.split()))
    if len(text) > LONGEST:
        return None
    constraints = _japanese(text) if KANA.search(text) else _english(text)
    return None if constraints is None else VerifyConfig(kind="instructions", constraint=constraints)


def _english(text: str) -> dict[str, object] | None:
    framed = _FRAME.match(text)
    if framed is None:
        return None
    rest = text[framed.end() :].strip().rstrip("?").rstrip(".").rstrip()
    order = _THIRD.sub(lambda found: "have" if found[1].lower() == "ha" else found[1], rest)
    return _whole(order, english.RULES, re.compile(_LEAD, re.IGNORECASE), re.compile(r"\s*"))


def _japanese(text: str) -> dict[str, object] | None:
    before = _BEFORE_JA.match(text)
    return _whole(text[before.end() if before else 0 :], japanese.RULES, re.compile(""), _AFTER_JA)


def _whole(
    text: str, rules: tuple[Rule, ...], before: re.Pattern[str], after: re.Pattern[str]
) -> dict[str, object] | None:
    """Return the constraint of the first rule that reads a text from its beginning to its end."""
    for pattern, read in rules:
        for match in pattern.finditer(text):
            whole = before.fullmatch(text[: match.start()]) and after.fullmatch(text[match.end() :])
            if whole and (found := read(match)) is not None:
                try:
                    return Constraints.model_validate(found).model_dump(mode="json", exclude_defaults=True)
                except ValidationError:  # numbers that contradict themselves
                    return None
    return None
