"""How a text ended, by the finish reason that its server gives: one set for draws, turns, answers and verdicts."""

ENDED = frozenset(
    (
        None,
        "",
        "complete",
        "completed",
        "done",
        "end",
        "end_of_text",
        "end_turn",
        "endoftext",
        "eos",
        "eos_token",
        "eosfound",
        "finish",
        "finished",
        "function_call",
        "normal",
        "null",
        "stop",
        "stop_sequence",
        "stopstringfound",
        "tool_calls",
        "tool_use",
    )
)
"""What servers say, in any case, of a text that came to its end; some say nothing."""


def is_cut_off(finish_reason: str | None) -> bool:
    """Return whether a text may lack its end: so ends any of which the server says anything else than that it is whole.

    Of "Rating: 10" that a content filter or a lost connection cuts, "Rating: 1" could be left.
    """
    return (finish_reason and finish_reason.lower()) not in ENDED


def cut_off_detail(what: str, finish_reason: str | None, key: str) -> str:
    """Return what to say of a reply that is cut off, and, where it was too long, which key of the recipe to raise."""
    return f"{what} was cut off; raise {key}" if finish_reason == "length" else f"{what} ended by {finish_reason!r}"
