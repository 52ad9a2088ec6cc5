"""A preview shows what became of prompts that gave no pair: the texts, the ratings and the reasons."""

import io
from pathlib import Path

from rich.console import Console

from kasasagi.flows.views.overview.unpaired import draw_unpaired, unpaired
from tests.run_example import build_example_run


def test_prompts_without_a_pair_are_shown_with_answers_ratings_and_reasons(tmp_path: Path) -> None:
    run = build_example_run(tmp_path)
    prompts = unpaired(run, 9)["prompts"]
    assert len(prompts) == 3
    assert all(prompt["why"] for prompt in prompts)
    assert {row["reason"] for prompt in prompts for row in prompt["why"]} >= {"tie", "refusal", "unreadable"}
    assert any(len(response["ratings"] or ()) == 2 for prompt in prompts for response in prompt["responses"])
    assert len(unpaired(run, 1)["prompts"]) == 1


def test_the_texts_and_reasons_stand_under_their_prompt(tmp_path: Path) -> None:
    file = io.StringIO()
    draw_unpaired(build_example_run(tmp_path), Console(file=file, width=120, color_system=None), 9)
    text = file.getvalue()
    assert text.startswith("\nPrompts without a pair\n")
    assert "no pair     format_dpo: tie" in text
    assert "rated " in text
    assert "Water boils when it is hot." in text
    assert "Rows that did not become prompts" in text
    assert "filter: min_chars" in text
