"""The report: one page that holds all it shows, small, and in which no text can become anything but text."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from contextvars import copy_context
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.cli.app import app
from kasasagi.flows.errors import KasasagiError
from kasasagi.flows.views.report import browser, landscape
from kasasagi.flows.views.report.browser import embedded, shortened
from kasasagi.flows.views.report.charts import Chart, bars, histogram, stacked
from kasasagi.flows.views.report.differences import marked
from kasasagi.flows.views.report.page import report
from kasasagi.tasks.tables.run_tables import build_database
from tests.run_example import RECIPE, build_example_run
from tests.test_house import HEAVY, loaded

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">\u202e\u2066 & \'"`${}{{7*7}}{% x %}<!--'
MOST = 3_000_000
Changed = Callable[..., Run]


class Page(HTMLParser):
    """What a browser would make of the page: its elements, and the text of its scripts and of all the rest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.text += data

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script reads."""
        return dict(json.loads(self.scripts[0]))

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def page_of(run: Run) -> Page:
    return parsed(report(run))


def parsed(text: str) -> Page:
    assert len(text.encode()) < MOST
    return Page(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return build_example_run(tmp_path_factory.mktemp("workspace"), prompts=40)


@pytest.fixture(scope="module")
def text(run: Run) -> str:
    return report(run)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return parsed(text)


@pytest.fixture
def changed(run: Run, tmp_path: Path) -> Changed:
    """Makes a copy of the run in whose tables something was changed."""
    return lambda *statements, **values: _changed(run, tmp_path / "copy", *statements, **values)


def _changed(run: Run, folder: Path, *statements: str, **values: str) -> Run:
    shutil.copytree(run.workspace.folder, folder)
    run = Workspace(folder).run(run.id)
    with duckdb.connect(str(run.database)) as connection:
        for statement in statements:
            connection.execute(statement, values if "$" in statement else None)
    return run


@pytest.mark.parametrize(("dropped", "product", "count"), [(1, "responses", 79), (2, "instructions", 40)])
def test_a_run_without_pairs_shows_its_responses_or_instructions(
    tmp_path: Path, dropped: int, product: str, count: int
) -> None:
    parts = ("judge", "respond")[:dropped]
    recipe = {name: value for name, value in RECIPE.items() if name not in (*parts, "pairs", "publish")}
    page = page_of(build_example_run(tmp_path, prompts=40, recipe=recipe))
    words = " ".join(page.text.split())
    assert f"{product}{count}" in "".join(page.text.split())
    assert f"All {count} {product}." in words
    assert f"more {product}" in words
    hidden = {one.get("id"): "hidden" in one for one in page.tags("select")}
    assert hidden == {"model": product == "instructions", "order": True}
    rows = page.data["pairs"]
    assert len(rows) == count
    assert all(row["r"] is None and row["m"] is None and row["p"] for row in rows)
    assert "instructions (40)" in words
    assert "gives none" not in words, "where no pairs are made none is missed"
    if product == "responses":
        assert {row["c"]["by"] for row in rows} == {"small", "large"}
        assert all(row["c"]["text"][0] for row in rows)


def test_the_page_tells_what_the_tables_hold(page: Page) -> None:
    words = " ".join(page.text.split())
    assert "two-models-one-judge" in words
    for stage in ("load", "filter", "respond", "judge", "format_dpo"):
        assert stage in words
    for reason in ("broken_json", "min_chars", "refusal", "unreadable", "missing_rating", "tie"):
        assert reason in words
    assert "All 37 pairs." in words
    assert "1 of 4 gates failed." in words
    assert "verdicts that cannot be read" in words
    assert "ExpectColumnValuesToBeInSet" not in words
    assert "verdicts that cannot be read" in words
    assert "100% of the texts get the same rating in both orders." in words
    assert "The chosen answer is longer in 100% of 37 pairs." in words
    assert "Means: large 5.00, small 2.08." in words
    titles = re.findall(
        r"Yield over time|Languages|topic|Margins|Order consistency|Map of the instructions|Tokens", words
    )
    assert set(titles) >= {"Languages", "topic", "Margins", "Order consistency", "Map of the instructions", "Tokens"}


def test_gates_that_failed_come_first_and_the_rest_as_the_pipeline_ran(text: str) -> None:
    stages = re.findall(r'<tr class="(?:passed)?"><td class="faint">(\w+)</td>', text)
    assert stages == ["judge", "filter", "respond", "format_dpo"]


def test_pairs_are_there_with_the_judges_words(page: Page) -> None:
    pairs = page.data["pairs"]
    assert len(pairs) == 37
    japanese = next(pair for pair in pairs if "沸騰" in pair["p"])
    assert "".join(japanese["c"]["text"]).startswith("水は海面の気圧では")
    assert japanese["c"]["by"] == "large"
    assert japanese["m"] == 3.0
    assert japanese["r"]["words"] == [
        ["first", "overall-rating", 2.0, "あいまいです。"],
        ["swapped", "overall-rating", 2.0, "あいまいです。"],
    ]


def test_the_page_loads_nothing_and_runs_nothing_but_its_own_script(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base"), tag
        assert "src" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    policy = next(tag["content"] for tag in page.tags("meta") if tag.get("http-equiv")) or ""
    digest = base64.b64encode(hashlib.sha256(page.scripts[1].encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert "innerHTML" not in page.scripts[1]


def test_charts_take_the_colours_of_the_page_and_nothing_of_the_moment(run: Run, text: str) -> None:
    assert text == report(run), "equal tables give an equal page"
    drawings = re.findall(r"<svg .*?</svg>", text, re.DOTALL)
    assert len(drawings) >= 9
    known = set(re.findall(r"(--[\w-]+):", text.split("<style>")[1].split("</style>", maxsplit=1)[0]))
    for drawing in drawings:
        assert set(re.findall(r"var\((--[\w-]+)\)", drawing)) <= known
        assert not re.findall(r"#[0-9a-f]{6}\b", drawing)


STATEMENTS = (
    "UPDATE prompts SET instruction = $text || prompt_id, topic = $text",
    "UPDATE prompts SET messages = [{'role': 'user', 'content': $text || prompt_id}]",
    "UPDATE responses SET content = $text || response_id, model = $text || model",
    "UPDATE ratings SET rationale = $text, aspect = $text",
    "UPDATE gates SET observed = $text, detail = $text, expectation = $text",
    "UPDATE quarantine SET reason = $text || reason, detail = $text, payload = $text",
)


def test_no_text_of_a_model_becomes_markup(changed: Changed, page: Page) -> None:
    recipe = {**RECIPE, "notes": HOSTILE}
    run = changed(*STATEMENTS, text=HOSTILE)
    run.recipe_file.write_text(json.dumps(recipe), encoding="utf-8")
    run.save(run.state().model_copy(update={"name": HOSTILE, "error": HOSTILE}))
    hostile = page_of(run)
    assert len(hostile.tags("script")) == 2
    assert not [tag for tag, _ in hostile.elements if tag == "img"]
    assert {tag for tag, _ in hostile.elements} <= {tag for tag, _ in page.elements} | {"p", "details", "summary"}
    assert not [name for _, attributes in hostile.elements for name in attributes if name.startswith("on")]
    assert "alert(1)" in hostile.text
    assert "49" not in re.findall(r"\$\{\}(.{0,8})", hostile.text)
    first = hostile.data["pairs"][0]
    assert first["p"].startswith(HOSTILE[:20])
    assert "\\u202e\\u2066" in first["p"]


def test_no_sign_that_turns_or_hides_text_reaches_the_page(changed: Changed) -> None:
    signs = "\u202e\u202d\u2066\u2069\u200b\u200f\ufeff\u2028\x07\x1b[31m"
    text = report(changed(*STATEMENTS, text=f"a{signs}b"))
    assert not [sign for sign in signs if sign in text and sign not in "[31m"]
    assert "\\u202e" in text


def test_lines_of_a_megabyte_are_cut_and_say_so(changed: Changed) -> None:
    first = "WHERE prompt_id IN (SELECT prompt_id FROM pairs ORDER BY prompt_id LIMIT 10)"
    run = changed(
        f"UPDATE responses SET content = repeat('あ', 1000000) || response_id {first}",
        f"UPDATE prompts SET instruction = repeat('x', 1000000) || prompt_id {first}",
        f"UPDATE prompts SET messages = [{{'role': 'user', 'content': repeat('x', 1000000) || prompt_id}}] {first}",
        f"UPDATE ratings SET rationale = repeat('y', 1000000) {first}",
    )
    found = page_of(run)
    pair = found.data["pairs"][0]
    assert "".join(pair["c"]["text"]).endswith("… [cut here, 1,000,032 characters in all]")
    assert pair["p"].endswith("… [cut here]")
    assert len(found.data["pairs"]) == 37


def test_pairs_that_do_not_fit_are_left_out_and_the_page_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, page: Page
) -> None:
    monkeypatch.setattr(browser, "MOST_PAIRS", 5)
    monkeypatch.setattr(landscape, "POINTS", 20)
    few = page_of(run)
    assert few.data["pairs"] == page.data["pairs"][:5]
    assert "5 of 37 pairs, the first by id, which is a fair sample." in few.text
    assert "From a sample of 20 of 40." in few.text


def test_a_page_stays_under_its_limit_whatever_the_texts(changed: Changed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kasasagi.flows.views.report.page.MOST_BYTES", 700_000)
    run = changed("UPDATE responses SET content = repeat('水' || response_id || '鳥。', 150)")
    text = report(run)
    assert len(text.encode()) < 700_000
    assert re.search(r"\d+ of 37 pairs, the first by id", text)


@pytest.mark.parametrize(
    "statements",
    [
        ("DELETE FROM pairs",),
        ("DELETE FROM ratings", "DELETE FROM pairs", "DELETE FROM gates"),
        ("DELETE FROM responses", "DELETE FROM ratings", "DELETE FROM pairs"),
        ("UPDATE pairs SET margin = NULL, chosen_rating = NULL", "UPDATE ratings SET rating = NULL, rationale = NULL"),
        ("UPDATE ratings SET rating = rating * 10 + random()",),
        ("UPDATE prompts SET instruction = 'ab'", "UPDATE responses SET content = ''"),
        ("UPDATE prompts SET instruction = 'the same'",),
        ("DELETE FROM prompts",),
    ],
)
def test_a_run_that_lacks_something_is_reported_all_the_same(changed: Changed, statements: tuple[str, ...]) -> None:
    assert "format_dpo" in page_of(changed(*statements)).text


def test_a_run_that_made_no_pair_shows_its_prompts_with_answers_and_reasons(changed: Changed) -> None:
    run = changed("DELETE FROM pairs", "UPDATE quarantine SET reason = 'tie' WHERE reason = 'missing_rating'")
    found = page_of(run)
    assert "No pairs. 40 prompts gave none: tie 2, too_few_responses 1." in found.text
    assert "All 0" not in found.text
    assert ["hidden" in form for form in found.tags("form")] == [True]
    prompts = found.data["pairs"]
    assert len(prompts) == 40
    tied = [row["a"] for row in prompts if any(why["by"].startswith("format_dpo: tie") for why in row["w"])]
    rated = [{answer["by"] for answer in answers} for answers in tied]
    assert {"large · rated 5, 5", "small · rated 5, 5"} in rated
    assert all(answer["text"][0] for answers in tied for answer in answers)


def test_no_pairs_are_said_so_in_japanese_and_while_the_run_goes_on(changed: Changed, tmp_path: Path) -> None:
    run = changed("DELETE FROM pairs")
    asked = ["report", run.id, "-w", str(run.workspace.folder), "--language", "ja", "-o", str(tmp_path / "ja.html")]
    assert copy_context().run(CliRunner().invoke, app, asked).exit_code == 0
    assert "ペアはありません。 プロンプト 40 件はペアになりませんでした: " in (tmp_path / "ja.html").read_text("utf-8")
    run.save(run.state().model_copy(update={"status": "running"}))
    live = page_of(run)
    assert "No pairs yet." in live.text
    assert live.data["pairs"] == []


def test_a_run_that_goes_on_is_reported_too(tmp_path: Path) -> None:
    live = page_of(build_example_run(tmp_path, ended=False))
    assert "running" in live.text
    assert "All 3 pairs." in live.text


def test_a_run_without_a_chunk_gives_one_sentence(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    empty = Run.begin(workspace, "20260101-000000-empty", "empty", RECIPE)
    build_database(empty)
    with pytest.raises(KasasagiError, match="no finished chunk yet"):
        report(empty)


def test_near_duplicates_are_ringed_and_listed(changed: Changed) -> None:
    run = changed(
        "UPDATE prompts SET instruction = md5(prompt_id) || sha256(prompt_id)",
        "UPDATE prompts SET instruction = 'How do I boil an egg in water' || (position + 40) WHERE position < 2",
    )
    text = report(run)
    assert "2 instructions with a near duplicate: ringed" in text
    assert "How do I boil an egg in water41" in text.split("The most similar instructions")[1].split("</details>")[0]


Typed = Callable[..., Any]


@pytest.fixture
def typed(run: Run) -> Typed:
    return lambda *arguments: CliRunner().invoke(app, ["report", *arguments, "-w", str(run.workspace.folder)])


def test_the_command_writes_into_the_runs_folder_or_where_it_is_told(typed: Typed, run: Run, tmp_path: Path) -> None:
    assert typed("latest").output.strip() == str(run.folder / "report.html")
    assert (run.folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert typed(run.id, "-o", str(tmp_path / "x.html")).exit_code == 0
    assert (tmp_path / "x.html").read_bytes() == (run.folder / "report.html").read_bytes()
    refused = typed("-o", str(tmp_path / "none" / "x.html")).exception
    assert isinstance(refused, KasasagiError)
    assert "cannot be written" in str(refused)


def test_the_report_loads_neither_prefect_nor_great_expectations(tmp_path: Path) -> None:
    build_example_run(tmp_path)
    code, heavy = loaded(tmp_path, "report")
    assert code == 0
    assert not heavy & set(HEAVY)


@given(st.text("ab cあい。\n", max_size=60), st.text("ab cあい。\n", max_size=60))
def test_marked_differences_lose_nothing_and_mark_only_what_differs(one: str, other: str) -> None:
    left, right = marked(one, other)
    assert ("".join(left), "".join(right)) == (one, other)
    assert "".join(left[::2]) == "".join(right[::2])
    if one == other:
        assert left == right == [one]


def test_a_word_at_the_end_is_the_same_word() -> None:
    assert marked("A giraffe is tall.", "A giraffe.") == (["A giraffe", " is tall", "."], ["A giraffe."])


def test_a_report_begins_with_one_sentence_and_the_pairs(page: Page) -> None:
    sentences = [attributes for attributes in page.tags("p") if attributes.get("class") == "result"]
    assert len(sentences) == 1
    assert re.search(r"\d+ pairs from 40 prompts; \d+ paid calls, \$0\.\d+; \d+ of 40 prompts gave no pair", page.text)
    sections = [attributes["id"] for attributes in page.tags("section")]
    assert sections[:3] == ["pairs", "gates", "funnel"]


def test_japanese_texts_differ_by_word() -> None:
    one, other = marked("私は毎朝コーヒーを飲みます。", "私は毎朝紅茶を飲みます。")
    assert one == ["私は毎朝", "コーヒー", "を飲みます。"]
    assert other == ["私は毎朝", "紅茶", "を飲みます。"]
    assert marked("Le café est fermé.", "Le cafard est fermé.")[0] == ["Le ", "café", " est fermé."]


def test_long_texts_are_compared_quickly_at_their_ends() -> None:
    left, right = marked("same " + "a b " * 5000 + "end", "same " + "c d " * 5000 + "end")
    assert (left[0], left[-1]) == (right[0], right[-1]) == ("same ", " end") or left[0] == "same "


@given(st.text())
def test_embedded_data_cannot_end_its_element_and_means_the_same(text: str) -> None:
    encoded = text.encode("utf-8", "replace").decode()
    made = embedded({"text": encoded})
    assert not set(made) & set("<>&\u2028\u2029")
    assert json.loads(made) == {"text": encoded}


def test_a_chart_writes_names_as_text() -> None:
    chart = bars(Chart("a"), ["<script>$x$</script>", "猫", ""], [1, 2, 3])
    assert "<script>" not in chart.svg
    assert "&lt;script&gt;$x$" in chart.svg
    assert "猫" in chart.svg
    assert "(empty)" in chart.svg
    drawn = stacked(Chart("b"), ["one"], [("<b>", [0.5]), ("rest", [0.5])], ["#a10001", "#a10002"])
    assert "<b>" not in drawn.svg


@pytest.mark.parametrize("lengths", [[7], [7, 7, 8], [1, 90], [3] * 5, [40, 41, 43, 43]])
def test_no_axis_of_a_small_chart_names_a_number_twice(lengths: list[float]) -> None:
    drawn = histogram(Chart("a"), [("some", lengths)], "characters", logarithmic=True)
    ticks = [text.strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawn.svg)]
    upwards = ticks[ticks.index("characters") + 1 :]
    along = ticks[: ticks.index("characters")]
    assert along, "the reader sees where on the axis the bars are"
    for axis in (along, upwards):
        assert len(axis) == len(set(axis))
        assert all(tick.replace(",", "").isdecimal() for tick in axis)


def test_dots_of_the_map_can_be_seen_on_a_phone() -> None:
    """A phone shows the map, which is 9.4 inches wide, on some 330 pixels."""
    shown = 330 / (9.4 * 72)
    assert [landscape.dot_points(dots) * shown >= 5 for dots in (12, 40)] == [True, True]
    assert landscape.dot_points(landscape.POINTS + landscape.REPEATS) * shown >= 1.9


def test_a_short_text_is_not_cut() -> None:
    assert shortened("水", 1) == "水"
    assert shortened("水水", 1, 2) == "… [cut here, 2 characters in all]"


def with_more_pairs(changed: Changed) -> Run:
    """A copy of the run that has its pairs twice, so that they are enough to tell, with a marker in each chosen one."""
    marker = "content = 'Sure! \u202e<b>' || content"
    return changed(
        f"UPDATE responses SET {marker} WHERE response_id IN (SELECT chosen_id FROM pairs)",
        "INSERT INTO pairs SELECT * FROM pairs",
    )


def test_a_planted_shortcut_is_shown_with_its_figures_and_is_only_text(changed: Changed) -> None:
    found = page_of(with_more_pairs(changed))
    words = " ".join(found.text.split())
    assert "tells the chosen answer from the rejected one with an AUC of 1.00 (95% interval: 1.00 to 1.00;" in words
    assert "Sure! \\u202e<b>" in words
    assert "atthebeginning740" in "".join(found.text.split())
    assert "exclamation marks" in words
    assert {"class": "bad"} in found.tags("p")
    assert {"href": "#shortcuts"} in found.tags("a")


def test_few_pairs_and_none_say_so_or_nothing_of_shortcuts(page: Page, changed: Changed) -> None:
    assert "37 pairs are too few to tell; 50 are needed." in page.text
    assert "Shortcuts" not in page_of(changed("DELETE FROM pairs")).text


def test_shortcuts_are_told_in_japanese(changed: Changed, tmp_path: Path) -> None:
    run = with_more_pairs(changed)
    asked = ["report", run.id, "-w", str(run.workspace.folder), "--language", "ja", "-o", str(tmp_path / "ja.html")]
    assert copy_context().run(CliRunner().invoke, app, asked).exit_code == 0
    words = (tmp_path / "ja.html").read_text("utf-8")
    assert "chosen と rejected を見分ける AUC は 1.00（95% 信頼区間 1.00 – 1.00、偶然なら 0.50）です。" in words
    assert "感嘆符" in words


def judged_by_kin(run: Run) -> Run:
    """The run with a judge that is the same model as one of the responders."""
    recipe = json.loads(run.recipe_file.read_text(encoding="utf-8"))
    recipe["models"]["critic"]["model"] = "large"
    run.recipe_file.write_text(json.dumps(recipe), encoding="utf-8")
    return run


def test_a_judge_of_a_responders_family_is_shown_with_its_rate(changed: Changed, page: Page) -> None:
    assert "Judges and their own family" not in page.text
    found = "".join(page_of(judged_by_kin(changed())).text.split())
    assert "prefersitsownfamilycriticlarge" in found


def test_test_prompts_like_training_prompts_are_counted(changed: Changed, page: Page) -> None:
    assert "near duplicate among" not in page.text
    run = changed("UPDATE prompts SET messages = [{'role': 'user', 'content': 'Which birds build a bridge?'}]")
    recipe = json.loads(run.recipe_file.read_text(encoding="utf-8"))
    recipe["publish"]["split"] = {"test": 0.3}
    run.recipe_file.write_text(json.dumps(recipe), encoding="utf-8")
    sentence = r"Of (\d+) test prompts, \1 \(100\.0%\) have a near duplicate among the (\d+) training prompts\."
    found = re.search(sentence, page_of(run).text)
    assert found is not None
    assert int(found[1]) + int(found[2]) == 37
    recipe["publish"]["unknown"] = 1
    run.recipe_file.write_text(json.dumps(recipe), encoding="utf-8")
    assert "near duplicate among" not in page_of(run).text
