"""What a person reads on Prefect's page: the funnel, the gates, what waits for approval, and why a run failed."""

import asyncio
from pathlib import Path

import pytest

from kasasagi.flows.people.approval import HELP, failures_as_markdown
from kasasagi.flows.preference import preference
from kasasagi.flows.reporting.artifacts import _texts
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.outcome import Outcome
from tests.run_example import RECIPE, build_example_run

CONTENT = {"stage": "respond", "expectation": "ExpectColumnValueLengthsToBeBetween", "column": "content"}


def test_the_funnel_and_the_gates_have_headers_that_a_stranger_reads(tmp_path: Path) -> None:
    funnel, gates, pairs = _texts(build_example_run(tmp_path, prompts=9))
    assert funnel.startswith("| stage | in | out | quarantined | calls | reused | tokens in | tokens out | US$ |")
    assert "Quarantined rows, and why:" in funnel
    assert "| refusal |" in funnel.replace("| respond ", "")
    assert gates.startswith("| stage | scope | passed | expectation | observed | expected |")
    assert "| no | verdicts that cannot be read |" in gates
    assert "ExpectColumnValuesToBeInSet" not in gates
    assert "**Chosen**, rated 5, large" in pairs


@pytest.mark.parametrize(
    ("dropped", "shown"), [(("judge",), "**Response**, large"), (("judge", "respond"), "**Prompt**")]
)
def test_a_run_without_pairs_shows_some_of_what_it_makes(tmp_path: Path, dropped: tuple[str, ...], shown: str) -> None:
    recipe = {name: value for name, value in RECIPE.items() if name not in (*dropped, "pairs", "publish")}
    *_, rows = _texts(build_example_run(tmp_path, prompts=9, recipe=recipe))
    assert shown in rows
    assert "Chosen" not in rows
    assert len(rows.split("\n---\n")) == 3


def waiting(tmp_path: Path, **arguments: object) -> str:
    one = Expectation.model_validate({**CONTENT, **arguments})
    run = build_example_run(tmp_path, prompts=6, recipe={**RECIPE, "gates": {"expect": [{**CONTENT, **arguments}]}})
    outcome = Outcome(
        stage="respond",
        scope="whole",
        expectation=one.name,
        severity="critical",
        success=False,
        observed="0.0% of 12 as expected",
        detail="min_value 500",
    )
    return failures_as_markdown(run, [outcome])


def test_what_waits_shows_each_text_once_in_a_fence_and_says_what_approving_means(tmp_path: Path) -> None:
    shown = waiting(tmp_path, min_value=500)
    text = "Water boils at 100 °C at sea level, <b>earlier</b> on a mountain & so on."
    assert text in shown
    outside = "".join(shown.split("```")[::2])
    assert "<b>" not in outside
    assert "Water boils" not in outside
    assert shown.endswith(HELP)


def test_a_value_that_is_not_the_text_is_shown_beside_it_and_stays_text(tmp_path: Path) -> None:
    shown = waiting(tmp_path, column="model", min_value=500)
    assert ", large\n" in shown


@pytest.mark.usefixtures("prefect_server")
def test_a_failure_is_the_state_s_one_sentence(tmp_path: Path) -> None:
    state = asyncio.run(preference("nowhere", workspace=str(tmp_path), return_state=True))
    assert state.is_failed()
    assert state.message is not None
    assert state.message.startswith("there is no recipe 'nowhere'")
    assert "\n" not in state.message
