"""Do the pairs mean what they say? `python -m benchmarks.truth` asks the oracle of hina's world about a quickstart.

For each pair of a run on hina the oracle grades both responses: the chosen one is really better, really equal or really
worse. Without --run the quickstart runs first, in a workspace of its own, with both orders judged and again with one.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from blocks.run_tables import open_tables
from blocks.workspace import Run, Workspace
from hina.world.oracle import grade

_PAIRS = """
SELECT q.messages, c.content AS chosen, r.content AS rejected
FROM pairs AS p
JOIN prompts AS q USING (prompt_id)
JOIN responses AS c ON c.response_id = p.chosen_id
JOIN responses AS r ON r.response_id = p.rejected_id
"""


def verdict(messages: list[dict[str, str]], chosen: str, rejected: str) -> str:
    """better, equal or worse by the oracle's ratings; outside where the instruction is none of this world's."""
    try:
        difference = grade(messages, chosen).rating - grade(messages, rejected).rating
    except ValueError:
        return "outside"
    return "better" if difference > 0 else "worse" if difference < 0 else "equal"


def count(pairs: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """How many pairs are really better, equal, worse, or about an instruction that the oracle does not know."""
    return Counter(verdict(pair["messages"], pair["chosen"], pair["rejected"]) for pair in pairs)


def figures(run: Run) -> dict[str, object]:
    """The shares of one run, of the pairs whose instructions the oracle knows, and its yield."""
    with open_tables(run) as tables:
        counts = count(tables.sql(_PAIRS).to_arrow_table().to_pylist())
        prompts = tables.execute("SELECT count(*) FROM prompts").fetchall()[0][0]
    known = sum(counts.values()) - counts["outside"]
    shares = {name: f"{counts[name] / max(1, known):.1%}" for name in ("better", "equal", "worse")}
    pairs = sum(counts.values())
    return {
        "pairs": pairs,
        "prompts that give a pair": f"{pairs / max(1, prompts):.1%}",
        **{f"chosen is really {name}": value for name, value in shares.items()},
        "instructions that the oracle does not know": f"{counts['outside'] / max(1, pairs):.1%}",
    }


def quickstart(folder: Path, orders: str, target: int) -> Run:
    """A quickstart with so many instructions in a workspace, with one or both orders judged."""
    from flows.runner import run_recipe

    changes = [f"judge.orders={orders}", f"source.target={target}", f"publish.path={folder / orders}"]
    return run_recipe("quickstart", changes, workspace=folder / "workspace").run


def main() -> None:
    """Print the figures of a run, or of two quickstarts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", help="the id of a run, or its beginning")
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--target", type=int, default=1_000)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(figures(Workspace.named(arguments.workspace).run(arguments.run)), indent=2))
        return
    with tempfile.TemporaryDirectory() as name:
        both = figures(quickstart(Path(name), "both", arguments.target))
        one = figures(quickstart(Path(name), "random", arguments.target))
    print(json.dumps({"both orders": both, "one order": one}, indent=2))


if __name__ == "__main__":
    main()
