"""What people say of a run's pairs: sent to Argilla, brought back as ratings, and kept when pairs are made anew."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from blocks.argilla import SIDES, ArgillaDataset, Comparison, Verdict
from blocks.canonical import digest
from blocks.destinations import DestinationError
from blocks.shards import Account, Handle, Shard
from blocks.tables import table
from blocks.workspace import Run, Workspace
from flows.errors import KasasagiError
from flows.views.reading import fetch, reading
from flows.views.text import messages_text
from tasks.asking import read_rows
from tasks.judge.human import HUMAN

STAGE = "human"
USUAL_SCALE, LAST_OF_SCALE = (1, 5), 10
FETCHED = 200
_PAIRS = f"""
WITH p AS (FROM pairs ORDER BY prompt_id, chosen_id, rejected_id LIMIT $rows),
w AS (
    SELECT response_id, avg(rating) AS rating, string_agg(DISTINCT judge, ', ' ORDER BY judge) AS judge,
        string_agg(rationale, chr(10) ORDER BY aspect, ordering, judge) AS words
    FROM ratings WHERE ordering <> '{HUMAN}' GROUP BY response_id
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

    Raises KasasagiError where there are no pairs or the server cannot be used.
    """
    with reading(run) as connection:
        query = "SELECT min(rating) AS least, max(rating) AS most FROM ratings"
        scale = _scale(*fetch(connection, query)[0].values())
        cursor = connection.execute(_PAIRS, {"rows": rows if rows is not None else 2**62})
        names = [column[0] for column in cursor.description or []]
        comparisons: list[Comparison] = []
        while some := cursor.fetchmany(FETCHED):
            comparisons += [_comparison(run, dict(zip(names, row, strict=True)), scale) for row in some]
    if not comparisons:
        raise KasasagiError(f"the run {run.id} has no pairs that people could rate: see kasasagi show {run.id}")
    try:
        return ArgillaDataset(dataset or run.state().name, team).push(comparisons, scale), len(comparisons)
    except DestinationError as error:
        raise KasasagiError(str(error)) from error


def pull(workspace: Workspace, name: str | None, dataset: str | None, team: str | None) -> tuple[Run, int, int]:
    """A new run whose pairs are made of people's verdicts where there are any, and of the judge's elsewhere.

    Gives the run, how many verdicts it heeds, and how many are about responses of other runs. Raises KasasagiError
    where nobody has submitted anything, and GateFailedError.
    """
    from flows.again import pair_again

    run = workspace.run(name)
    try:
        found = ArgillaDataset(dataset or run.state().name, team).verdicts()
    except DestinationError as error:
        raise KasasagiError(str(error)) from error
    prompts = _prompts_of(run)
    ours = [one for one in found if all(one.metadata.get(side) in prompts for side in SIDES)]
    if not ours:
        what = f"{len(found):,} verdicts on other responses" if found else "no verdict that somebody submitted"
        raise KasasagiError(f"the dataset holds {what} and none on the run {run.id}: let people rate its pairs first")
    rows = [row for verdict in ours for row in _ratings(verdict, prompts)]
    return pair_again(workspace, run.id, (), rows), len(ours), len(found) - len(ours)


def human_rows(run: Run) -> list[dict[str, Any]]:
    """The ratings that people gave to a run's responses."""
    shards = [counted.handle.shards for counted in run.handles() if counted.handle.stage == STAGE]
    return [row for some in shards for row in read_rows(run, some.get("ratings"))]


def human_handle(run: Run, rows: Sequence[Mapping[str, Any]]) -> Handle:
    """What brings people's ratings into a run's tables."""
    shard = run.workspace.shards.write(table("ratings", [dict(row) for row in rows]))
    return Handle(
        stage=STAGE, run=run.id, shards={"ratings": shard}, account=Account(rows_in=shard.rows, rows_out=shard.rows)
    )


def with_verdicts(run: Run, inputs: Mapping[str, Shard], rows: Sequence[Mapping[str, Any]]) -> dict[str, Shard]:
    """The inputs of a chunk's pairs, with people's ratings of its responses among the judge's."""
    here = {row["response_id"] for row in read_rows(run, inputs.get("responses"), ["response_id"])}
    ours = [dict(row) for row in rows if row["response_id"] in here]
    if not ours:
        return dict(inputs)
    both = [*read_rows(run, inputs.get("ratings")), *ours]
    return {**inputs, "ratings": run.workspace.shards.write(table("ratings", both))}


def _scale(least: float | None, most: float | None) -> list[int]:
    """The ratings that a person may give: the judge's, and at least from 1 to 5."""
    low = max(0, min(USUAL_SCALE[0], math.floor(least if least is not None else USUAL_SCALE[0])))
    high = min(LAST_OF_SCALE, max(USUAL_SCALE[1], math.ceil(most if most is not None else USUAL_SCALE[1])))
    return list(range(low, high + 1))


def _comparison(run: Run, row: Mapping[str, Any], scale: Sequence[int]) -> Comparison:
    """A pair as a person sees it: in an order that the pair's digest draws, so that it does not say which is chosen."""
    sides = ["chosen", "rejected"]
    name = digest({"responses": sorted(row[f"{side}_id"] for side in sides)})
    if int(name[0], 16) % 2:
        sides.reverse()
    ids = {place: row[f"{side}_id"] for place, side in zip(SIDES, sides, strict=True)}
    one, other = (_suggested(row[f"{side}_rating"], scale) for side in sides)
    said = [f"Response {place}: {row[f'{side}_words'] or '-'}" for place, side in enumerate(sides, 1)]
    return Comparison(
        id=name,
        prompt=messages_text(row["messages"]),
        responses=(row[sides[0]] or "", row[sides[1]] or ""),
        ratings=(one, other),
        words="\n\n".join(said) if row["judge"] else "",
        judge=row["judge"] or "judge",
        metadata={"run": run.id, "prompt_id": row["prompt_id"], **ids},
    )


def _suggested(rating: float | None, scale: Sequence[int]) -> int | None:
    return None if rating is None else max(scale[0], min(scale[-1], round(rating)))


def _prompts_of(run: Run) -> dict[str, str]:
    """The prompt of each of a run's responses."""
    with reading(run) as connection:
        return dict(connection.execute("SELECT response_id, prompt_id FROM responses").fetchall())


def _ratings(verdict: Verdict, prompts: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """A verdict as two rows of the ratings table."""
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
