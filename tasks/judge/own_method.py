"""A way of judging of a user's own: a class that asks about a prompt's responses and reads the reply."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from kasasagi.blocks.models.llm import Message
from kasasagi.blocks.own.python import OwnPythonError
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.groups import Group, side_by_side
from kasasagi.tasks.judge.prompt import Language
from kasasagi.tasks.judge.replies.lines import UnreadableReply, Verdict
from kasasagi.tasks.parsing import UnreadableError


class OwnJudge(Protocol):
    """What a user writes."""

    def messages(self, prompt: Mapping[str, Any], texts: Sequence[str]) -> list[Message]:
        """Return the chat messages that ask the judge about the texts, in the order in which they stand.

        prompt has `messages`, `instruction` and the columns that the recipe keeps.
        """

    def read(self, reply: str, texts: Sequence[str]) -> Sequence[float]:
        """Return a rating for each text.

        Raises:
            UnreadableError: For a reply that does not say what was asked for.
        """


@dataclass(frozen=True)
class OwnMethod:
    """A user's judge as one of ours: all responses to a prompt are shown together, in both orders."""

    name: str
    judge: OwnJudge

    def groups(self, prompt_id: str, count: int) -> list[Group]:
        """Return one group of all responses."""
        return side_by_side(prompt_id, count)

    def request(
        self, prompt: Mapping[str, Any], texts: Sequence[str], aspect: str, language: Language
    ) -> dict[str, Any]:
        """Return what the user's class asks.

        Raises:
            OwnPythonError: If it cannot ask about these texts.
        """
        try:
            return {"messages": self._messages(prompt, texts)}
        except Exception as error:
            raise OwnPythonError(
                f"judge.method: {self.name} asks nothing about the responses to {prompt['prompt_id']} "
                f"({type(error).__name__}: {error}); fix its messages()"
            ) from error

    def problem(self, prompt: Mapping[str, Any]) -> str | None:
        """Return why the user's class cannot ask about a prompt, tried with two short texts."""
        try:
            self._messages(prompt, ["Yes.", "No."])
        except Exception as error:  # any error concerns this prompt alone
            return f"the judge {self.name} cannot ask about this prompt ({type(error).__name__}: {error})"
        return None

    def _messages(self, prompt: Mapping[str, Any], texts: Sequence[str]) -> list[Message]:
        """Return the user's messages.

        Raises:
            TypeError: If they are none.
        """
        messages = [dict(message) for message in self.judge.messages(prompt, texts)]
        if not messages or not all(isinstance(one.get(key), str) for one in messages for key in ("role", "content")):
            raise TypeError("messages are a list of mappings with the texts role and content")
        return messages

    def read(self, words: str, texts: Sequence[str], aspect: str = "", data: Sequence[str] = ()) -> list[Verdict]:
        """Return the ratings that the user's class reads. Raises UnreadableReply."""
        try:
            ratings = [float(rating) for rating in self.judge.read(words, texts)]
        except UnreadableError as error:
            raise UnreadableReply(error.reason, error.detail) from error
        except Exception as error:
            detail = f"{self.name} cannot read it ({type(error).__name__}: {error})"
            raise UnreadableReply("judge_error", detail) from error
        if len(ratings) != len(texts) or not all(map(math.isfinite, ratings)):
            raise UnreadableReply("judge_error", f"{self.name} read {ratings} in it, not a number for each text")
        return [Verdict(rating, "") for rating in ratings]


def own_method(name: str, own: Callable[[], OwnJudge]) -> Callable[..., OwnMethod]:
    """Return what makes a user's class a way of judging.

    Raises:
        OwnPythonError: If it is none.
    """
    if not all(callable(getattr(own, method, None)) for method in ("messages", "read")):
        raise OwnPythonError(
            f"{name!r} is not a judge: write a class with messages(self, prompt, texts) and read(self, reply, texts)"
        )
    return partial(_made, name, own)


def _made(name: str, own: Callable[[], OwnJudge], config: JudgeConfig, *, bundled: bool = False) -> OwnMethod:
    return OwnMethod(name, own())
