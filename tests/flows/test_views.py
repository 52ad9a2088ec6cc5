"""What people see of a run on a terminal: whole, straight, and with nothing in the data that could act on it."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from kasasagi.blocks.workspace.runs import Run, RunState, Workspace
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.flows.views.drawing import draw_rows
from kasasagi.flows.views.overview.show import draw_runs, print_summary, top_reasons
from kasasagi.flows.views.overview.summary import run_list, summary
from kasasagi.flows.views.safe_text import cut, dollars, duration, safe_json, visible
from kasasagi.tasks.tables import table
from tests.run_example import build_example_run

WIDTHS = (60, 100, 160)
HOSTILE = "\x1b[31mred\x1b]0;title\x07 [bold]not markup[/bold] [/x] \u202eright to left\u202c \x9b2J :smile: \r over"
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
LAST_OF_ALL = 2**31 - 1


def shown(run: Run, width: int = 100, pairs: int = 3, full: bool = False) -> str:
    """What the summary prints on a colour terminal of that width, with its styles left out."""
    file = io.StringIO()
    print_summary(run, Console(file=file, width=width, color_system=None, force_terminal=True), pairs, full)
    return file.getvalue()


def set_state(run: Run, **changes: Any) -> None:
    run.save(RunState.model_validate(run.state().model_dump() | changes))


def pair_run(folder: Path, prompt: str, chosen: str, rejected: str = "no", model: str = "m") -> Run:
    """An active run with one pair of these texts."""
    workspace = Workspace(folder)
    workspace.prepare()
    run = Run.begin(workspace, "20260301-hostile", prompt[:40], {})
    rows: dict[str, list[dict[str, Any]]] = {
        "prompts": [{"prompt_id": "a" * 32, "messages": [{"role": "user", "content": prompt}], "instruction": prompt}],
        "responses": [
            {"response_id": name * 32, "prompt_id": "a" * 32, "model": model, "content": text}
            for name, text in (("c", chosen), ("d", rejected))
        ],
        "pairs": [{"prompt_id": "a" * 32, "chosen_id": "c" * 32, "rejected_id": "d" * 32, "chosen_rating": 5.0}],
        "quarantine": [
            {"stage": "load", "row_id": chosen[:60], "reason": prompt[:60], "detail": chosen, "payload": "{"}
        ],
        "gates": [{"stage": "load", "expectation": prompt, "severity": "critical", "success": False, "detail": chosen}],
    }
    shards = {name: workspace.shards.write(table(name, some)) for name, some in rows.items()}
    account = Account(rows_in=2, rows_out=1, quarantined=1)
    run.add(Handle(stage="load", run=run.id, shards=shards, account=account), reused=False)
    return run


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has ended, which no test may change."""
    return build_example_run(tmp_path_factory.mktemp("ended"))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same run while it is active, which no test may change."""
    return build_example_run(tmp_path_factory.mktemp("live"), ended=False)


def test_a_summary_begins_with_what_was_made_at_what_cost_and_what_is_missing(tmp_path: Path) -> None:
    """The figures name their units: prompts that gave no pair are not added to responses that were rejected before."""
    run = build_example_run(tmp_path, prompts=12)
    cost = "9 pairs from 12 prompts; 46 paid calls, $0.0070"
    missing = "3 of 12 prompts gave no pair, most often missing_rating (1)"
    assert shown(run, 400).splitlines()[1] == f"{cost}; {missing}; look at 1 warning"
    set_state(run, published=str(tmp_path / "out"))
    assert shown(run, 400).splitlines()[1].startswith(f"9 pairs from 12 prompts in {tmp_path / 'out'}; 46 paid calls")
    assert "\n1 pair; 0 calls sent, $0; look at 1 failed gate\n" in shown(
        pair_run(tmp_path / "free", "Why?", "yes"), 200
    )


@pytest.mark.parametrize(
    ("product", "sentence"),
    [
        ("responses", "23 responses; 46 paid calls, $0.0070; 1 of 24 responses was rejected, most often refusal (1)"),
        ("instructions", "9 instructions; 46 paid calls, $0.0070; 3 of 12 instructions were rejected"),
    ],
)
def test_a_summary_names_what_the_run_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, product: str, sentence: str
) -> None:
    run = build_example_run(tmp_path, prompts=12)
    monkeypatch.setattr(Run, "product", lambda self: product)
    assert shown(run, 200).splitlines()[1].startswith(sentence)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["ended", "live"])
def test_no_line_of_text_is_wider_than_the_terminal(name: str, width: int, request: pytest.FixtureRequest) -> None:
    text = shown(request.getfixturevalue(name), width)
    body = text.split("\nledger ")[0].split("\ntables ")[0]
    assert max(cell_len(line) for line in body.splitlines()) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_every_stage_its_rows_and_its_reasons_are_there_at_any_width(ended: Run, width: int) -> None:
    lines = [line.split() for line in shown(ended, width).splitlines()]
    funnel = {line[0]: line[1:4] for line in lines if "%" in "".join(line)}
    assert funnel["load"] == ["9", "7", "2"]
    assert funnel["filter"] == ["7", "6", "1"]
    assert funnel["format_dpo"] == ["6", "3", "3"]
    assert ["unreadable", "2"] in lines
    assert ["min_chars", "1"] in lines


@pytest.mark.parametrize(("reasons", "last"), [(4, ("reason 3", 1)), (5, ("2 more reasons", 2))])
def test_a_single_further_reason_is_named(reasons: int, last: tuple[str, int]) -> None:
    assert top_reasons({f"reason {number}": 1 for number in range(reasons)})[3:] == [last]


@pytest.mark.parametrize("width", WIDTHS)
def test_calls_cost_and_a_failed_gate_are_there_at_any_width(ended: Run, width: int) -> None:
    text = shown(ended, width)
    cost = dollars(sum(stage["cost_usd"] for stage in summary(ended)["stages"]))
    assert cost in text
    assert "Gates: 1 of 4 failed" in text
    assert "judge: verdicts that cannot be read: 0.83 (verdicts that cannot be read)" in " ".join(text.split())
    assert "most often unreadable (2 rows" in " ".join(text.split())
    assert re.search(r"^gate +.*kasasagi quarantine \S+ --stage judge", text, re.M)
    assert "ExpectColumnValuesToBeInSet" not in text
    assert (re.search(r"0\.83 +verdicts that cannot be read", text) is not None) == (width >= 100)
    limit = r"( +share of rows that hold| +verdicts that cannot be read)?( +all rows +\w+)?" if width >= 100 else ""
    assert re.search(rf"^judge .*0\.83{limit} +failed *$", text, re.M)
    assert re.search(rf"^filter .*1\.0{limit} +passed *$", text, re.M)


def test_full_width_text_keeps_columns_straight() -> None:
    file = io.StringIO()
    rows = [("水は何度で沸騰しますか", 1), ("water", 22), ("ｶﾀｶﾅと漢字", 333), ("日本語" * 40, 4)]
    draw_rows(Console(file=file, width=60), ["質問", "数"], rows)
    lines = file.getvalue().splitlines()
    assert {cell_len(line) for line in lines} == {60}
    assert [line.split()[-1] for line in lines] == ["数", lines[1].split()[-1], "1", "22", "333", "4"]
    assert lines[5].split()[0].endswith("…")


def test_a_pair_shows_prompt_answers_ratings_and_models(ended: Run) -> None:
    text = shown(ended)
    assert "水は何度で沸騰しますか" in text
    assert "rated 5  large" in text
    assert "rated 2  small" in text
    assert "<b>earlier</b>" in text
    assert "Pairs: 3 of 3" in text
    assert "Pairs: 1 of 3" in shown(ended, pairs=1)


def test_a_conversation_is_shown_with_its_roles(tmp_path: Path) -> None:
    text = shown(build_example_run(tmp_path, prompts=12), pairs=9)
    assert "system: You are a patient teacher." in text
    assert "assistant: Hello. What is it?" in text


@pytest.mark.parametrize("full", [False, True])
def test_hostile_text_is_printed_as_it_is_spelt(tmp_path: Path, full: bool) -> None:
    text = shown(pair_run(tmp_path, HOSTILE, HOSTILE, model="[red]m[/red]\x1b[2J"), 160, full=full)
    assert not RAW.search(text)
    assert "\\x1b[31mred\\x1b]0;title\\x07" in text
    assert "[bold]not markup[/bold] [/x] \\u202eright to left\\u202c \\x9b2J :smile: \\r over" in text
    assert "[red]m[/red]\\x1b[2J" in text


def test_hostile_text_colours_nothing(tmp_path: Path) -> None:
    file = io.StringIO()
    console = Console(file=file, width=160, force_terminal=True, color_system="standard")
    print_summary(pair_run(tmp_path, HOSTILE, HOSTILE), console)
    sequences = set(re.findall("\x1b[^m]*m?", file.getvalue()))
    assert all(re.fullmatch("\x1b\\[[0-9;]*m", sequence) for sequence in sequences)


@pytest.mark.parametrize("filler", ["x", "語", "a b ", "\n", "\x1b"])
def test_a_text_of_a_megabyte_is_cut_to_a_few_lines(tmp_path: Path, filler: str) -> None:
    text = shown(pair_run(tmp_path, "begin " + filler * 1_000_000, "short"), 60)
    assert len(text) < 5_000
    assert text.count("…") >= 1
    assert "begin" in text
    assert max(map(cell_len, text.split("\nledger ")[0].splitlines())) <= 60


def test_full_shows_the_end_of_a_long_text(tmp_path: Path) -> None:
    run = pair_run(tmp_path, "question " * 200 + "the very end", "short")
    assert "very end" not in shown(run)
    assert "very end" in shown(run, full=True)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_without_anything_says_so(tmp_path: Path, width: int) -> None:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    run = Run.begin(workspace, "20260101-empty", "empty", {})
    text = shown(run, width)
    assert text.startswith("running  empty  20260101-empty")
    assert "No stage has finished a chunk" in text
    assert summary(run)["pairs"] == []


def test_a_killed_run_shows_what_it_has_and_what_to_do(tmp_path: Path) -> None:
    run = build_example_run(tmp_path, ended=False)
    set_state(run, pid=LAST_OF_ALL)
    text = shown(run)
    assert text.startswith("killed")
    assert "run the recipe again" in text
    assert "Pairs: 3 of 3" in text
    assert "Funnel so far" in text


def test_why_a_run_ended_and_where_its_data_lies(tmp_path: Path) -> None:
    run = build_example_run(tmp_path)
    set_state(run, status="stopped", error="the gate judge failed: too few verdicts", published="out/two-models")
    text = shown(run)
    assert text.startswith("stopped")
    assert "the gate judge failed: too few verdicts" in text
    assert re.search(r"^dataset +out/two-models$", text, re.M)
    assert str(run.database) in text


def test_show_in_a_loop_follows_a_run_and_changes_nothing(tmp_path: Path) -> None:
    source = build_example_run(tmp_path, ended=False, prompts=12)
    run = Run.begin(source.workspace, "20260201-live", "live", {})
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    rows_out = []
    for counted in source.handles():
        run.add(counted.handle, counted.reused)
        shown(run)
        rows_out.append(sum(stage["rows_out"] for stage in summary(run)["stages"]))
    assert rows_out == sorted(set(rows_out))
    assert summary(run)["chunks"] == {"load": 1, "filter": 1, "respond": 2, "judge": 2, "format_dpo": 1}
    after = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.name for path in after - before} == {"handles.jsonl"}


def test_a_live_run_and_the_same_run_ended_come_to_the_same(live: Run, ended: Run) -> None:
    while_it_went_on, at_the_end = summary(live), summary(ended)
    for part in ("stages", "pair_count", "pairs"):
        assert while_it_went_on[part] == at_the_end[part]


def test_a_share_is_never_rounded_up_to_all_or_hidden(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    run = Run.begin(workspace, "r", "r", {})
    for stage, out in (("load", 9999), ("filter", 10000)):
        run.add(Handle(stage=stage, run="r", shards={}, account=Account(rows_in=10000, rows_out=out)), reused=False)
    lines = {line.split()[0]: line for line in shown(run).splitlines() if line.strip()}
    assert "99%" in lines["load"]
    assert "100%" in lines["filter"]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_list_of_runs_is_newest_first_and_sums_up(tmp_path: Path, width: int) -> None:
    first = build_example_run(tmp_path, run_id="first")
    build_example_run(tmp_path, run_id="second", prompts=8, reused=True)
    set_state(first, started=1_700_000_000.0)
    rows = run_list(first.workspace)
    assert [row["run"] for row in rows] == ["second", "first"]
    assert [row["pairs"] for row in rows] == [5, 3]
    stages = summary(first)["stages"]
    assert rows[1]["calls_paid"] == sum(stage["calls_paid"] for stage in stages)
    file = io.StringIO()
    draw_runs(rows, Console(file=file, width=width))
    assert re.search(r"^second +done .* 5 ", file.getvalue(), re.M)
    assert dollars(rows[1]["cost_usd"]) in file.getvalue()


def test_a_run_of_another_version_spoils_the_list_for_no_other(tmp_path: Path) -> None:
    other = build_example_run(tmp_path, run_id="other")
    (other.folder / "handles.jsonl").write_text('{"unknown": 1}\n')
    build_example_run(tmp_path, run_id="known")
    rows = {row["run"]: row["pairs"] for row in run_list(other.workspace)}
    assert rows == {"known": 3, "other": None}
    file = io.StringIO()
    draw_runs(run_list(other.workspace), Console(file=file, width=100))
    assert re.search(r"^other .* \? +\?", file.getvalue(), re.M)


@given(st.text())
def test_visible_text_holds_nothing_that_acts_on_a_terminal(text: str) -> None:
    assert not RAW.search(visible(text))


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"])))
def test_visible_leaves_plain_text_of_any_script_alone(text: str) -> None:
    assert visible(text.replace("\u3164", "")) == text.replace("\u3164", "")


@given(st.text(), st.integers(1, 50))
def test_cut_text_is_no_longer_than_asked(text: str, chars: int) -> None:
    assert len(cut(text, chars)) <= chars
    assert cut(text, chars) == text or cut(text, chars).endswith("…")


@given(st.text())
def test_safe_json_means_the_same(text: str) -> None:
    written = safe_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(written) == text
    assert not RAW.search(written)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"), (7260, "2 h 01 min")],
)
def test_durations_are_told_in_the_units_that_matter(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
