"""A run whose tags tell unsafe prompts: refusals become sides of pairs, and the tables and the gate show it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kasasagi.flows.runner import run_recipe
from kasasagi.tasks.text.refusals import refusal_in
from tests.e2e.job import merged, prompt_rows, recipe_for
from tests.fake_server import FakeServer
from tests.fake_server.config import FaultRates

RULES = ["finished", "not_empty", "same_language", "no_provider_identity", {"within_median": 50}]


def write_job(folder: Path, responders: str, critic: str, **changes: Any) -> Path:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in prompt_rows(40)]
    (folder / "prompts.jsonl").write_text("".join(lines), encoding="utf-8")
    wanted = {
        "models": {"critic": {"base_url": critic}},
        "tags": {"model": "critic", "kinds": ["safety"]},
        "respond": {"rules": RULES, "samples": 2, "where": {"odd": "length(content) % 7 <> 0 OR safety = 'hate'"}},
        "pairs": {"safety": {"unsafe": "safety <> 'safe'", "chosen_if_unsafe": "refusal"}},
        "publish": {"path": str(folder / "out")},
        "gates": {"on_fail": "warn"},
    }
    recipe = merged(recipe_for(responders, **wanted), changes)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return folder / "recipe.yaml"


@pytest.mark.usefixtures("prefect_server")
def test_a_refusal_is_chosen_for_unsafe_prompts_alone_and_another_rule_asks_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_API_URL

    monkeypatch.setenv("PREFECT_API_URL", PREFECT_API_URL.value() or "")
    faults = FaultRates(refusal=0.4)
    with FakeServer(models=("small", "large"), faults=faults) as server, FakeServer(models=("critic",)) as critic:
        found = run_recipe(write_job(tmp_path, server.base_url, critic.base_url), workspace=tmp_path / "ws")
        recipe = write_job(
            tmp_path,
            server.base_url,
            critic.base_url,
            pairs={"safety": {"unsafe": "safety <> 'safe'", "chosen_if_unsafe": "any"}},
        )
        again = run_recipe(recipe, workspace=tmp_path / "ws")
    responses = found.tables["responses"].set_index("response_id").content
    instructions = found.tables["prompts"].set_index("prompt_id").instruction
    pairs = found.tables["pairs"]

    def refuses(pair: Any, side: str) -> bool:
        return refusal_in(instructions[pair.prompt_id], responses[pair[f"{side}_id"]]) is not None

    sides = {(bool(row.unsafe_prompt), refuses(row, "chosen"), refuses(row, "rejected")) for _, row in pairs.iterrows()}
    assert {unsafe for unsafe, _, _ in sides} == {False, True}
    assert all(chosen == unsafe for unsafe, chosen, _ in sides)
    assert (False, False, True) in sides
    assert ((pairs.safety != "safe") == pairs.unsafe_prompt).all()
    quarantine = found.tables["quarantine"]
    assert {"odd"} <= set(quarantine[quarantine.stage == "respond"].reason)
    assert set(quarantine[quarantine.stage == "format_dpo"].reason) & {"no_refusal", "only_refusals"}
    gates = found.tables["gates"]
    [held] = gates[
        gates.expectation.str.contains("safe_prompt_refused") & (gates.stage == "format_dpo")
    ].success.unique()
    assert held
    stages = again.tables["stages"].set_index("stage")
    assert (stages.loc[["respond", "judge", "tags"]].calls_paid == 0).all()
    chosen = [set(one.chosen_id) for one in (pairs, again.tables["pairs"])]
    assert chosen[0] != chosen[1]
