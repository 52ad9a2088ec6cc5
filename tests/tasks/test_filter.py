"""Filtering: what survives, the first rule that each other row broke, and what a recipe may not ask."""

import json
import sys
import textwrap
import unicodedata
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kasasagi.blocks.canonical import prompt_id
from kasasagi.tasks.filter import (
    FilterConfig,
    FilterError,
    FilterResult,
    check_filter,
    filter_digest,
    filter_prompts,
    sql,
)
from kasasagi.tasks.filter.duplicates.keys import same_text
from kasasagi.tasks.filter.sql import SqlSandbox
from kasasagi.tasks.text.endings import ENDED, is_cut_off

COLUMNS = ["prompt_id", "messages", "instruction", "source", "position", "finish_reason", "id"]
NO_DEDUP = {"exact": False}


def table(folder: Path, texts: list[str], **columns: list[Any]) -> Path:
    """A table of prompts as loading writes it, with further columns or other values for its own."""
    messages = [[{"role": "user", "content": text}] for text in texts]
    data = {
        "prompt_id": [prompt_id(turns) for turns in messages],
        "messages": messages,
        "instruction": texts,
        "source": ["p.jsonl"] * len(texts),
        "position": list(range(len(texts))),
        "finish_reason": pa.nulls(len(texts), pa.string()),
        **columns,
    }
    pq.write_table(pa.table(data), folder / "in.parquet")
    return folder / "in.parquet"


def run(folder: Path, prompts: Path, defaults: Any = (), **config: Any) -> FilterResult:
    return filter_prompts(FilterConfig(**config), prompts, folder / "out", folder, defaults)


def kept(result: FilterResult) -> list[str]:
    return pq.read_table(result.prompts)["instruction"].to_pylist()


def held(result: FilterResult) -> list[dict[str, Any]]:
    return pq.read_table(result.quarantine).to_pylist()


def reasons(result: FilterResult) -> dict[int, str]:
    return {row["position"]: row["reason"] for row in held(result)}


@pytest.mark.parametrize(
    "text",
    [
        "Why?",
        "Why ?",
        "Do it.",
        "Now!",
        "なぜですか？",
        "書いてください。",
        "「なぜ？」",
        "『詳しく。』",
        "（短く。）",
        '"Why?"',
        "He said “go.”",
        "《読め！》",
        "［[x.]",
        "終わり．",
        "終わり。】",
        "Why?\n",
        "終わり。\u3000",
        "a\x00b.",
    ],
)
def test_a_sentence_may_end_in_english_and_japanese(tmp_path: Path, text: str) -> None:
    result = run(tmp_path, table(tmp_path, [text]), rules=["ends_as_a_sentence"])
    assert reasons(result) == ({0: "ends_as_a_sentence"} if text.endswith("]") else {})


@pytest.mark.parametrize("text", ["Write a", "なぜ", "例：", "1. one\n2. two", "Why? Because", "「なぜ」", "", "and,"])
def test_text_that_breaks_off_does_not_end_as_a_sentence(tmp_path: Path, text: str) -> None:
    assert reasons(run(tmp_path, table(tmp_path, [text]), rules=["ends_as_a_sentence"])) == {0: "ends_as_a_sentence"}


def test_finished_holds_for_stop_and_for_none(tmp_path: Path) -> None:
    texts = ["What is a heron?", "鷺とは何ですか。", "What is a heron that", "鷺とは何でしょうか、また"]
    prompts = table(tmp_path, texts, finish_reason=["stop", None, "length", "length"])
    result = run(tmp_path, prompts, rules=["finished"])
    assert reasons(result) == {2: "finished", 3: "finished"}
    assert held(result)[0]["detail"] == "finish_reason is length"


def test_a_draw_and_an_answer_end_by_the_same_reasons(tmp_path: Path) -> None:
    ends = [*sorted(one for one in ENDED if one is not None), None, "STOP", "length", "content_filter", "pause_turn"]
    prompts = table(
        tmp_path, [f"What is a heron, question {number}?" for number in range(len(ends))], finish_reason=ends
    )
    cut = [position for position, end in enumerate(ends) if is_cut_off(end)]
    assert reasons(run(tmp_path, prompts, rules=["finished"])) == dict.fromkeys(cut, "finished")
    assert [ends[position] for position in cut] == ["length", "content_filter", "pause_turn"]


def test_lengths_count_characters_and_include_their_bounds(tmp_path: Path) -> None:
    prompts = table(tmp_path, ["日𠮷", "日𠮷語", "日𠮷語文", "日𠮷語文字", "Go", "Go!", "Why?", "Why??"])
    result = run(tmp_path, prompts, rules=[{"min_chars": 3}, {"max_chars": {"characters": 4}}])
    assert reasons(result) == {0: "min_chars", 3: "max_chars", 4: "min_chars", 7: "max_chars"}
    assert held(result)[0]["detail"] == "2 characters, fewer than 3"


def test_a_row_carries_the_first_rule_it_broke_in_the_order_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "own_rules.py").write_text("def never(row):\n    return False\n")
    prompts = table(tmp_path, ["ab"])
    rules: list[Any] = [{"min_chars": 3}, "own_rules.never", {"max_chars": 1}]
    for first in range(3):
        result = run(tmp_path, prompts, rules=rules[first:] + rules[:first], where={"no": "false"})
        assert reasons(result) == {0: ["min_chars", "never", "max_chars"][first]}
    assert reasons(run(tmp_path, prompts, where={"second": "false", "third": "false"})) == {0: "second"}


def test_a_default_rule_stands_first_and_can_be_changed_or_dropped(tmp_path: Path) -> None:
    prompts = table(tmp_path, ["ab"])
    defaults = ["finished", {"min_chars": 5}]
    assert reasons(run(tmp_path, prompts, defaults, rules=["ends_as_a_sentence"])) == {0: "min_chars"}
    assert reasons(run(tmp_path, prompts, defaults, rules=[{"min_chars": False}])) == {}
    assert reasons(run(tmp_path, prompts, defaults, rules=[{"min_chars": 2}])) == {}


def test_a_null_or_a_failing_cast_condemns_only_its_row(tmp_path: Path) -> None:
    prompts = table(tmp_path, ["a", "b", "c", "d"], id=["5", "x", None, "0"])
    result = run(tmp_path, prompts, where={"large": "id::INT > 1 -- and a comment"})
    assert reasons(result) == {1: "large", 2: "large", 3: "large"}
    words = [row["detail"].partition(":")[0] for row in held(result)]
    assert words == ["null or failed", "null or failed", "false"]


def test_a_row_too_large_for_the_memory_costs_only_itself(tmp_path: Path) -> None:
    prompts = table(tmp_path, [str(number) for number in range(50)], id=[1] * 20 + [10**10] + [1] * 29)
    assert reasons(run(tmp_path, prompts, where={"long": "length(repeat('x', id)) < 5"})) == {20: "long"}


@pytest.mark.parametrize(
    ("predicate", "word"),
    [
        ("nope > 1", "nope"),
        ("instruction >", "SQL"),
        ("true; SELECT 1", "more than one"),
        ("true; DROP TABLE prompts", "SQL"),
        ("true), (false", "SQL"),
        ("true FROM prompts WHERE (true", "SQL"),
        ("true ORDER BY 1", "more than one"),
        ("true AS alias", "more than one"),
        ("EXISTS (SELECT * FROM read_csv('/etc/passwd'))", "subquery"),
        ("instruction IN (SELECT instruction FROM prompts)", "subquery"),
        ("avg(position) > 1", "aggregate"),
        ("row_number() OVER () = 1", "window"),
        ("COLUMNS(*) IS NULL", "star"),
        ("position > $1", "parameter"),
        ("random() < 0.5", "random"),
        ("now() > '2020-01-01'", "now"),
        ("getenv('HOME') = 'x'", "getenv"),
    ],
)
def test_a_predicate_that_is_no_condition_on_one_row_is_refused_before_anything_runs(
    tmp_path: Path, predicate: str, word: str
) -> None:
    config = FilterConfig(where={"mine": predicate})
    with pytest.raises(FilterError) as caught:
        check_filter(config, COLUMNS, tmp_path)
    message = str(caught.value)
    assert message.startswith("where.mine: ")
    assert predicate in message or repr(predicate) in message
    assert word in message
    assert "\n" not in message
    with pytest.raises(FilterError):
        filter_prompts(config, table(tmp_path, ["a"], id=[1]), tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "predicate",
    ["id % 2 = 0", "id LIKE 'a%'", "id AND position > 1", "messages[1].role = 'user'", "instruction NOT LIKE '%;%'"],
)
def test_a_predicate_on_columns_of_any_type_passes_the_check(tmp_path: Path, predicate: str) -> None:
    check_filter(FilterConfig(where={"mine": predicate}), COLUMNS, tmp_path)


def test_a_filter_without_predicates_is_checked_without_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "locked_duckdb", None)
    check_filter(FilterConfig(), COLUMNS, tmp_path)


def test_an_unknown_column_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(FilterError, match=r"instructoin.*prompt_id, messages, instruction"):
        check_filter(FilterConfig(where={"mine": "instructoin = 'a'"}), COLUMNS, tmp_path)


@pytest.mark.parametrize(
    ("rules", "word"),
    [
        (["min_char"], "did you mean 'min_chars'"),
        (["min_chars"], "whole number"),
        ([{"min_chars": "3"}], "whole number"),
        ([{"min_chars": True}], "whole number"),
        ([{"min_chars": -1}], "whole number"),
        ([{"max_chars": {"chars": 3}}], "did you mean 'characters'"),
        ([{"finished": 3}], "no parameter"),
        (["finished", "finished"], "twice"),
        ([{"min_chars": 1, "max_chars": 3}], "2 rules"),
        ([{"own_rules.never": 3}], "by name"),
    ],
)
def test_a_rule_that_is_not_understood_names_the_nearest(rules: list[Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        FilterConfig(rules=rules)


@pytest.mark.parametrize("where", [{"duplicate": "true"}, {" ": "true"}, {"mine": " "}])
def test_a_reason_must_be_a_name_of_its_own(where: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        FilterConfig(where=where)


def test_two_rules_cannot_share_a_reason(tmp_path: Path) -> None:
    with pytest.raises(FilterError, match="finished"):
        check_filter(FilterConfig(rules=["finished"], where={"finished": "true"}), COLUMNS, tmp_path)


OWN_RULES = """
def keeps(row, most=5):
    row["instruction"].upper()
    answers = {"true": True, "false": False, "text": "too bad \\ud800", "none": None, "number": 3}
    text = row["instruction"]
    row["instruction"] = "changed"
    return answers[text]
"""


def test_an_own_rule_keeps_drops_explains_and_may_fail(tmp_path: Path) -> None:
    (tmp_path / "own_rules.py").write_text(OWN_RULES)
    prompts = table(tmp_path, ["true", "false", "text", "none", "number", "missing"])
    path_before, modules_before = list(sys.path), set(sys.modules)
    result = run(tmp_path, prompts, rules=[{"own_rules:keeps": {"most": 3}}, {"min_chars": 1}])
    assert kept(result) == ["true", "none"]
    details = {row["position"]: row["detail"] for row in held(result)}
    assert set(reasons(result).values()) == {"keeps"}
    assert details[2] == "too bad \ufffd"
    assert details[4].startswith("error: ")
    assert details[5] == "error: KeyError: 'missing'"
    assert sys.path == path_before
    assert "own_rules" not in set(sys.modules) - modules_before


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ("own_rulez.keeps", "did you mean 'own_rules'"),
        ("own_rules.keep", "did you mean 'keeps'"),
        ("broken.rule", "SyntaxError"),
        ("..rule", "names no file"),
    ],
)
def test_an_own_rule_that_is_not_there_is_told_before_anything_runs(tmp_path: Path, rule: str, word: str) -> None:
    (tmp_path / "own_rules.py").write_text(OWN_RULES)
    (tmp_path / "broken.py").write_text("def rule(")
    with pytest.raises(FilterError, match=word):
        check_filter(FilterConfig(rules=[rule]), COLUMNS, tmp_path)


def test_python_outside_of_the_recipes_folder_is_never_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    evil = f"open({str(ran)!r}, 'w').close()\ndef rule(row):\n    return True\n"
    (tmp_path / "evil.py").write_text(evil)
    base = tmp_path / "recipe"
    base.mkdir()
    (base / "linked.py").symlink_to(tmp_path / "evil.py")
    for name in (f"{tmp_path}/evil.rule", "../evil.rule", "linked.rule"):
        with pytest.raises(FilterError, match=r"not in the recipe's folder|names no file"):
            check_filter(FilterConfig(rules=[name]), COLUMNS, base)
    assert not ran.exists()
    (base / "rules").mkdir()
    (base / "rules" / "own.py").write_text("def rule(row):\n    return True\n")
    check_filter(FilterConfig(rules=["rules.own.rule"]), COLUMNS, base)


def test_equal_but_for_width_and_whitespace_is_a_duplicate_and_the_earliest_stays_as_it_is(tmp_path: Path) -> None:
    texts = ["Ｈｅｌｌｏ\u3000 ｗｏｒｌｄ", "Hello world", " Hello  world\n", "hello world", "ﾊﾛｰ", "ハロー"]
    prompts = table(tmp_path, texts)
    result = run(tmp_path, prompts)
    assert kept(result) == [texts[0], "hello world", "ﾊﾛｰ"]
    assert reasons(result) == {1: "duplicate", 2: "duplicate", 5: "duplicate"}
    assert held(result)[0]["detail"].endswith("position 0")
    assert kept(run(tmp_path, prompts, dedup=NO_DEDUP)) == texts


def test_a_rejected_row_does_not_make_a_later_one_its_duplicate(tmp_path: Path) -> None:
    prompts = table(tmp_path, ["same", "same "], finish_reason=["length", "stop"])
    assert reasons(run(tmp_path, prompts, rules=["finished"])) == {0: "finished"}


def test_another_system_message_is_another_prompt(tmp_path: Path) -> None:
    turns = [[{"role": "system", "content": who}, {"role": "user", "content": "a"}] for who in ("cat", "dog", "cat ")]
    assert reasons(run(tmp_path, table(tmp_path, ["a"] * 3, messages=turns))) == {2: "duplicate"}


def test_rows_lie_by_position_even_where_the_input_does_not(tmp_path: Path) -> None:
    prompts = table(tmp_path, ["c", "a", "b", "A", "c "], position=[4, 0, 2, 3, 1])
    result = run(tmp_path, prompts, rules=[{"max_chars": 5}], where={"small": "instruction != 'A'"})
    assert pq.read_table(result.prompts)["position"].to_pylist() == [0, 1, 2]
    assert reasons(result) == {3: "small", 4: "duplicate"}
    assert [row["position"] for row in held(result)] == [3, 4]


def test_survivors_keep_every_column_and_the_rejected_their_payload(tmp_path: Path) -> None:
    prompts = table(tmp_path, ["a", "bb"], id=[1, 2], score=[0.5, None], tags=[["x"], []])
    before = pq.read_table(prompts)
    result = run(tmp_path, prompts, rules=[{"max_chars": 1}])
    assert pq.read_table(result.prompts).equals(before.slice(0, 1))
    (row,) = held(result)
    assert (row["stage"], row["row_id"]) == ("filter", before["prompt_id"][1].as_py())
    assert json.loads(row["payload"]) == before.slice(1, 1).to_pylist()[0]
    assert sorted(path.name for path in result.prompts.parent.iterdir()) == ["prompts.parquet", "quarantine.parquet"]


def test_a_rejected_row_is_known_by_its_prompt_even_twice(tmp_path: Path) -> None:
    prompts = table(tmp_path, ["a", "a"])
    result = run(tmp_path, prompts, rules=[{"min_chars": 2}])
    assert [row["row_id"] for row in held(result)] == [prompt_id([{"role": "user", "content": "a"}])] * 2


def test_the_room_for_sql_sees_no_file_even_behind_the_check(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    batch = pa.record_batch({"position": [1]})
    with SqlSandbox() as room, pytest.raises(duckdb.PermissionException):
        room._select(f"(SELECT content FROM read_text('{tmp_path / 'secret.txt'}'))", batch, {})


def test_an_empty_table_stays_one(tmp_path: Path) -> None:
    result = run(tmp_path, table(tmp_path, ["a"]), rules=[{"min_chars": 5}])
    again = filter_prompts(
        FilterConfig(rules=["finished"], where={"mine": "position > 1"}), result.prompts, tmp_path / "again", tmp_path
    )
    assert (again.rows_in, again.rows_out, again.quarantined) == (0, 0, 0)


def test_the_digest_follows_the_configuration_and_the_users_file(tmp_path: Path) -> None:
    (tmp_path / "own_rules.py").write_text(OWN_RULES)
    own = FilterConfig(rules=["own_rules.keeps"])
    digests = [filter_digest(own, tmp_path)]
    (tmp_path / "own_rules.py").write_text(OWN_RULES + "\n")
    digests.append(filter_digest(own, tmp_path))
    for config in ({"rules": [{"min_chars": 1}]}, {"rules": [{"min_chars": 2}]}, {"where": {"a": "true"}}, {}):
        digests.append(filter_digest(FilterConfig(**config), tmp_path))
    digests.append(filter_digest(FilterConfig(), tmp_path, ["finished"]))
    assert len(set(digests)) == len(digests)
    assert filter_digest(FilterConfig(), tmp_path) == digests[5]


TEXTS = st.lists(st.text(st.sampled_from("aＡA 　.。\n\x00é"), max_size=5), min_size=1, max_size=15)
RULES: list[Any] = ["ends_as_a_sentence", {"min_chars": 2}, {"max_chars": 3}]
SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(TEXTS, st.permutations(RULES))
def test_the_order_of_rules_changes_reasons_but_not_survivors(tmp_path: Path, texts: list[str], rules: Any) -> None:
    prompts = table(tmp_path, texts)
    one = run(tmp_path, prompts, rules=RULES, dedup=NO_DEDUP)
    survivors, rejected = kept(one), set(reasons(one))
    other = run(tmp_path, prompts, rules=rules, dedup=NO_DEDUP)
    assert kept(other) == survivors
    assert set(reasons(other)) == rejected


@SETTINGS
@given(TEXTS)
def test_duplicates_leave_the_earliest_untouched_and_the_account_closes(tmp_path: Path, texts: list[str]) -> None:
    result = run(tmp_path, table(tmp_path, texts))
    assert result.rows_in == len(texts) == result.rows_out + result.quarantined
    gone = reasons(result)
    assert kept(result) == [text for position, text in enumerate(texts) if position not in gone]
    first = {row["position"]: int(row["detail"].rpartition(" ")[2]) for row in held(result)}
    assert all(earlier < later and earlier not in gone for later, earlier in first.items())
    assert set(texts) == set(kept(result)) | {texts[position] for position in gone}
    assert len(set(kept(result))) == len(kept(result))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Solve x² = 49.", "Solve x2 = 49."),
        ("What is ½ of 10?", "What is 1/2 of 10?"),
        ("Why is H₂O wet?", "Why is H2O wet?"),
        ("Explain step ① alone.", "Explain step 1 alone."),
        ("for i in a:\n    f(i)\n    g(i)", "for i in a:\n    f(i)\ng(i)"),
        ("all:\n\tmake", "all:\n        make"),
        ("Sort this:\n- b\n- a", "Sort this: - b - a"),
        ("a = 1\nb = 2", "a = 1 b = 2"),
        ("How many blanks has 'a  b'?", "How many blanks has 'a b'?"),
        ("Add the rows:\n1 2\n3 4", "Add the rows:\n1 2 3\n4"),
        ("print(1)\nprint(2)", "print(1) print(2)"),
        ("SELECT a\n-- b\nFROM t", "SELECT a\n-- b FROM t"),
        ("host: db\nport: 1", "host: db port: 1"),
        ("Sort these:\nred apples\ngreen beans", "Sort these:\nred\napples green beans"),
        (
            "an old silent pond\na frog jumps into the pond\nsplash again.",
            "an old silent pond a frog jumps into the pond\nsplash again.",
        ),
    ],
)
def test_texts_that_mean_different_things_are_no_exact_duplicates(tmp_path: Path, one: str, other: str) -> None:
    assert reasons(run(tmp_path, table(tmp_path, [one, other]))) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("２＋３は？", "2+3は?"),
        ("Cafe\u0301 or tea?", "Caf\u00e9 or tea?"),
        ("Two\u00a0words here?", "Two words  here?"),
        ("for i in a:\n    f(i)\n", "for i in a:  \r\n\r\n    f(i)"),
        ("A long line of prose\nthat is wrapped.", "A long line of prose that is wrapped."),
        (
            "My neighbour lent me a ladder. The ladder broke, and now\nhe wants a new one. Do I have to pay for it?",
            "My neighbour lent me a ladder. The ladder broke,\nand now he wants a new one. Do I have to pay for it?",
        ),
    ],
)
def test_texts_that_look_the_same_are_exact_duplicates(tmp_path: Path, one: str, other: str) -> None:
    assert reasons(run(tmp_path, table(tmp_path, [one, other]))) == {1: "duplicate"}


@given(st.lists(st.integers(0, 99), min_size=2, max_size=6), st.integers(1, 5))
def test_rows_of_numbers_differ_by_where_they_break(numbers: list[int], place: int) -> None:
    words = list(map(str, numbers))
    place = min(place, len(words) - 1)
    rows = f"Add the numbers in each of these rows:\n{' '.join(words[:place])}\n{' '.join(words[place:])}"
    assert same_text(rows) != same_text(f"Add the numbers in each of these rows:\n{' '.join(words)}")


@given(
    st.lists(
        st.sampled_from(
            ["the", "ladder", "broke", "and", "my", "neighbour", "wants", "money", "for", "another", "one"]
        ),
        min_size=12,
    ),
    st.integers(20, 60),
)
def test_a_sentence_is_the_same_however_it_is_wrapped(words: list[str], width: int) -> None:
    sentence = f"I think {' '.join(words)}."
    assert same_text(textwrap.fill(sentence, width)) == same_text(sentence)


@given(st.text(st.sampled_from("aA １1²½①ﾊﾛハ\n\t\u3000'`={é\u0301")))
def test_the_form_for_comparing_is_stable_and_loses_no_letter(text: str) -> None:
    form = same_text(text)
    assert same_text(form) == form
    assert [sign for sign in form if sign in "²½①"] == [sign for sign in text if sign in "²½①"]
    assert unicodedata.normalize("NFC", "".join(form.split())) == same_text("".join(text.split()))
