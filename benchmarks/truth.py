"""Do the pairs mean what they say? `python -m benchmarks.truth` asks the oracle of hina's world about runs on hina.

For each pair the oracle grades both responses: the chosen one is really better, really equal or really worse. Without
--run the quickstart runs first, in a workspace of its own, with both orders judged. What one order, another margin,
one judge of several or another strategy would have made of the same ratings is then worked out without a further call:
a table with a line for each. --rich runs a job in which all of them have a choice: four answers to each instruction,
and two judges, hina with a cool and with a hot head.

--checklist has hina answer the sums of the recipe `arithmetic` and compares ways of judging them at equal calls: hina's
ratings in both orders, against a checklist whose items checkers decide, with more answers for the calls that it saves.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from kasasagi.blocks.canonical import canonical
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.rebuild.rebuild import recipe_of
from kasasagi.hina.world.oracle import grade
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.format_dpo.pairs import make_pairs
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.votes import candidates_by_prompt
from kasasagi.tasks.reports.statistics import share
from kasasagi.tasks.tables.run_tables import open_tables

VERDICTS = ("better", "equal", "worse")
STRATEGIES = ("best_vs_worst", "best_vs_random", "sigma", "all_above_margin")
MARGINS = (1.0, 2.0)
RICH = (
    "models={hina: {kind: bundled, sampling: {temperature: 0}}, hot: {kind: bundled, sampling: {temperature: 0.7}}}",
    "judge={models: [hina, hot], orders: both, repairs: 0, sampling: {max_tokens: 640}}",
    "respond.samples=2",
    "gates.on_fail=warn",
)
SUMS = 4
"""Answers to each sum that hina rates in both orders; equal ones are not shown, so about five calls in all."""
CHECKED = (
    "judge={method: checklist, items: [{item: The result is right., weight: 4, check: {kind: number, truth: answer}}, "
    "{item: The calculation is shown., check: {kind: regex, constraint: '='}}]}"
)
WAYS: dict[str, tuple[str, ...]] = {
    "ultrafeedback, both orders": ("judge={model: hina, orders: both}", f"respond.samples={SUMS}"),
    "checklist, as many answers": (CHECKED, f"respond.samples={SUMS}"),
    "checklist, as many calls": (CHECKED, f"respond.samples={SUMS + 1}"),
}
"""Ways of judging with what they set in the recipe `arithmetic`."""
_PAIRS = """
SELECT q.messages, c.content AS chosen, r.content AS rejected
FROM pairs AS p
JOIN prompts AS q USING (prompt_id)
JOIN responses AS c ON c.response_id = p.chosen_id
JOIN responses AS r ON r.response_id = p.rejected_id
"""


def verdict(messages: list[dict[str, str]], chosen: str, rejected: str) -> str:
    """better, equal or worse by the oracle's ratings; outside where the instruction is none of this world's."""
    conversation = canonical(messages)
    one, other = _rated(conversation, chosen), _rated(conversation, rejected)
    if one is None or other is None:
        return "outside"
    return "better" if one > other else "worse" if one < other else "equal"


@lru_cache(maxsize=100_000)
def _rated(conversation: bytes, response: str) -> int | None:
    """Return the oracle's rating; None where it does not know what is asked."""
    try:
        return grade(json.loads(conversation), response).rating
    except ValueError:
        return None


def count(pairs: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return how many pairs are really better, equal, worse, or about an instruction that the oracle does not know."""
    return Counter(verdict(pair["messages"], pair["chosen"], pair["rejected"]) for pair in pairs)


def figures(run: Run) -> dict[str, object]:
    """Return the shares of one run, of the pairs whose instructions the oracle knows, and its yield."""
    with open_tables(run) as tables:
        counts = count(tables.sql(_PAIRS).to_arrow_table().to_pylist())
        prompts = tables.execute("SELECT count(*) FROM prompts").fetchall()[0][0]
        giving = tables.execute("SELECT count(DISTINCT prompt_id) FROM pairs").fetchall()[0][0]
    known = sum(counts.values()) - counts["outside"]
    shares = {name: f"{counts[name] / max(1, known):.1%}" for name in VERDICTS}
    pairs = sum(counts.values())
    return {
        "pairs": pairs,
        "prompts that give a pair": f"{giving / max(1, prompts):.1%}",
        **{f"chosen is really {name}": value for name, value in shares.items()},
        "instructions that the oracle does not know": f"{counts['outside'] / max(1, pairs):.1%}",
    }


@dataclass(frozen=True)
class Option:
    """One way to make pairs of a run's ratings."""

    orders: str
    judges: tuple[str, ...]
    pairs: PairsConfig


@dataclass(frozen=True)
class Material:
    """What a run's pairs are made from, in memory."""

    judge: JudgeConfig
    prompts: Sequence[Mapping[str, Any]]
    responses: Sequence[Mapping[str, Any]]
    ratings: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, run: Run) -> "Material":
        """Return the material of a run that was judged.

        Raises:
            ValueError: If the run has no judge.
        """
        recipe = recipe_of(run, [], "pairs")
        if recipe.judge is None:
            raise ValueError(
                f"no judge rated anything in the run {run.id}, so there is nothing to compare: name one with a judge"
            )
        with open_tables(run) as tables:
            rows = [
                tables.sql(f"FROM {name}").to_arrow_table().to_pylist() for name in ("prompts", "responses", "ratings")
            ]
        return cls(recipe.judge, *rows)

    def options(self) -> Iterator[Option]:
        """Yield every way that this material allows: orders, judges, margins, strategies."""
        orders = ("random", "both") if self.judge.orders == "both" else (self.judge.orders,)
        judges = [(name,) for name in self.judge.judges]
        judges += [self.judge.judges] if len(judges) > 1 else []
        most = max(Counter(row["prompt_id"] for row in self.responses).values(), default=0)
        for strategy in STRATEGIES if most > 2 else STRATEGIES[:1]:
            for order in orders:
                for some in judges:
                    for margin in MARGINS:
                        yield Option(order, some, PairsConfig(strategy=strategy, min_margin=margin))

    def line(self, option: Option) -> list[str]:
        """Return what an option makes: pairs, prompts that give one, and how many pairs mean what they say."""
        who: dict[str, Any] = {"model": None, "models": option.judges, "orders": option.orders}
        judge = self.judge.model_copy(update=who)
        ratings = [row for row in self.ratings if row["judge"].split("#")[0] in option.judges]
        rated = candidates_by_prompt(judge, option.pairs.aggregation(), self.responses, ratings)
        result = make_pairs(option.pairs, self.prompts, rated)
        texts = {row["response_id"]: row["content"] for row in self.responses}
        asked = {row["prompt_id"]: row["messages"] for row in self.prompts}
        pairs = result.rows["pairs"]
        counts = Counter(
            verdict(asked[row["prompt_id"]], texts[row["chosen_id"]], texts[row["rejected_id"]]) for row in pairs
        )
        known = sum(counts[name] for name in VERDICTS)
        right = share(counts["better"], known)
        interval = f"{right.low:.0%} to {right.high:.0%}" if right else ""
        shares = [f"{counts[name] / max(1, known):.1%}" for name in VERDICTS]
        return [f"{len(pairs):,}", f"{result.rows_out / max(1, result.rows_in):.0%}", *shares, interval]


def _named(option: Option) -> list[str]:
    return [option.pairs.strategy, option.orders, " and ".join(option.judges), f"{option.pairs.min_margin:g}"]


def options_table(run: Run) -> str:
    """Return a line for each way of making pairs of a run's ratings, in Markdown."""
    header = ["strategy", "orders", "judges", "margin", "pairs", "prompts", *VERDICTS, "better, 95%"]
    material = Material.of(run)
    lines = [[*_named(option), *material.line(option)] for option in material.options()]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *lines])


def ways_table(folder: Path, target: int) -> str:
    """Return a line for each way of judging hina's answers to sums, in Markdown.

    Args:
        folder: Where the runs work and publish.
        target: The number of sums; there are 200.
    """
    header = ["way", "judge calls", "calls for a sum", "pairs", "prompts", *VERDICTS, "better, 95%"]
    lines = [header, ["---"] * len(header)]
    for name, changes in WAYS.items():
        run = arithmetic(folder, target, changes)
        lines.append([name, *_way(run)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _way(run: Run) -> list[str]:
    """Return the calls of one run and what its pairs are worth."""
    with open_tables(run) as tables:
        counts = count(tables.sql(_PAIRS).to_arrow_table().to_pylist())
        [[judged, calls, prompts, giving]] = tables.execute(
            "SELECT (SELECT count(*) FROM calls WHERE stage = 'judge'), (SELECT count(*) FROM calls), "
            "(SELECT count(*) FROM prompts), (SELECT count(DISTINCT prompt_id) FROM pairs)"
        ).fetchall()
    known = sum(counts[name] for name in VERDICTS)
    right = share(counts["better"], known)
    interval = f"{right.low:.1%} to {right.high:.1%}" if right else ""
    shares = [f"{counts[name] / max(1, known):.1%}" for name in VERDICTS]
    return [
        f"{judged:,}",
        f"{calls / max(1, prompts):.1f}",
        f"{known:,}",
        f"{giving / max(1, prompts):.0%}",
        *shares,
        interval,
    ]


def arithmetic(folder: Path, target: int, changes: Sequence[str]) -> Run:
    """Return a run of the recipe `arithmetic` with so many sums in a workspace, without its way of judging."""
    from kasasagi.flows.runner import run_recipe

    settings = [f"publish.path={folder / 'out'}", "gates.on_fail=warn", *changes]
    return run_recipe("arithmetic", settings, workspace=folder / "workspace", rows=target).run


def quickstart(folder: Path, target: int, changes: Sequence[str] = ()) -> Run:
    """Return a quickstart with so many instructions in a workspace."""
    from kasasagi.flows.runner import run_recipe

    settings = [f"source.target={target}", f"publish.path={folder / 'out'}", *changes]
    return run_recipe("quickstart", settings, workspace=folder / "workspace").run


def main() -> None:
    """Print the figures of a run, and the table of what its ratings would have made otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", help="the id of a run, or its beginning")
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--target", type=int, default=1_000)
    parser.add_argument("--rich", action="store_true", help="four answers to each instruction, and two judges")
    parser.add_argument("--checklist", action="store_true", help="hina's sums, rated by hina or by a checklist")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if arguments.checklist:
            print(ways_table(Path(name), arguments.target))
            return
        if arguments.run:
            run = Workspace.resolve(arguments.workspace).run(arguments.run)
        else:
            run = quickstart(Path(name), arguments.target, RICH if arguments.rich else ())
        print(json.dumps(figures(run), indent=2))
        print(options_table(run))


if __name__ == "__main__":
    main()
