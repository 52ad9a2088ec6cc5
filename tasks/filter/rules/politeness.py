"""How polite a Japanese text is, as a column: 敬体 (です, ます), 常体 (だ, である, bare verbs), or mixed."""

import re
from typing import Literal

from kasasagi.tasks.filter.rules.texts import unquoted

Politeness = Literal["敬体", "常体", "mixed"]

_SENTENCE_END = re.compile(r"[。．！!？?\n]+")
_TAIL = r"[のん]?(?:か|かね|かな|ね|よ|よね|な|が|けど|けれど|けれども|から|ので|し|のに)?[\s）)」』…]*\Z"
_POLITE = re.compile(rf"(?:です|ます|でした|ました|ません|でしょう|ましょう|ください|下さい|ませ){_TAIL}")
_PLAIN = re.compile(rf"(?:[うくぐすつぬぶむるいただけげせてべめれろよ]|なの){_TAIL}")
_NO_SENTENCE = re.compile(r"(?:について|に関して|として|において|に対して|により|とともに|まで|だけ|たち|ため)\Z")


def politeness(text: str) -> Politeness | None:
    """Return the style of a text's sentences by their endings; None where none has one, as in English or among nouns.

    Quotations and code are not looked at.
    """
    ends = [sentence.strip() for sentence in _SENTENCE_END.split(unquoted(text))]
    polite = sum(1 for end in ends if _POLITE.search(end))
    plain = sum(1 for end in ends if not _POLITE.search(end) and _PLAIN.search(end) and not _NO_SENTENCE.search(end))
    if polite and plain:
        return "mixed"
    return "敬体" if polite else "常体" if plain else None
