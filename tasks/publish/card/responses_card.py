"""The card of a dataset of responses: no judge rated them, and no pairs are made of them."""

from kasasagi.tasks.publish.card.dataset_card import (
    CardFacts,
    columns,
    front_matter,
    how_it_came_about,
    how_to_load,
    origin,
)
from kasasagi.tasks.publish.card.introduction import cost, to_look_at
from kasasagi.tasks.publish.card.markdown import cell, table


def responses_card(facts: CardFacts) -> str:
    """Return the card as Markdown with the Hub's YAML header."""
    figures = facts.figures
    parts = [
        front_matter(facts, ["synthetic", "kasasagi", *facts.config.formats]),
        f"# {cell(facts.run.state().name)}",
        *facts.warnings,
        f"{figures.pairs:,} responses to {figures.prompts:,} prompts ({cost(facts.connection)})"
        f"{to_look_at(facts.connection, 'respond', 'response', 'did not pass')} Nobody judged them, and no pairs were "
        f"made of them. Made by kasasagi in the run {cell(facts.run.id)}.",
        *how_to_load(facts),
        *columns(facts),
        *how_it_came_about(facts),
        *_responses(facts),
        *origin(facts),
    ]
    return "\n\n".join(parts) + "\n"


def _responses(facts: CardFacts) -> list[str]:
    figures = facts.figures
    rows = [(name, one.responses, one.mean_tokens) for name, one in sorted(figures.models.items())]
    several = figures.prompts - figures.turns[1]
    return [
        "## The responses",
        table(("model", "responses", "mean tokens"), rows),
        f"Prompts with earlier turns: {several:,}; with a system message: {figures.with_system:,}.",
    ]
