"""The dataset card: it says how the data came about, loads as it says, and nothing in it can become markup."""

import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.publish import PublishConfig, publish
from kasasagi.tasks.publish.card.dataset_card import origin
from kasasagi.tasks.publish.card.markdown import cell, code_block, mask_secrets, table
from kasasagi.tasks.publish.places.folder import read_manifest
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import RECIPE, build_example_run

KEYS = ("sk-proj-abcdef1234567890", "hf_abcdefghijklmnopqrst", "AIzaSyA1234567890abcdefghijk", "hunter2hunter2")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return build_example_run(tmp_path_factory.mktemp("workspace"), prompts=9, reused=True)


def card_of(run: Run, target: Path, partial: bool = False, **settings: Any) -> str:
    with open_tables(run) as connection:
        publish(PublishConfig(**settings), run, connection, target, partial=partial)
    return (target / "README.md").read_text(encoding="utf-8")


def writable(run: Run) -> duckdb.DuckDBPyConnection:
    """The run's tables in memory, where a test may change them."""
    connection = duckdb.connect()
    connection.execute(f"ATTACH '{run.database}' AS run (READ_ONLY)")
    for name in ("prompts", "responses", "ratings", "pairs", "calls", "quarantine", "gates", "stages"):
        connection.execute(f"CREATE TABLE {name} AS FROM run.{name}")
    return connection


def header_of(card: str) -> dict[str, Any]:
    return dict(yaml.safe_load(card.split("---\n")[1]))


def cells_of(card: str, title: str) -> list[list[str]]:
    """The rows of the first table under a title."""
    section = card.split(f"## {title}\n")[1].split("\n## ", maxsplit=1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = [[entry.strip() for entry in line.strip("|").split("|")] for line in lines]
    end = next((place for place, row in enumerate(rows[2:], 2) if set("".join(row)) <= set("-: ")), len(rows) + 1) - 1
    return rows[2:end]


def test_the_header_tells_the_hub_what_it_needs(run: Run, tmp_path: Path) -> None:
    header = header_of(card_of(run, tmp_path / "out", license="cc-by-4.0"))
    assert header["license"] == "cc-by-4.0"
    assert sorted(header["language"]) == ["en", "ja"]
    assert header["size_categories"] == ["n<1K"]
    assert {"dpo", "preference", "kasasagi"} <= set(header["tags"])
    assert header["configs"][0]["data_files"] == [{"split": "train", "path": "train.parquet"}]


def test_without_a_licence_the_card_claims_none(run: Run, tmp_path: Path) -> None:
    assert header_of(card_of(run, tmp_path / "out"))["license"] == "unknown"


def test_the_account_of_every_stage_is_that_of_the_run(run: Run, tmp_path: Path) -> None:
    shown = cells_of(card_of(run, tmp_path / "out"), "Rows, calls and cost")
    with open_tables(run) as connection:
        stages = connection.execute(
            "SELECT stage, rows_in, rows_out, quarantined, calls_paid, calls_reused FROM stages"
        ).fetchall()
    assert [row[:6] for row in shown] == [[f"{value}" for value in stage] for stage in stages]
    assert [row[0] for row in shown] == ["load", "filter", "respond", "judge", "format_dpo"]
    assert next(row for row in shown if row[0] == "respond")[5] == "10"


def test_reasons_gates_and_models_are_named(run: Run, tmp_path: Path) -> None:
    card = card_of(run, tmp_path / "out")
    made = r"6 preference pairs for DPO from 9 prompts \(\d+ paid calls, \$0\.\d+\): "
    assert re.search(made + r"3 of 9 prompts gave no pair, most often \w+ \(1\); look at 1 warning\.", card)
    for reason in ("broken_json", "min_chars", "refusal", "unreadable", "missing_rating", "tie"):
        assert re.search(rf"\| {reason} \| \d+ \|", card)
    gates = cells_of(card, "Gates")
    assert [row[4] for row in gates] == ["yes", "yes", "no", "yes"]
    assert {row[5] for row in gates} == {"all rows"}
    names = ["length of instruction", "refusals", "verdicts that cannot be read", "rows"]
    assert [row[1] for row in gates] == names
    models = cells_of(card, "Models")
    assert [row[:2] for row in models] == [["respond", "large"], ["respond", "small"], ["judge", "critic"]]
    assert "temperature 0.8" in models[0][4]
    assert "temperature 0.0" in models[2][4]


def test_the_card_names_what_removed_the_answers_and_no_payment_that_was_not_made(run: Run, tmp_path: Path) -> None:
    connection = writable(run)
    connection.execute("UPDATE quarantine SET reason = 'too_few_responses' WHERE stage = 'format_dpo'")
    connection.execute("UPDATE stages SET cost_usd = 0")
    connection.execute("UPDATE gates SET success = true")
    publish(PublishConfig(), run, connection, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert re.search(r"\(\d+ calls sent, \$0\): 3 of 9 prompts gave no pair, most often because fewer than two", card)
    assert "answers were left (refusal 1). Each has" in card
    assert "paid call" not in card


def test_every_responder_stands_with_the_sampling_that_it_was_asked_with(run: Run, tmp_path: Path) -> None:
    connection = writable(run)
    warm = "json_merge_patch(request::JSON, '{{\"temperature\": {0}}}')::VARCHAR"
    connection.execute("CREATE TABLE hot AS SELECT call_id FROM calls WHERE stage = 'respond' AND model = 'large'")
    connection.execute(f"UPDATE calls SET model = 'small', request = {warm.format(1.35)} WHERE call_id IN (FROM hot)")
    connection.execute("UPDATE responses SET model = 'hot' WHERE call_id IN (FROM hot)")
    connection.execute(
        'UPDATE quarantine SET payload = json_merge_patch(payload::JSON, \'{"model": "hot"}\')::VARCHAR '
        "WHERE stage = 'respond' AND TRY(payload->>'call_id') IN (FROM hot)"
    )
    publish(PublishConfig(), run, connection, tmp_path / "out")
    rows = cells_of((tmp_path / "out" / "README.md").read_text(encoding="utf-8"), "Models")
    assert [row[:2] for row in rows] == [["respond", "hot (small)"], ["respond", "small"], ["judge", "critic"]]
    assert "temperature 1.35" in rows[0][4]
    assert "temperature 0.8" in rows[1][4]
    asked = connection.execute("SELECT count(*) FROM calls WHERE stage = 'respond' AND error IS NULL").fetchall()[0][0]
    assert sum(int(row[3]) for row in rows[:2]) == asked


def test_a_model_that_was_asked_in_very_many_ways_fills_no_page(run: Run, tmp_path: Path) -> None:
    connection = writable(run)
    connection.execute(
        "UPDATE calls SET request = json_merge_patch(request::JSON, json_object('seed', rowid))::VARCHAR "
        "WHERE stage = 'judge'"
    )
    publish(PublishConfig(), run, connection, tmp_path / "out")
    rows = cells_of((tmp_path / "out" / "README.md").read_text(encoding="utf-8"), "Models")
    judged = connection.execute("SELECT count(*) FROM calls WHERE stage = 'judge' AND error IS NULL").fetchall()[0][0]
    assert sum(int(row[3]) for row in rows if row[0] == "judge") == judged > len(rows)
    assert rows[-1][1] == "others"


def test_the_recipe_stands_in_the_card(run: Run, tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(.*?)\n```", card_of(run, tmp_path / "out"), re.DOTALL)
    assert block is not None
    assert yaml.safe_load(block[1]) == RECIPE


def test_a_partial_dataset_says_so_first(run: Run, tmp_path: Path) -> None:
    card = card_of(run, tmp_path / "out", partial=True)
    assert "not finished" in card.split("# two-models-one-judge")[1].split("##")[0]
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest["partial"] is True
    assert "not finished" not in card_of(run, tmp_path / "out")
    assert (read_manifest(tmp_path / "out") or {})["partial"] is False


def test_no_key_reaches_the_folder(tmp_path: Path) -> None:
    recipe = {
        **RECIPE,
        "models": {
            "small": {
                "kind": "openai",
                "base_url": f"http://user:{KEYS[3]}@host/v1?api_key={KEYS[3]}",
                "extra_body": {
                    "headers": {"Authorization": f"Bearer {KEYS[3]}"},
                    "api_key": KEYS[3],
                    "note": f"x {KEYS[0]}",
                },
                "model": KEYS[1],
            }
        },
        "notes": [KEYS[2], {"HF_TOKEN": KEYS[3]}],
    }
    run = build_example_run(tmp_path / "workspace", recipe=recipe)
    card = card_of(run, tmp_path / "out")
    assert card.count("***") >= 7
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [key for key in KEYS for path in files if key.encode() in path.read_bytes()]


def test_the_card_says_how_far_form_tells_the_chosen_answers(run: Run, tmp_path: Path) -> None:
    assert "pairs are too few for the shortcut audit; it needs 50." in card_of(run, tmp_path / "few")
    with writable(run) as connection:
        for _ in range(4):
            connection.execute("INSERT INTO pairs SELECT * FROM pairs")
        count = connection.execute("SELECT count(*) FROM pairs").fetchone()
        text = "'Sure! <b>' || content || repeat('x', 20000) || ' Bye [now](url)'"
        connection.execute(f"UPDATE responses SET content = {text} WHERE response_id IN (SELECT chosen_id FROM pairs)")
        publish(PublishConfig(), run, connection, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "with an AUC of 1.00 (95% interval: 1.00 to 1.00; 0.50 is chance)" in card
    rows = cells_of(card, "Shortcuts")
    assert ["at the beginning", f"{count[0] if count else 0:,}", "0"] in [row[1:] for row in rows if "Sure" in row[0]]
    assert any("Bye" in row[0] and row[1] == "at the end" for row in rows)
    assert "<b>" not in card
    assert "[now](url)" not in card


def test_the_card_says_how_a_judge_rates_its_own_family(run: Run, tmp_path: Path) -> None:
    assert "own family" not in card_of(run, tmp_path / "none")
    models = {**RECIPE["models"], "critic": {**RECIPE["models"]["critic"], "model": "large"}}
    kin = build_example_run(tmp_path / "workspace", recipe={**RECIPE, "models": models}, prompts=9)
    [row] = cells_of(card_of(kin, tmp_path / "out"), "Judges and their own family")
    assert row[:3] == ["prefers its own family", "critic", "large"]
    assert float(row[3].removesuffix("%")) > 75


def test_lengths_are_of_the_texts_and_tokens_of_those_that_a_server_counted(run: Run, tmp_path: Path) -> None:
    pairs = cells_of(card_of(run, tmp_path / "counted"), "The pairs")
    with writable(run) as connection:
        connection.execute("UPDATE responses SET completion_tokens = CASE WHEN model = 'small' THEN 0 END")
        publish(PublishConfig(), run, connection, tmp_path / "out")
        connection.execute("UPDATE responses SET content = 'Yes.', completion_tokens = 90 WHERE model = 'large'")
        publish(PublishConfig(), run, connection, tmp_path / "short")
    card, short = ((tmp_path / name / "README.md").read_text(encoding="utf-8") for name in ("out", "short"))
    assert [row[4] for row in pairs] != ["", ""]
    assert [row[:4] for row in cells_of(card, "The pairs")] == [row[:4] for row in pairs]
    assert [row[4] for row in cells_of(card, "The pairs")] == ["", ""]
    assert "The chosen answer is longer in 100.0% of the pairs (in characters)." in card
    assert [row[4] for row in cells_of(short, "The pairs")] == ["90", ""]
    assert "The chosen answer is longer in 0.0% of the pairs (in characters)." in short


@pytest.mark.parametrize(
    ("settings", "more", "message"),
    [
        ({}, {}, "by the digest of each prompt and the seed 0: all rows of a prompt are in one split"),
        ({"system": "drop"}, {}, "differ from it only in their system messages are in one split"),
        ({"prompt": "as_sent"}, {}, "each prompt without its system messages and the seed 0"),
        (
            {},
            {"rewrite": {"model": "small"}},
            "all rows of a prompt, with what was rewritten from it, are in one split",
        ),
    ],
)
def test_the_card_says_what_a_split_keeps_together(
    tmp_path: Path, settings: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    run = build_example_run(tmp_path / "workspace", prompts=23, recipe={**RECIPE, **more})
    assert message in card_of(run, tmp_path / "out", split={"test": 0.3}, **settings)


def test_masking_leaves_settings_alone() -> None:
    assert mask_secrets(RECIPE) == RECIPE
    assert mask_secrets({"max_tokens": 5, "eos_token": "</s>", "api_key_env": "MY_KEY"}) == {
        "max_tokens": 5,
        "eos_token": "</s>",
        "api_key_env": "MY_KEY",
    }


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    hostile = "x | y\n\n# Owned <script>alert(1)</script> ![](http://evil/a.png) `code`"
    run = build_example_run(tmp_path / "workspace", recipe={**RECIPE, "note": "```\n# Owned\n````"})
    with writable(run) as connection:
        connection.execute("UPDATE quarantine SET reason = $1", [hostile])
        connection.execute("UPDATE gates SET detail = $1, observed = $1", [hostile])
        connection.execute("UPDATE responses SET model = $1", [hostile])
        connection.execute("UPDATE calls SET model = $1", [hostile])
        publish(PublishConfig(), run, connection, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    outside, inside = re.sub(r"(`{5,})yaml\n.*?\n\1", "", card, flags=re.DOTALL), card
    assert "# Owned" in inside
    assert not re.search(r"^# Owned", outside, re.MULTILINE)
    assert "<script" not in outside
    assert not re.search(r"(?<!\\)!\[", outside)


@given(st.text(max_size=300))
def test_a_cell_is_one_line_without_markup(text: str) -> None:
    shown = cell(text)
    assert len(shown.splitlines()) <= 1
    assert "<" not in shown
    assert not re.search(r"(?<!\\)(?:\\\\)*[|`*\[\]!]", shown)


@given(st.text(alphabet="`a\n#", max_size=60))
def test_a_fence_cannot_be_closed_from_within(text: str) -> None:
    lines = code_block(text).splitlines()
    assert all(lines[0] not in line for line in lines[1:-1])


def test_a_table_keeps_its_columns() -> None:
    lines = table(("name", "rows"), [("a|b", 1234), ("c\nd", None)]).splitlines()
    assert lines == ["| name | rows |", "| --- | ---: |", r"| a\|b | 1,234 |", "| c d |  |"]


def test_masking_a_long_text_is_quick() -> None:
    started = time.monotonic()
    for text in ("http://" * 20_000, "sk-" * 40_000, "?key" * 30_000, "eyJ" * 30_000, "a:" * 50_000):
        mask_secrets([text])
    assert time.monotonic() - started < 5


def test_the_folders_of_a_mixs_parts_are_not_published() -> None:
    parts = {"code": {"run": "20261201-code", "share": 0.5, "workspace": "/home/somebody/work"}}
    recipe = {"name": "both", "source": {"kind": "runs", "parts": parts}}
    text = "\n".join(origin(SimpleNamespace(run=SimpleNamespace(recipe=lambda: recipe))))  # type: ignore[arg-type]
    assert "20261201-code" in text
    assert "somebody" not in text
