"""The probe: honest figures, a verdict with its reasons, advice that names them, and calls that are paid for once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from kasasagi.blocks.models.kinds import Sampling
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.cli.app import app
from kasasagi.flows.errors import KasasagiError
from kasasagi.flows.probe.advice import judge
from kasasagi.flows.probe.figures import ProbeFigures, at_even_distances, diversity, languages, opening, spread
from kasasagi.flows.probe.job import ProbeResult, run_probe
from kasasagi.flows.probe.setup import probe_of
from kasasagi.flows.recipe.errors import RecipeError
from tests.blocks.helpers import ScriptedServer, error_body
from tests.fake_server import FakeServer

SOUND: dict[str, Any] = {"draws": 100, "invented": 100, "accepted": 0.9, "distinct": 1.0, "near": 0.0, "diversity": 0.6}
RECIPE: dict[str, Any] = {
    "name": "invented",
    "source": {"kind": "magpie", "model": "writer", "template": "### User: ", "target": 10},
    "filter": {
        "rules": [{"max_chars": 60}, {"ends_as_a_sentence": False}],
        "where": {"calm": "instruction NOT LIKE '%!'"},
    },
    "respond": {"models": ["writer"]},
    "judge": {"model": "writer"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer(models=("writer",)) as running:
        yield running


def test_the_diversity_is_one_where_nothing_is_shared_and_falls_to_one_text() -> None:
    assert diversity(["abcdef", "ghijkl", "mnopqr"]) == pytest.approx(1.0)
    assert diversity(["the same text"] * 10) == pytest.approx(0.1)
    assert diversity(["どうして空は青いのですか。"]) == pytest.approx(1.0)
    assert diversity([]) == 0.0
    near = diversity([f"Explain to a friend what makes the number {n} useful." for n in range(30)])
    assert near < diversity([f"{n * 7919} things about {chr(97 + n % 26) * 9}" for n in range(30)])


def test_lengths_languages_and_beginnings_are_counted() -> None:
    assert spread(["a" * n for n in range(1, 101)]) == (10, 50, 90)
    assert spread([]) == (0, 0, 0)
    assert languages(["Why is it so?", "What is it?", "なぜですか。", "12"]) == {"en": 0.5, "ja": 0.25, "unclear": 0.25}
    assert opening(["What is  the sun?", "What is the moon?", "Why?"]) == ("What is the", 2 / 3)
    assert opening(["日本の首都はどこですか。", "日本の首都はいつ決まりましたか。"]) == ("日本の首都は", 1.0)
    assert at_even_distances(list(range(10)), 3) == [0, 3, 6]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "suits"),
        ({"accepted": 0.5}, "usable"),
        ({"near": 0.3}, "usable"),
        ({"distinct": 0.8}, "usable"),
        ({"accepted": 0.2}, "unsuited"),
        ({"distinct": 0.4}, "unsuited"),
        ({"near": 0.7}, "unsuited"),
    ],
)
def test_the_verdict_follows_from_the_figures_and_says_them(changes: dict[str, Any], verdict: str) -> None:
    found = judge(ProbeFigures(**{**SOUND, **changes}), Sampling(), steered=False)
    assert found.verdict == verdict
    assert len(found.because) == 3
    assert found.because[0].startswith(f"{changes.get('accepted', 0.9):.0%} of the draws are accepted")


@pytest.mark.parametrize(
    ("changes", "sampling", "says"),
    [
        ({"failed": {"empty": 30}}, {}, "30% of the draws are empty: the model ends its turn at once"),
        ({"failed": {"time_out": 30}}, {}, "30% of the draws failed (time_out)"),
        ({"answers": 0.5}, {}, "50% of the texts sound like an assistant"),
        ({"passes": {"template_leak": 0.8}}, {}, "20% contain text of a chat template: add the markers"),
        ({"passes": {"stopped_by": 0.9}}, {"stop": ["user"]}, "10% were cut at a word ('user')"),
        ({}, {"stop": ["assistant"]}, "a stop string that is a word also cuts texts"),
        ({"cut": 0.4}, {"max_tokens": 64}, "40% ended at max_tokens (now 64)"),
        (
            {"passes": {"repetition": 0.8}},
            {"repetition_penalty": 1.0},
            "sampling.repetition_penalty to 1.1 (now 1)",
        ),
        ({"passes": {"odd_script": 0.5}}, {}, "lower sampling.temperature or top_p"),
        ({"passes": {"private_life": 0.9}}, {}, "10% ask about the answerer's private life: add the rule private_life"),
        ({"distinct": 0.5}, {"temperature": 0.7}, "raise sampling.temperature to 1.0 (now 0.7)"),
        ({"near": 0.5}, {"temperature": 1.0}, "alike at temperature 1: try 1.2, or steer"),
        (
            {"opening_share": 0.5, "opening": "What is the"},
            {},
            "little (50% begin with 'What is the'): steer",
        ),
        ({"languages": {"other": 0.2}}, {}, "20% are in neither English nor Japanese"),
        ({"draws": 99}, {}, "99 draws are too few to rely on these shares: draw at least 100"),
    ],
)
def test_advice_names_the_figure_and_the_remedy(changes: dict[str, Any], sampling: dict[str, Any], says: str) -> None:
    found = judge(ProbeFigures(**{**SOUND, **changes}), Sampling(**sampling), steered=False)
    assert any(says in advice for advice in found.advice), found.advice


def test_a_sound_model_needs_no_advice_and_a_steered_one_is_not_told_to_steer() -> None:
    assert judge(ProbeFigures(**SOUND), Sampling(), steered=False).advice == ()
    same = ProbeFigures(**{**SOUND, "opening_share": 0.5, "opening": "Why"})
    assert judge(same, Sampling(), steered=True).advice == ()


def probed(folder: Path, name: str, *overrides: str, samples: int = 40, **model: Any) -> ProbeResult:
    return run_probe(probe_of(name, samples, overrides, model), Workspace(folder), lambda line: None)


def test_a_model_at_an_endpoint_is_probed_and_paid_for_once(server: FakeServer, tmp_path: Path) -> None:
    server.reset_stats()
    settings = ["source.template='### User: '", "models.probed.usd_per_million_tokens={output: 1000000}"]
    first = probed(tmp_path, "writer", *settings, base_url=server.base_url)
    figures = first.figures
    assert (figures.draws, figures.calls_paid, figures.calls_reused) == (40, 40, 0)
    assert server.stats()["samples_begun"] == 40
    assert figures.cost_usd == pytest.approx(40 * figures.tokens)
    assert figures.usd_a_draw == pytest.approx(figures.tokens)
    assert figures.passes["ends_as_a_sentence"] == 1.0
    assert len(figures.samples) == 8
    again = probed(tmp_path, "writer", *settings, base_url=server.base_url, samples=50)
    assert (again.figures.calls_paid, again.figures.calls_reused) == (10, 40)
    assert server.stats()["samples_begun"] == 50
    assert not list((tmp_path / "runs").iterdir())


def test_a_recipe_is_probed_with_its_own_source_and_filter(server: FakeServer, tmp_path: Path) -> None:
    models = {"writer": {"kind": "openai", "model": "writer", "base_url": server.base_url}}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({**RECIPE, "models": models}))
    result = probed(tmp_path / "w", str(tmp_path / "r.yaml"))
    assert set(result.figures.passes) >= {"max_chars", "min_chars", "finished"}
    long = [shown for shown in result.figures.samples if len(shown.text) > 60]
    assert long
    assert all("max_chars" in shown.broken for shown in long)
    assert result.figures.accepted <= result.figures.passes["max_chars"]
    assert (
        probed(tmp_path / "w", str(tmp_path / "r.yaml"), "filter.rules=[]").figures.accepted > result.figures.accepted
    )


def test_a_model_that_says_the_same_is_told_from_one_that_varies(tmp_path: Path) -> None:
    with FakeServer(distinct_draws=False) as monotonous:
        settings = ["source.template='### User: '"]
        result = probed(tmp_path, "any", *settings, base_url=monotonous.base_url)
    assert result.figures.distinct < 0.3  # the server's samples differ within one call alone
    assert result.judgement.verdict == "unsuited"
    assert result.figures.diversity < 0.3


def test_a_chat_only_endpoint_is_told_that_it_cannot_do_magpie(tmp_path: Path) -> None:
    missing = (404, {}, error_body("Not Found"))
    with (
        ScriptedServer(lambda number, headers: missing) as server,
        pytest.raises(KasasagiError, match="it only answers chats; Magpie continues a text"),
    ):
        probed(tmp_path, "any", "source.template='### User: '", base_url=server.base_url)


@pytest.mark.parametrize("name", ["nobody", "two-models-one-judge"])
def test_what_cannot_be_probed_is_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(KasasagiError, match=r"--base-url|come from a dataset"):
        probed(tmp_path, name)
    with pytest.raises(RecipeError, match="temprature"):
        probed(tmp_path, "hina", "source.sampling.temprature=1")


def test_the_command_shows_hina_and_prints_json(tmp_path: Path) -> None:
    arguments = ["probe", "hina", "-n", "24", "-w", str(tmp_path)]
    shown = CliRunner().invoke(app, arguments, catch_exceptions=False).output
    assert "hina suits Magpie" in shown
    assert "24 sent, 0 in the ledger" in shown
    assert "10,000 accepted instructions would take about" in shown
    printed = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).output)
    assert printed["figures"]["calls_reused"] == 24
    assert printed["judgement"]["verdict"] == "suits"
