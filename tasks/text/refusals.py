"""Refusals: short answers that open with words that the assistant cannot or will not do what was asked.

They stand at the beginning, alone or behind a lead ("I'm sorry, but", "As an AI,", "申し訳ありませんが、").
"""

import re

from kasasagi.tasks.text import refusals_english, refusals_japanese

REFUSAL_CHARS = 800
OPENING_CHARS = 300
ASKED_CHARS = 4000

_ASKS_FOR_REFUSAL = re.compile(
    r"translat|paraphras|rephras|rewrit|declin|turn(?:ing)? down|refus(?:al|ing)|apolog|\bsay no\b"
    r"|what (?:an? )?(?:ai|assistant|chatbot)|out-of-office|auto-?repl|\bvoicemail\b"
    r"|翻訳|訳し|訳せ|英訳|和訳|断り|断る|お詫び|謝罪|言い換え|書き換え|敬語|返信|返事|返答例|台詞|セリフ|例文|文例"
    r"|言い方"
    r"|お知らせ|案内文|貼り紙|張り紙|留守番電話|留守電|アナウンス|欠席",
    re.IGNORECASE,
)
_VOICED = re.compile(
    r"\b(?:monologue|letter|poem|diary|journal entry|songs?|lyrics|speech|story|novel|motto|pledge|vow|quot(?:e"
    r"|ation)"
    r"|dialog(?:ue)?|scene|voice of|write as|speak as|act as|line for|text message|reply|say something|imagine"
    r"|pretend"
    r"|role-?play|character|haiku|verses?|excuses?|script|e-?mails?|editorial|phrases?|sentences?|examples?|sentence"
    r"|guests?|customers?)\b",
    re.IGNORECASE,
)


def refusal_in(instruction: str, content: str) -> str | None:
    """Return the opening of an answer that refuses, or None.

    A refusal is rather short; one in an answer to a task of writing, translating or declining is none.
    """
    if len(content) > REFUSAL_CHARS:
        return None
    opening = content[:OPENING_CHARS].lstrip("*_# \n\t　").replace("’", "'")
    asked = instruction[:ASKED_CHARS]
    if not _refuses(opening, len(content), asked) or _ASKS_FOR_REFUSAL.search(asked):
        return None
    return opening


def _refuses(opening: str, length: int, asked: str) -> bool:
    if refusals_english.refuses(opening.lower(), length, _VOICED.search(asked) is not None):
        return True
    return not opening.isascii() and refusals_japanese.refuses(opening, length, asked)
