"""Find what a chat template left in an answer: control tokens, its role, a further turn, a raw call of a tool."""

import re

from kasasagi.tasks.text.languages import LANGUAGE_CHARS
from kasasagi.tasks.text.leaks.paired_turns import paired_turn
from kasasagi.tasks.text.leaks.second_turn import glued_role, leading_role, next_turn
from kasasagi.tasks.text.leaks.template_marks import leaked_token, without_fences
from kasasagi.tasks.text.leaks.tool_calls import ASKS_FOR_CALLS, tool_call

_ASKS_FOR_ROLES = re.compile(
    r"dialog|conversation|\bchat(?:s|bots?|gpt)?\b|transcript|script|interview|messages?\b|\blogs?\b|json|ya?ml|role|prompt|assistant"
    r"|few-?shot|\b(?:a|the|an?|short|stage|one-act) (?:play|scene|skit|sketch)\b"
    r"|会話|対話|やり取り|やりとり|チャット|台本|ログ|セリフ|インタビュー|メッセージ|ロール|プロンプト|アシスタント"
    r"|脚本|シナリオ|コント|漫才|寸劇",
    re.IGNORECASE,
)
_ASKS_FOR_QUESTIONS = re.compile(
    r"questions?\b|\bfaqs?\b|q ?& ?a|quiz|riddle|flash ?cards?|examples?\b|problems?\b|exercise"
    r"|質問|問題|クイズ|問答|なぞなぞ|例",
    re.IGNORECASE,
)


def leak_in(instruction: str, content: str) -> str | None:
    """Return what a chat template left in an answer, as a detail for people; None where it left nothing."""
    plain = without_fences(content)
    instruction = instruction[:LANGUAGE_CHARS]
    # What is found is rare and quick to look for, so that the instruction is read only then.
    if (call := tool_call(content, plain)) and not ASKS_FOR_CALLS.search(instruction):
        return f"the answer is a call of a tool: {call}"
    if token := leaked_token(plain, instruction):
        return f"the answer holds the control token {token}"
    turn = _turn_in(instruction, plain)
    return None if turn is None or _ASKS_FOR_ROLES.search(instruction) else turn


def _turn_in(instruction: str, plain: str) -> str | None:
    if role := leading_role(plain, instruction):
        return f"the answer begins with the role {_excerpt(role)!r}"
    if role := glued_role(plain):
        return f"the role {role} follows a sentence without a break"
    if turn := paired_turn(plain) or next_turn(plain, _ASKS_FOR_QUESTIONS.search(instruction) is not None):
        return f"a further turn follows the answer: {_excerpt(turn)!r}"
    return None


def _excerpt(text: str) -> str:
    text = " ".join(text[:120].split())
    return text if len(text) <= 60 else text[:60] + "…"
