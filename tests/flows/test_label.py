"""`kasasagi people label`: a person's verdicts, blind, kept at once, and compared with the judge's."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.labels.agreement import Agreement, agreement
from kasasagi.flows.labels.labelling import closing, draw_sides, label
from kasasagi.flows.labels.verdict_file import Labels
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import build_example_run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with nine pairs, of each of which the judge prefers the answer by large."""
    return build_example_run(tmp_path, prompts=12)


def console(width: int = 80) -> Console:
    return Console(file=open(os.devnull, "w"), width=width, highlight=False)


def typing(*lines: str) -> Callable[[str], str]:
    """Types the lines, then ends the input."""
    left = iter(lines)

    def ask(question: str) -> str:
        line = next(left, None)
        if line is None:
            raise EOFError
        if line == "Ctrl-C":
            raise KeyboardInterrupt
        return line

    return ask


def sitting(run: Run, wanted: int, *lines: str) -> Agreement:
    return label(run, wanted, console(), typing(*lines))


def test_every_verdict_is_kept_at_once_and_a_second_sitting_goes_on(run: Run) -> None:
    first = sitting(run, 6, "a", "b", "tie")
    assert (first.decided, first.ties, first.verdicts) == (2, 1, 3)
    assert closing(first, 6)[-1] == "3 verdicts to go: the same command continues."
    second = sitting(run, 6, *"abababab")
    assert (second.decided, second.ties) == (5, 1)
    texts = [known.texts for known in Labels(run.workspace).known.values()]
    assert len(set(texts)) == 6


def test_an_interrupt_ends_the_sitting_and_what_was_said_stays(run: Run) -> None:
    assert sitting(run, 6, "a", "Ctrl-C", "b").verdicts == 1


def test_what_is_skipped_is_no_verdict_and_is_not_shown_again(run: Run) -> None:
    counts = sitting(run, 9, *["skip"] * 4)
    assert (counts.skipped, counts.verdicts) == (4, 0)
    assert closing(counts, 9)[0] == "No verdicts yet."
    asked = []

    def ask(question: str) -> str:
        asked.append(question)
        return "a"

    assert label(run, 9, console(), ask).verdicts == len(asked) == 5


def test_undo_asks_again_and_the_later_verdict_counts(run: Run) -> None:
    order: list[str] = []

    class Screen(Console):
        def rule(self, title: object = "", **kwargs: object) -> None:
            order.append(str(title))

    with open(os.devnull, "w") as nowhere:
        counts = label(run, 4, Screen(file=nowhere, width=80), typing("undo", "a", "b", "u", "u", "t", "t", "t", "t"))
    assert order == ["1 of 4", "1 of 4", "2 of 4", "3 of 4", "2 of 4", "1 of 4", "2 of 4", "3 of 4", "4 of 4"]
    assert (counts.ties, counts.decided) == (4, 0)
    with open_tables(run) as tables:
        pairs = tables.execute("SELECT chosen_id, rejected_id, margin FROM pairs").fetchall()
    assert agreement(Labels(run.workspace), pairs) == counts


@pytest.mark.parametrize(
    ("line", "choice"),
    [
        ("a", "left"),
        (" A\t", "left"),
        ("あ", "left"),
        ("ａ", "left"),
        ("B", "right"),
        ("ＴＩＥ", "tie"),
        ("引き分け", "tie"),
        ("=", "tie"),
        ("s", "skip"),
    ],
)
def test_words_are_taken_as_they_are_typed_on_any_keyboard(run: Run, line: str, choice: str) -> None:
    sitting(run, 1, "", "what?", line, "q")
    [known] = Labels(run.workspace).known.values()
    assert known.choice == choice


def test_neither_place_nor_order_tells_the_judges_word(tmp_path: Path) -> None:
    run = build_example_run(tmp_path, prompts=60)
    counts = sitting(run, 57, *["a"] * 57)
    assert counts.decided == 57
    assert 15 < counts.agreed < 42
    assert counts.lefts == 57


def test_the_agreement_is_of_the_pairs_of_the_run_alone() -> None:
    counts = Agreement(agreed=8, decided=10, ties=2, lefts=4, by_margin={1.0: (3, 5), 3.0: (5, 5)})
    output = " ".join(counts.sentences())
    assert "12 verdicts, 2 ties among them." in output
    assert "agrees with you in 8 of 10: 80%, 95% interval 49% to 94%" in output
    assert "3 of 5 at 1, 5 of 5 at 3" in output


def test_a_run_that_goes_on_can_be_judged_too(tmp_path: Path) -> None:
    live = build_example_run(tmp_path, ended=False, prompts=12)
    assert sitting(live, 20, *["a"] * 20).verdicts == 9
    begun = Run.begin(live.workspace, "20260102-new", "job", {})
    assert sitting(begun, 1, "a").verdicts == 0


def test_a_torn_line_costs_one_verdict_and_no_other(run: Run) -> None:
    sitting(run, 2, "a", "b")
    file = run.workspace.folder / "labels.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    assert len(Labels(run.workspace).known) == 1
    assert sitting(run, 2, "tie").verdicts == 2
    assert len(Labels(run.workspace).known) == 2


JAPANESE = "水は海面の気圧では100℃で沸騰し、山の上ではもっと低い温度で沸騰します。カササギ（鵲）は白と黒の鳥です。"


@pytest.mark.parametrize("width", [60, 61, 79, 80, 133])
@pytest.mark.parametrize("right", ["Hot.", JAPANESE, "", "a\tb\n\n\x1b[31mred", "x" * 300])
def test_columns_stand_straight_whatever_the_script(width: int, right: str, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+", encoding="utf-8") as file:
        draw_sides(Console(file=file, width=width, highlight=False), JAPANESE * 2, right)
        file.seek(0)
        lines = file.read().splitlines()
    bars = [line for line in lines if line.strip()]
    assert {cell_len(line[: line.index("│")]) for line in bars} == {(width - 3) // 2 + 1}
    assert max(map(cell_len, lines)) <= width
    shown = "".join(line[: line.index("│")].strip() for line in bars[1:])
    assert shown == (JAPANESE * 2).strip()


def test_a_narrow_terminal_has_the_texts_below_each_other(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+", encoding="utf-8") as file:
        draw_sides(Console(file=file, width=40, highlight=False), JAPANESE, "Hot.")
        file.seek(0)
        out = file.read()
    assert "│" not in out
    assert max(map(cell_len, out.splitlines())) <= 40


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    for end in (ours, theirs):
        try:
            os.close(end)
        except OSError:
            continue


def test_a_terminal_is_asked_and_the_end_of_its_input_ends_the_sitting(run: Run, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "90", "TERM": "xterm"}
    command = [
        sys.executable,
        "-m",
        "kasasagi.flows.cli.app",
        "label",
        run.id,
        "-n",
        "5",
        "-w",
        str(run.workspace.folder),
    ]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    output = b""
    for line in (b"a\n", b"b\n", b"\x04"):
        output += read_until(ours, b"quit: ", output.count(b"quit: ") + 1, output)[len(output) :]
        os.write(ours, line)
    output = read_until(ours, b"continues", 1, output, to_the_end=True)
    assert process.wait(timeout=60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode())
    assert "1 of 5" in text
    assert "3 of 5" in text
    assert "2 verdicts, 0 ties among them." in text
    assert "3 verdicts to go" in text
    assert len(Labels(run.workspace).known) == 2


def read_until(terminal: int, words: bytes, times: int, before: bytes, to_the_end: bool = False) -> bytes:
    """What a terminal shows, up to the words' so many-th time or the end."""
    output = before
    while to_the_end or output.count(words) < times:
        try:
            more = os.read(terminal, 4096)
        except OSError:
            break
        if not more:
            break
        output += more
    return output
