"""Rate one chunk of responses by a checklist: what checkers cannot decide is asked, one call for each response."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kasasagi.blocks.canonical import digest
from kasasagi.tasks.asking import ChunkResult, quarantine_row
from kasasagi.tasks.judge.checklist.items import PromptItems, Row, Rows, items_for
from kasasagi.tasks.judge.checklist.method import Checklist
from kasasagi.tasks.judge.checklist.sheet import Sheet, sheet_for
from kasasagi.tasks.judge.config import CHECKLIST, ORDERINGS
from kasasagi.tasks.judge.rate import JudgePanel, quarantine_unrated, sort_verdicts
from kasasagi.tasks.judge.requests import JudgeRequest, judge_language, questions_to_judges, shown_data
from kasasagi.tasks.judge.stage import JUDGE
from kasasagi.tasks.judge.votes import by_prompt_id

Sheets = Mapping[str, Sheet]
"""The sheets of responses by their ids."""


def rate_by_checklist(panel: JudgePanel, prompts: Rows, responses: Rows) -> ChunkResult:
    """Return a rating for each response by each judge; a response that checkers decide alone costs no call."""
    by_prompt = by_prompt_id(responses)
    compared = [row for row in prompts if len(by_prompt.get(row["prompt_id"], ())) > 1]
    items, written = items_for(panel.session, panel.config, compared, by_prompt, panel.chunk)
    sheets = {
        row["response_id"]: sheet_for(items[prompt["prompt_id"]].items, prompt, row)
        for prompt in compared
        if items[prompt["prompt_id"]].items
        for row in by_prompt[prompt["prompt_id"]]
    }
    asks = bool(panel.config.judges)
    left = [row for row in responses if not _is_settled(row, items, sheets, asks)]
    parsed, answered = panel.ask(_requests(panel, compared, by_prompt, sheets) if asks else [])
    result = sort_verdicts(panel, prompts, left, parsed, [*written, *answered])
    return _with_settled(
        panel, result, [row for row in responses if _is_settled(row, items, sheets, asks)], items, sheets
    )


def _is_settled(row: Row, items: Mapping[str, PromptItems], sheets: Sheets, asks: bool) -> bool:
    """Return whether no judge is asked about a response that could be compared."""
    sheet = sheets.get(row["response_id"])
    return row["prompt_id"] in items and (sheet is None or not sheet.open_places or not asks)


def _requests(panel: JudgePanel, prompts: Rows, by_prompt: Mapping[str, Rows], sheets: Sheets) -> list[JudgeRequest]:
    """Return the calls about all responses with open items, in the order of the prompts and of their ids."""
    found: list[JudgeRequest] = []
    for prompt in prompts:
        for row in sorted(by_prompt[prompt["prompt_id"]], key=lambda one: str(one["response_id"])):
            sheet = sheets.get(row["response_id"])
            if sheet is not None and sheet.open_places:
                found += _requests_about(panel, prompt, row, sheet)
    return found


def _requests_about(panel: JudgePanel, prompt: Row, row: Row, sheet: Sheet) -> list[JudgeRequest]:
    """Return the calls of all judges about one response."""
    config, language = panel.config, judge_language(panel.config, prompt)
    method = Checklist(config).about(sheet)
    asked = dict.fromkeys(config.judges, method.request(prompt, [row["content"]], CHECKLIST, language))
    shared, data = f"{prompt['prompt_id']} {CHECKLIST}", shown_data(config, prompt)
    first = ORDERINGS[0]
    return [
        JudgeRequest(prompt["prompt_id"], vote, (CHECKLIST,), first, (row,), question, language, data, method)
        for vote, question in questions_to_judges(panel.session, config, asked, shared)
    ]


def _with_settled(
    panel: JudgePanel, result: ChunkResult, settled: Rows, items: Mapping[str, PromptItems], sheets: Sheets
) -> ChunkResult:
    """Return a result with the responses that no judge was asked about: rated by checkers, or quarantined."""
    ratings, quarantine = list(result.rows["ratings"]), list(result.rows["quarantine"])
    for row in settled:
        sheet = sheets.get(row["response_id"])
        if sheet is not None and sheet.undecided is None:
            ratings += [_rating(row, vote.name, sheet) for vote in panel.config.votes]
        else:
            quarantine += _unrated(panel, row, items[row["prompt_id"]], sheet)
    wanted = len(settled) * len(panel.config.votes)
    rated = len(ratings) - len(result.rows["ratings"])
    rows = {"ratings": ratings, "quarantine": quarantine}
    return replace(result, rows_in=result.rows_in + wanted, rows_out=result.rows_out + rated, rows=rows)


def _rating(row: Row, judge: str, sheet: Sheet) -> dict[str, Any]:
    """Return the rating of a response whose items are all decided by checkers."""
    return {
        "response_id": row["response_id"],
        "prompt_id": row["prompt_id"],
        "judge": judge,
        "aspect": CHECKLIST,
        "ordering": ORDERINGS[0],
        "place": None,
        "rating": sheet.rating(),
        "rationale": sheet.rationale(),
        "call_id": None,
    }


def _unrated(panel: JudgePanel, row: Row, items: PromptItems, sheet: Sheet | None) -> list[dict[str, Any]]:
    """Return the quarantined rows of a response without items, or with one that nobody could decide."""
    if items.reply is not None:
        problem = (items.reason, items.detail, items.reply)
        return [quarantine_unrated(panel.config, row, CHECKLIST, vote.name, problem) for vote in panel.config.votes]
    undecided = None if sheet is None else sheet.undecided
    reason, detail = (undecided.reason, undecided.detail) if undecided else (items.reason, items.detail)
    return [_cannot_tell(row, vote.name, reason, detail, len(panel.config.votes)) for vote in panel.config.votes]


def _cannot_tell(row: Row, judge: str, reason: str, detail: str | None, votes: int) -> dict[str, Any]:
    """Return the quarantined row of a response that cannot be judged for what its row holds, as those of checkers."""
    payload = {
        "prompt_id": row["prompt_id"],
        "response_id": row["response_id"],
        "aspect": CHECKLIST,
        "response": row["content"],
    }
    name: Sequence[str] = [row["response_id"], CHECKLIST, *([judge] if votes > 1 else [])]
    return quarantine_row(JUDGE.name, digest(list(name)), reason, detail, payload)
