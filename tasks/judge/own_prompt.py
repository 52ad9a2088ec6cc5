"""A judge prompt of the recipe's own: a sandboxed template around texts that stay data, in place of our words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.prompt import Exhibit, instruction_text, own_frame
from kasasagi.tasks.judge.rubric import MARK, Framed, compile_fenced

EXAMPLES = ("first", "second")


class Responses(tuple[Framed, ...]):
    """The responses, each between marks; printed as a whole they are numbered."""

    label: str

    @classmethod
    def number(cls, texts: Sequence[str], mark: str, label: str) -> "Responses":
        """Put some texts between marks, to be numbered by a label such as `Text {number}`."""
        found = cls(block(text, mark) for text in texts)
        found.label = label
        return found

    def __str__(self) -> str:
        """Return all of them, each below its number."""
        return "\n\n".join(f"{self.label.format(number=number)}\n{text}" for number, text in enumerate(self, start=1))


def block(text: str, mark: str) -> Framed:
    """Return a text between marks, on lines of its own."""
    return Framed(f"[{mark}\n{text}\n{mark}]")


def required_placeholders(config: JudgeConfig) -> tuple[str, ...]:
    """Return what a recipe's own judge prompt must hold, or calls would be blind or equal."""
    rubric = ("rubric",) if config.rubric else ()
    aspect = ("aspect",) if len(config.aspects) > 1 else ()
    return ("instruction", "responses", *rubric, *aspect)


def known_placeholders(config: JudgeConfig) -> tuple[str, ...]:
    """Return what a recipe's own judge prompt may hold beside the prompt's columns."""
    aspect = ("aspect",) if config.method == "ultrafeedback" and len(config.aspects) == 1 else ()
    return (*required_placeholders(config), *aspect, "count")


def own_prompt(text: str, row: Mapping[str, Any], shown: Exhibit, fields: Mapping[str, Any]) -> Callable[[str], str]:
    """Return a recipe's own prompt for one call, as a function of the mark that fences all data in it.

    Args:
        text: The template.
        row: The prompt's columns.
        shown: What the judge is shown.
        fields: Further placeholders in our words; one that is a function is called with the mark.
    """

    def render(mark: str) -> str:
        ours = {name: Framed(value(mark) if callable(value) else value) for name, value in fields.items()}
        instruction = block(instruction_text(shown.messages, shown.language), mark)
        responses = Responses.number(shown.texts, mark, own_frame(shown.language)["text"])
        known = {"instruction": instruction, "responses": responses, "count": len(shown.texts)}
        return compile_fenced(text).render({**row, **known, **ours, MARK: mark})

    return render


def prompt_problem(text: str, row: Mapping[str, Any], fields: Mapping[str, Any]) -> str | None:
    """Return why a recipe's own prompt cannot be rendered for a row, if it cannot."""
    try:
        own_prompt(text, row, Exhibit(row["messages"], EXAMPLES, "en"), fields)("0" * 6)
    except Exception as error:  # a template error concerns this row alone
        return f"the judge prompt cannot be rendered for this row ({type(error).__name__}: {error})"
    return None
