"""What people say of a run's pairs: sent to Argilla, read back as ratings, and kept when pairs are rebuilt."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.destinations import DestinationError
from kasasagi.blocks.destinations.argilla import SIDES, ArgillaDataset, Comparison, HumanRating
from kasasagi.blocks.destinations.argilla_scale import USUAL, ArgillaScale
from kasasagi.blocks.hints import command
from kasasagi.blocks.own.python import is_own
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.errors import KasasagiError
from kasasagi.flows.rebuild.rebuild import rebuild_pairs
from kasasagi.flows.recipe.loading import check_recipe
from kasasagi.flows.views.safe_text import messages_text
from kasasagi.flows.views.table_reader import fetch, reading
from kasasagi.tasks.judge.checklist.config import HIGHEST
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.human import HUMAN
from kasasagi.tasks.judge.verify.ranking import DECIDING

FETCHED = 200
_PAIRS = f"""
WITH p AS (FROM pairs ORDER BY prompt_id, chosen_id, rejected_id LIMIT $rows),
w AS (
    SELECT response_id, avg(rating) AS rating, string_agg(DISTINCT judge, ', ' ORDER BY judge) AS judge,
        string_agg(rationale, chr(10) ORDER BY aspect, ordering, judge) AS words
    FROM {DECIDING} WHERE ordering <> '{HUMAN}' GROUP BY response_id
)
SELECT p.prompt_id, q.messages, p.chosen_id, c.content AS chosen, x.rating AS chosen_rating, x.words AS chosen_words,
    p.rejected_id, r.content AS rejected, y.rating AS rejected_rating, y.words AS rejected_words, x.judge
FROM p JOIN prompts q USING (prompt_id)
JOIN responses c ON c.response_id = p.chosen_id JOIN responses r ON r.response_id = p.rejected_id
LEFT JOIN w x ON x.response_id = p.chosen_id LEFT JOIN w y ON y.response_id = p.rejected_id
ORDER BY p.prompt_id, p.chosen_id, p.rejected_id
"""


def push(run: Run, dataset: str | None, team: str | None, rows: int | None) -> tuple[str, int]:
    """Send a run's pairs to Argilla; gives the dataset's page and how many pairs are there now.

    Raises:
        KasasagiError: If there are no pairs or the server cannot be used.
    """
    with reading(run) as connection:
        query = "SELECT min(rating) AS least, max(rating) AS most FROM ratings"
        judge = check_recipe(run.recipe(), Path(run.state().base)).judge
        scale = scale_of(judge, *fetch(connection, query)[0].values())
        cursor = connection.execute(_PAIRS, {"rows": rows if rows is not None else 2**62})
        names = [column[0] for column in cursor.description or []]
        comparisons: list[Comparison] = []
        while some := cursor.fetchmany(FETCHED):
            comparisons += [_comparison(run, dict(zip(names, row, strict=True))) for row in some]
    if not comparisons:
        see = command("show", run.id, workspace=run.workspace.folder)
        raise KasasagiError(f"the run {run.id} has no pairs that people could rate: see {see}")
    try:
        return ArgillaDataset(dataset or run.state().name, team).push(comparisons, scale), len(comparisons)
    except DestinationError as error:
        raise KasasagiError(str(error)) from error


def pull(workspace: Workspace, name: str | None, dataset: str | None, team: str | None) -> tuple[Run, int, int]:
    """Return a new run whose pairs are made of people's verdicts where there are any, and of the judge's elsewhere.

    Gives the run, how many verdicts it applies, and how many are about responses of other runs. Raises KasasagiError
    where no verdict was submitted, and GateFailedError.
    """
    run = workspace.run(name)
    try:
        found = ArgillaDataset(dataset or run.state().name, team).verdicts()
    except DestinationError as error:
        raise KasasagiError(str(error)) from error
    prompts = _prompts_of(run)
    ours = [one for one in found if all(one.metadata.get(side) in prompts for side in SIDES)]
    if not ours:
        what = f"{len(found):,} verdicts on other responses" if found else "no submitted verdict"
        raise KasasagiError(f"the dataset holds {what} and none on the run {run.id}: let people rate its pairs first")
    rows = [row for verdict in ours for row in _ratings(verdict, prompts)]
    return rebuild_pairs(workspace, run.id, (), rows), len(ours), len(found) - len(ours)


def scale_of(judge: JudgeConfig | None, least: float | None, most: float | None) -> ArgillaScale:
    """Return the scale of a judge's ratings: as the recipe says, else between those that it gave."""
    if judge is not None and (judge.checks or judge.method == "pairwise"):
        return ArgillaScale.from_bounds(0, 1)
    if judge is not None and judge.is_checklist:
        return ArgillaScale.from_bounds(0, HIGHEST)
    if judge is not None and judge.rubric is not None:
        return ArgillaScale.from_values(judge.rubric.steps)
    if judge is None or not (judge.method == "reward" or is_own(judge.method)) or least is None or most is None:
        return ArgillaScale.from_values(USUAL)
    return ArgillaScale.from_bounds(least, most)


def _comparison(run: Run, row: Mapping[str, Any]) -> Comparison:
    """Return a pair as a person sees it: in an order that the pair's digest draws, so that it does not say which is
    chosen.
    """
    sides = ["chosen", "rejected"]
    name = digest({"responses": sorted(row[f"{side}_id"] for side in sides)})
    if int(name[0], 16) % 2:
        sides.reverse()
    ids = {place: row[f"{side}_id"] for place, side in zip(SIDES, sides, strict=True)}
    one, other = (row[f"{side}_rating"] for side in sides)
    rationales = [f"Response {place}: {row[f'{side}_words'] or '-'}" for place, side in enumerate(sides, 1)]
    return Comparison(
        id=name,
        prompt=messages_text(row["messages"]),
        responses=(row[sides[0]] or "", row[sides[1]] or ""),
        ratings=(one, other),
        words="\n\n".join(rationales) if row["judge"] else "",
        judge=row["judge"] or "judge",
        metadata={"run": run.id, "prompt_id": row["prompt_id"], **ids},
    )


def _prompts_of(run: Run) -> dict[str, str]:
    """Return the prompt of each of a run's responses."""
    with reading(run) as connection:
        return dict(connection.execute("SELECT response_id, prompt_id FROM responses").fetchall())


def _ratings(verdict: HumanRating, prompts: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield a verdict as two rows of the ratings table."""
    for place, (side, rating) in enumerate(zip(SIDES, verdict.ratings, strict=True), 1):
        response = verdict.metadata[side]
        yield {
            "response_id": response,
            "prompt_id": prompts[response],
            "judge": f"human:{verdict.person}",
            "aspect": HUMAN,
            "ordering": HUMAN,
            "place": place,
            "rating": rating,
            "rationale": verdict.comment,
            "call_id": None,
        }
