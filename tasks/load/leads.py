"""What a response answers, where its row has a prompt and the response is a conversation that may hold more."""

from kasasagi.tasks.load.turns import Conversation


def lead_to(prompt: Conversation, response: str | Conversation) -> Conversation:
    """Return the conversation that a response answers.

    For a whole conversation (as in ultrafeedback_binarized and distilabel) it is all but the last turn, if the prompt
    is its beginning, its end, or the user's first message. For turns that follow the prompt, it is the prompt and all
    of them but the last. Otherwise it is the prompt.
    """
    if isinstance(response, str) or len(response) < 2:
        return prompt
    before, asked = [_role_and_text(turn) for turn in response[:-1]], [_role_and_text(turn) for turn in prompt]
    if asked[-len(before) :] == before:
        return prompt
    if before[0][0] == "assistant":
        return [*prompt, *response[:-1]]
    spoken = [turn for turn in before if turn[0] != "system"]
    whole = asked in (before[: len(asked)], before[-len(asked) :], spoken[: len(asked)])
    return response[:-1] if whole else prompt


def _role_and_text(turn: dict[str, str]) -> tuple[str, str]:
    """Return who says what in a turn, without blanks around it."""
    return turn["role"], turn["content"].strip()
