"""People's verdicts, with Argilla's own client and a small server of ours: there, back, and above the judge's."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kasasagi.blocks.hints import install
from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.cli.app import app
from kasasagi.flows.errors import KasasagiError
from kasasagi.flows.people.verdicts import pull, push
from kasasagi.flows.rebuild.rebuild import rebuild_pairs
from kasasagi.tasks.asking import read_rows
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.human import HUMAN, prefer_human_ratings
from kasasagi.tasks.pairing.candidates import Candidate
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.run_tables import open_tables
from tests.fake_argilla import FakeArgilla
from tests.fake_argilla.server import id_of
from tests.run_example import RECIPE, build_example_run

KEY = "argilla-key-marked-7f3a91"
DATASET = "two-models-one-judge"
LENIENT: dict[str, Any] = {**RECIPE, "gates": {"on_fail": "warn"}}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of four pairs."""
    return build_example_run(tmp_path / "workspace", prompts=7, recipe=LENIENT)


@pytest.fixture
def argilla(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeArgilla]:
    with FakeArgilla(KEY).serving() as argilla:
        monkeypatch.setenv("ARGILLA_API_URL", argilla.address)
        monkeypatch.setenv("ARGILLA_API_KEY", KEY)
        yield argilla


def pairs_of(run: Run) -> dict[str, tuple[str, str, float, float]]:
    with open_tables(run) as connection:
        rows = connection.execute(
            "SELECT prompt_id, chosen_id, rejected_id, chosen_rating, rejected_rating FROM pairs"
        ).fetchall()
    return {row[0]: row[1:] for row in rows}


def rated(argilla: FakeArgilla, record: dict[str, Any], person: str, best: str, **more: Any) -> None:
    """Let a person rate the response of that id 5 and the other 1."""
    first = record["metadata"]["response_1"] == best
    marks = {"rating_1": 5 if first else 1, "rating_2": 1 if first else 5}
    argilla.respond(DATASET, record["external_id"], person, **{**marks, **more})


def test_a_pair_becomes_a_record_with_the_judges_ratings_and_words_suggested(run: Run, argilla: FakeArgilla) -> None:
    address, count = push(run, None, None, None)
    assert count == 4
    assert address.startswith(f"{argilla.address}/dataset/")
    pairs = pairs_of(run)
    records = argilla.records_of(DATASET)
    assert {record["metadata"]["prompt_id"] for record in records} == set(pairs)
    for record in records:
        chosen, rejected, *_ = pairs[record["metadata"]["prompt_id"]]
        ids = [record["metadata"][name] for name in ("response_1", "response_2")]
        assert sorted(ids) == sorted((chosen, rejected))
        suggested = {one["question_name"]: one["value"] for one in record["suggestions"]}
        assert suggested["rating_1"] == (5 if ids[0] == chosen else 2)
        assert suggested["rating_2"] == (5 if ids[1] == chosen else 2)
        assert "Too vague" in suggested["comment"] or "あいまい" in suggested["comment"]
        assert {one["agent"] for one in record["suggestions"]} == {"critic"}
        assert not any("model" in name for name in record["metadata"])


def test_the_order_of_the_responses_does_not_tell_which_is_chosen(tmp_path: Path, argilla: FakeArgilla) -> None:
    run = build_example_run(tmp_path, prompts=40)
    push(run, None, None, None)
    pairs = pairs_of(run)
    firsts = [
        record["metadata"]["response_1"] == pairs[record["metadata"]["prompt_id"]][0]
        for record in argilla.records_of(DATASET)
    ]
    assert 8 < sum(firsts) < 29


def test_pushing_again_adds_nothing_and_keeps_what_people_said(run: Run, argilla: FakeArgilla) -> None:
    push(run, None, None, 2)
    assert len(argilla.records_of(DATASET)) == 2
    record = argilla.records_of(DATASET)[0]
    argilla.respond(DATASET, record["external_id"], "ada", rating_1=1, rating_2=5)
    push(run, None, None, None)
    assert len(argilla.records_of(DATASET)) == 4
    assert [len(one["responses"]) for one in argilla.records_of(DATASET)] == [1, 0, 0, 0]


def test_a_verdict_outranks_the_judge_and_the_others_stay(run: Run, argilla: FakeArgilla) -> None:
    push(run, None, None, None)
    before = pairs_of(run)
    record = argilla.records_of(DATASET)[0]
    prompt = record["metadata"]["prompt_id"]
    chosen, rejected, *_ = before[prompt]
    rated(argilla, record, "umeko", rejected, comment="短くて正しい。")
    new, applied, others = pull(run.workspace, run.id, None, None)
    assert (applied, others) == (1, 0)
    after = pairs_of(new)
    assert after[prompt] == (rejected, chosen, 5.0, 1.0)
    assert {name: pair for name, pair in after.items() if name != prompt} == {
        name: pair for name, pair in before.items() if name != prompt
    }
    with open_tables(new) as connection:
        rows = connection.execute(
            "SELECT judge, rating, rationale FROM ratings WHERE ordering = 'human' ORDER BY rating"
        ).fetchall()
        judged = connection.execute("SELECT count(*) FROM ratings WHERE judge = 'critic'").fetchone()
    assert rows == [("human:umeko", 1.0, "短くて正しい。"), ("human:umeko", 5.0, "短くて正しい。")]
    with open_tables(run) as connection:
        assert connection.execute("SELECT count(*) FROM ratings").fetchone() == judged


def test_rebuilt_pairs_keep_the_verdicts_until_newer_ones_come(run: Run, argilla: FakeArgilla) -> None:
    push(run, None, None, None)
    record = argilla.records_of(DATASET)[0]
    prompt = record["metadata"]["prompt_id"]
    chosen, rejected, *_ = pairs_of(run)[prompt]
    rated(argilla, record, "ada", rejected)
    first = pull(run.workspace, run.id, None, None)[0]
    rebuilt = rebuild_pairs(run.workspace, first.id, ["pairs.min_margin=2"])
    assert pairs_of(rebuilt)[prompt][0] == rejected
    record["responses"].clear()
    rated(argilla, record, "ada", chosen)
    latest = pull(run.workspace, rebuilt.id, None, None)[0]
    assert pairs_of(latest)[prompt][0] == chosen
    with open_tables(latest) as connection:
        count = connection.execute("SELECT count(*) FROM ratings WHERE ordering = 'human'").fetchone()
    assert count == (2,)


def test_people_who_contradict_each_other_make_no_pair(run: Run, argilla: FakeArgilla) -> None:
    push(run, None, None, None)
    record = argilla.records_of(DATASET)[0]
    prompt = record["metadata"]["prompt_id"]
    chosen, rejected, *_ = pairs_of(run)[prompt]
    rated(argilla, record, "ada", chosen)
    rated(argilla, record, "umeko", rejected)
    new, applied, _ = pull(run.workspace, run.id, None, None)
    assert applied == 2
    assert prompt not in pairs_of(new)
    with open_tables(new) as connection:
        query = "SELECT reason FROM quarantine WHERE row_id = ? AND stage = 'format_dpo'"
        assert connection.execute(query, [prompt]).fetchall() == [("order_flip",)]


def test_drafts_half_answers_and_other_runs_are_not_applied(run: Run, argilla: FakeArgilla, tmp_path: Path) -> None:
    push(run, None, None, None)
    one, other, third, _ = argilla.records_of(DATASET)
    argilla.respond(DATASET, one["external_id"], "ada", "draft", rating_1=1, rating_2=5)
    argilla.respond(DATASET, other["external_id"], "ada", rating_1=1)
    with pytest.raises(KasasagiError, match="no submitted verdict"):
        pull(run.workspace, run.id, None, None)
    argilla.respond(DATASET, third["external_id"], "ada", rating_1=1, rating_2=5)
    third["metadata"]["response_1"] = "0" * 32
    with pytest.raises(KasasagiError, match="1 verdicts on other responses"):
        pull(run.workspace, run.id, None, None)
    assert len(run.workspace.runs()) == 1


def test_a_person_whose_name_we_may_not_know_counts_all_the_same(run: Run, argilla: FakeArgilla) -> None:
    argilla.knows_people = False
    push(run, None, None, None)
    rated(argilla, argilla.records_of(DATASET)[0], "ada", "x")
    assert pull(run.workspace, run.id, None, None)[1] == 1


def test_what_goes_wrong_is_one_sentence_without_the_key(
    run: Run, argilla: FakeArgilla, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def sentence(*more: str | None) -> str:
        with pytest.raises(KasasagiError) as caught:
            push(run, *(more or (None, None)), None)
        sentence = str(caught.value)
        assert "\n" not in sentence
        assert KEY not in sentence
        return sentence

    assert "has no workspace 'botanists'" in sentence(None, "botanists")
    with pytest.raises(KasasagiError, match=f"no dataset '{DATASET}'.*push"):
        pull(run.workspace, run.id, None, None)
    argilla.failing["records/bulk"] = 500
    assert "cannot be used" in sentence()
    monkeypatch.setenv("ARGILLA_API_KEY", "wrong")
    assert "ARGILLA_API_KEY" in sentence()
    monkeypatch.setenv("ARGILLA_API_URL", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be used" in sentence()
    monkeypatch.delenv("ARGILLA_API_URL")
    assert "ARGILLA_API_URL is not set" in sentence()
    monkeypatch.setitem(sys.modules, "argilla", None)
    monkeypatch.setenv("ARGILLA_API_URL", argilla.address)
    assert install("argilla") in sentence()
    assert "Traceback" not in capfd.readouterr().err


Typed = Callable[..., Any]


@pytest.fixture
def typed(run: Run) -> Typed:
    return lambda *words: CliRunner().invoke(app, ["argilla", *words, "-w", str(run.workspace.folder)])


def test_the_commands_say_what_they_did(run: Run, argilla: FakeArgilla, typed: Typed) -> None:
    result = typed("push", "-n", "3", "--dataset", "mine")
    assert result.exit_code == 0, result.exception
    assert f"3 pairs in {argilla.address}/dataset/" in result.output
    record = argilla.records_of("mine")[0]
    argilla.respond("mine", record["external_id"], "ada", rating_1=1, rating_2=5)
    pulled = typed("pull", run.id, "--dataset", "mine")
    assert pulled.exit_code == 0, pulled.exception
    assert "1 ratings of people applied" in pulled.output


def candidates(*names: str) -> dict[str, list[Candidate]]:
    return {"p": [Candidate(name, "m", name, (4.0, 4.0), "stop", votes=(4.0,)) for name in names]}


def human_rating(person: str, response: str, rating: float | None) -> dict[str, Any]:
    return {"prompt_id": "p", "response_id": response, "judge": person, "ordering": HUMAN, "rating": rating}


def test_ratings_by_people_stand_alone() -> None:
    found = prefer_human_ratings(
        candidates("a", "b", "c"),
        [human_rating("x", "a", 1), human_rating("x", "b", 3), human_rating("y", "a", 2), human_rating("y", "b", 5)],
    )
    assert [one.ratings for one in found["p"]] == [(1.0, 2.0), (3.0, 5.0), (None, None)]
    assert {one.votes for one in found["p"]} == {()}


def test_people_who_rated_different_responses_are_averaged() -> None:
    found = prefer_human_ratings(
        candidates("a", "b", "c"), [human_rating("x", "a", 1), human_rating("y", "a", 2), human_rating("x", "b", 3)]
    )
    assert [one.ratings for one in found["p"]] == [(1.5,), (3.0,), (None,)]


def test_where_nobody_said_anything_the_judge_stays() -> None:
    judged = candidates("a", "b")
    assert prefer_human_ratings(judged, [human_rating("x", "a", None)]) == judged
    assert prefer_human_ratings(judged, [{**human_rating("x", "a", 5), "ordering": "first"}]) == judged


def scaled(tmp_path: Path, judge: dict[str, Any], marks: dict[float, float]) -> Run:
    """An example run whose judge has another way and scale: marks has its ratings in place of the example's."""
    old = build_example_run(tmp_path, prompts=7, recipe=LENIENT)
    critic = {"model": "critic", **judge}
    recipe = {**LENIENT, "judge": critic}
    run = Run.begin(old.workspace, "20260101-000001-scaled", old.state().name, recipe)
    aspect = JudgeConfig.model_validate(critic).criteria[0]
    for handle in (counted.handle for counted in old.handles() if counted.handle.stage != "format_dpo"):
        shards = dict(handle.shards)
        if "ratings" in shards:
            rows = [
                {**row, "rating": marks[row["rating"]], "aspect": aspect} for row in read_rows(old, shards["ratings"])
            ]
            shards["ratings"] = run.workspace.shards.write(table("ratings", rows))
        run.add(handle.model_copy(update={"shards": shards}), reused=False)
    return rebuild_pairs(run.workspace, run.id, ["pairs.min_margin=0.1"])


WIDE = {"method": "rubric", "rubric": {"text": "Be kind.", "lowest": 1, "highest": 100}}
HALVES = {"method": "rubric", "rubric": {"text": "Be kind.", "halves": True}}


@pytest.mark.parametrize(
    ("judge", "chosen", "rejected", "steps"),
    [(WIDE, 85.0, 40.0, (8, 4)), ({"method": "pairwise"}, 1.0, 0.25, (10, 3)), (HALVES, 4.5, 4.0, (7, 6))],
)
def test_a_wide_or_fine_scale_goes_there_and_back(
    tmp_path: Path, argilla: FakeArgilla, judge: dict[str, Any], chosen: float, rejected: float, steps: tuple[int, int]
) -> None:
    run = scaled(tmp_path, judge, {5.0: chosen, 2.0: rejected})
    push(run, None, None, None)
    before = pairs_of(run)
    left, moved, *_ = argilla.records_of(DATASET)
    for record in (left, moved):
        suggested = [one["value"] for one in record["suggestions"] if one["question_name"] != "comment"]
        assert sorted(suggested, reverse=True) == list(steps)
    marks = {one["question_name"]: one["value"] for one in left["suggestions"] if one["question_name"] != "comment"}
    argilla.respond(DATASET, left["external_id"], "ada", **marks)
    best = moved["metadata"]["response_1"] == before[moved["metadata"]["prompt_id"]][1]
    one, other = (steps[0], 0) if best else (0, steps[0])
    argilla.respond(DATASET, moved["external_id"], "ada", rating_1=one, rating_2=other)
    new, applied, _ = pull(run.workspace, run.id, None, None)
    assert applied == 2
    after = pairs_of(new)
    same, other = (record["metadata"]["prompt_id"] for record in (left, moved))
    assert after[same] == (*before[same][:2], chosen, rejected)
    assert after[other][:2] == (before[other][1], before[other][0])
    assert after[other][3] == (0.0 if judge["method"] == "pairwise" else 1.0)


def test_people_are_told_what_the_steps_stand_for_and_a_dataset_keeps_its_own(
    tmp_path: Path, run: Run, argilla: FakeArgilla
) -> None:
    wide = scaled(tmp_path / "wide", WIDE, {5.0: 85.0, 2.0: 40.0})
    push(wide, "fresh", None, None)
    push(run, None, None, None)
    push(wide, None, None, None)
    descriptions = {
        name: [one["description"] for one in argilla.settings[id_of("dataset", name), "questions"]][:2]
        for name in ("fresh", DATASET)
    }
    assert descriptions["fresh"] == ["0 is the worst (1 on the judge's scale), 10 the best (100)."] * 2
    assert descriptions[DATASET] == [None, None]
    steps = {one["value"] for record in argilla.records_of(DATASET) for one in record["suggestions"][:2]}
    assert steps == {4, 3}, "85 and 40 of 100, on the steps from 1 to 5"


def test_a_record_whose_judged_ratings_are_damaged_is_one_sentence(run: Run, argilla: FakeArgilla) -> None:
    push(run, None, None, None)
    record = argilla.records_of(DATASET)[0]
    rated(argilla, record, "ada", "x")
    record["metadata"]["judge_scale"] = "one to five"
    with pytest.raises(KasasagiError, match=r"metadata judge_scale.* holds no numbers .*; push the run again"):
        pull(run.workspace, run.id, None, None)
    del record["metadata"]["judge_scale"]
    assert pull(run.workspace, run.id, None, None)[1] == 1
