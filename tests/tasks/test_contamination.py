"""Contamination: prompts that repeat items of evaluation sets go, with the set and row named; others stay."""

import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from kasasagi.tasks.filter import FilterConfig, FilterError, check_filter, filter_digest
from tests.tasks.test_filter import COLUMNS, held, kept, reasons, run, table

ENGLISH = "A train leaves the station at noon and travels at eighty kilometres an hour; when does it arrive in Nagoya?"
JAPANESE = "次の文章を読み、筆者がもっとも言いたいことを、本文の言葉を使って四十字以内で答えなさい。"
SHORT = "Who wrote the novel Kokoro?"


def evaluation(folder: Path, name: str, *texts: str, column: str = "question") -> dict[str, Any]:
    (folder / name).write_text("".join(json.dumps({column: text}) + "\n" for text in texts), encoding="utf-8")
    return {"path": name, "columns": [column]}


def sets(folder: Path, **config: Any) -> dict[str, Any]:
    return {
        "sets": {
            "trains": evaluation(folder, "trains.jsonl", "Unlike any of the others, this is about cats.", ENGLISH),
            "kokugo": evaluation(folder, "kokugo.jsonl", JAPANESE, SHORT, "No."),
        },
        **config,
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ENGLISH, "row 2 of trains"),
        (ENGLISH.upper().replace(";", " -"), "row 2 of trains"),
        (f"Solve this. {ENGLISH} Show every step.", "row 2 of trains"),
        ("A train leaves the station at noon and travels at eighty kilometres an hour. How far by two?", "of trains"),
        (f"{JAPANESE[:-8]}書きなさい。", "row 1 of kokugo"),
        (JAPANESE.replace("四十", "　四十 "), "row 1 of kokugo"),
        ("Tell me quickly: who wrote the novel 'Kokoro'?", "row 2 of kokugo"),
        ("no", "row 3 of kokugo"),
    ],
)
def test_a_prompt_that_repeats_an_item_goes_and_names_set_and_row(tmp_path: Path, text: str, says: str) -> None:
    result = run(tmp_path, table(tmp_path, ["How do tides work?", text]), contamination=sets(tmp_path))
    assert reasons(result) == {1: "contaminated"}
    assert says in held(result)[0]["detail"]


@pytest.mark.parametrize(
    "text",
    [
        "A train leaves the station every morning; write a story about a passenger who misses it.",
        "次の文章を読み、要約してください。",
        "Who wrote the novel The Gate?",
        "There is no reason to say no.",
        "???",
    ],
)
def test_a_prompt_that_shares_but_a_phrase_stays(tmp_path: Path, text: str) -> None:
    assert kept(run(tmp_path, table(tmp_path, [text]), contamination=sets(tmp_path))) == [text]


def test_how_much_must_be_shared_is_the_recipes_choice(tmp_path: Path) -> None:
    half = "A train leaves the station at noon and travels at eighty metres a day, which is why nobody takes it at all."
    prompts = table(tmp_path, [half])
    assert reasons(run(tmp_path, prompts, contamination=sets(tmp_path, share=0.2))) == {0: "contaminated"}
    assert reasons(run(tmp_path, prompts, contamination=sets(tmp_path, share=0.9))) == {}
    assert reasons(run(tmp_path, prompts, contamination=sets(tmp_path, share=0.9, words=30))) == {}


def test_a_phrase_that_most_items_have_says_nothing(tmp_path: Path) -> None:
    frame = "Which of the following statements about this subject is certainly true:"
    items = [f"{frame} {number} {number + 1} {number + 2}?" for number in range(100)]
    config = {"sets": {"frames": evaluation(tmp_path, "frames.jsonl", *items)}}
    prompts = table(tmp_path, [f"{frame} plants sleep at night?", items[40]])
    assert reasons(run(tmp_path, prompts, contamination=config)) == {1: "contaminated"}


def test_earlier_turns_of_the_user_count_and_answers_do_not(tmp_path: Path) -> None:
    turns = [
        [
            {"role": "user", "content": first},
            {"role": "assistant", "content": second},
            {"role": "user", "content": "And?"},
        ]
        for first, second in ((ENGLISH, "At three."), ("Hello.", ENGLISH))
    ]
    prompts = table(tmp_path, ["And?", "And? "], messages=turns)
    assert reasons(run(tmp_path, prompts, contamination=sets(tmp_path))) == {0: "contaminated"}


def test_rules_come_before_and_duplicates_after(tmp_path: Path) -> None:
    prompts = table(tmp_path, ["Why?", ENGLISH, ENGLISH, "How do tides work?", "How do tides work?"])
    result = run(tmp_path, prompts, rules=[{"min_chars": 10}], contamination=sets(tmp_path))
    assert reasons(result) == {0: "min_chars", 1: "contaminated", 2: "contaminated", 4: "duplicate"}
    assert result.rows_in == result.rows_out + result.quarantined


def test_lists_are_joined_and_compressed_files_read(tmp_path: Path) -> None:
    row = {"question": ["A train leaves the station", "at noon for Nagoya, and nobody is on it."]}
    (tmp_path / "e.json.gz").write_bytes(gzip.compress(json.dumps([row]).encode()))
    config = {"sets": {"e": {"path": "e.json.gz", "columns": ["question"]}}}
    text = "A train leaves the station at noon for Nagoya, and nobody is on it. Why?"
    assert reasons(run(tmp_path, table(tmp_path, [text]), contamination=config)) == {0: "contaminated"}


def test_a_saved_dataset_and_one_of_the_hub_are_evaluation_sets_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = datasets.Dataset.from_list([{"question": ENGLISH}])
    datasets.DatasetDict({"test": rows, "train": datasets.Dataset.from_list([{"question": SHORT}])}).save_to_disk(
        str(tmp_path / "saved")
    )
    asked: list[tuple[str, str]] = []

    def hub(path: str, name: str | None, split: str, **options: Any) -> Any:
        asked.append((path, split))
        return datasets.Dataset.from_list([{"question": JAPANESE}]).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", hub)
    wanted = {name: {"path": name, "split": "test", "columns": ["question"]} for name in ("saved", "owner/name")}
    prompts = table(tmp_path, ["Why do the tides come and go?", ENGLISH, JAPANESE])
    result = run(tmp_path, prompts, contamination={"sets": {"trains": wanted["saved"], "kokugo": wanted["owner/name"]}})
    assert reasons(result) == {1: "contaminated", 2: "contaminated"}
    assert ["row 1 of trains" in held(result)[0]["detail"], "row 1 of kokugo" in held(result)[1]["detail"]] == [
        True
    ] * 2
    assert set(asked) == {("owner/name", "test")}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"path": "trains.json", "columns": ["question"]}, "does not exist"),
        ({"path": "trains.jsonl", "columns": ["questoin"]}, "did you mean 'question'?"),
    ],
)
def test_a_set_that_is_not_there_is_said_before_anything_runs(tmp_path: Path, entry: dict[str, Any], says: str) -> None:
    sets(tmp_path)
    config = FilterConfig.model_validate({"contamination": {"sets": {"mine": entry}}})
    with pytest.raises(FilterError, match=r"contamination\.sets\.mine: .*") as raised:
        check_filter(config, COLUMNS, tmp_path)
    assert says in str(raised.value)


@pytest.mark.parametrize("line", ['{"question": 3}', "{broken", '{"other": "x"}'])
def test_a_row_that_cannot_be_compared_is_an_error_not_a_hole(tmp_path: Path, line: str) -> None:
    evaluation(tmp_path, "e.jsonl", ENGLISH)
    (tmp_path / "e.jsonl").open("a").write(line + "\n")
    config = {"sets": {"e": {"path": "e.jsonl", "columns": ["question"]}}}
    with pytest.raises(FilterError, match=r"contamination\.sets\.e: row 2"):
        run(tmp_path, table(tmp_path, ["Why?"]), contamination=config)


def test_what_the_sets_hold_decides_whether_a_result_is_reused(tmp_path: Path) -> None:
    plain = FilterConfig()
    guarded = FilterConfig.model_validate({"contamination": sets(tmp_path)})
    before = filter_digest(guarded, tmp_path)
    assert before != filter_digest(plain, tmp_path)
    assert before == filter_digest(FilterConfig.model_validate({"contamination": sets(tmp_path)}), tmp_path)
    evaluation(tmp_path, "trains.jsonl", SHORT)
    assert before != filter_digest(guarded, tmp_path)


def test_a_reason_of_ones_own_cannot_be_called_contaminated() -> None:
    with pytest.raises(ValueError, match="contaminated"):
        FilterConfig(where={"contaminated": "true"})
