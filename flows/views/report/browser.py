"""The rows that the page can show, as many as there is room for: pairs side by side with the judge's words.

A run that makes no pairs shows its responses, and a run without responses its instructions. A run that was to make
pairs and made none shows its prompts with their answers and why they gave none.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from kasasagi.blocks.workspace.runs import Product
from kasasagi.flows.views.overview.unpaired import each_unpaired, rated, reason_of
from kasasagi.flows.views.report.differences import marked
from kasasagi.flows.views.report.facts import Facts
from kasasagi.flows.views.safe_text import cut, messages_text, visible

MOST_PAIRS = 2_000
MOST_UNPAIRED = 200
PROMPT_CHARS = 3_000
ANSWER_CHARS = 6_000
WORDS_CHARS = 1_200
BATCH = 50
_PAIRS = f"""
WITH p AS MATERIALIZED (SELECT * FROM pairs ORDER BY prompt_id, chosen_id, rejected_id LIMIT ?),
ids AS (SELECT chosen_id AS response_id FROM p UNION SELECT rejected_id FROM p),
w AS MATERIALIZED (
    SELECT response_id, list({{'order': ordering, 'aspect': aspect, 'rating': rating,
        'words': left(rationale, {WORDS_CHARS + 1})}} ORDER BY aspect, ordering, judge) AS words
    FROM ratings WHERE response_id IN (FROM ids) GROUP BY ALL
),
a AS MATERIALIZED (
    SELECT response_id, model, left(content, {ANSWER_CHARS + 1}) AS content, length(content) AS chars
    FROM responses WHERE response_id IN (FROM ids)
),
q AS MATERIALIZED (
    SELECT prompt_id,
        list_transform(messages, lambda m: {{'role': m.role, 'content': left(m.content, {PROMPT_CHARS + 1})}}) AS turns
    FROM prompts WHERE prompt_id IN (SELECT prompt_id FROM p)
)
SELECT p.prompt_id, q.turns, p.chosen_rating, p.rejected_rating, p.margin, c.model AS chosen_model,
    c.content AS chosen, c.chars AS chosen_chars, r.model AS rejected_model, r.content AS rejected,
    r.chars AS rejected_chars, x.words AS chosen_words, y.words AS rejected_words
FROM p JOIN q USING (prompt_id) JOIN a c ON c.response_id = p.chosen_id JOIN a r ON r.response_id = p.rejected_id
LEFT JOIN w x ON x.response_id = p.chosen_id LEFT JOIN w y ON y.response_id = p.rejected_id
ORDER BY p.prompt_id, p.chosen_id, p.rejected_id
"""
_TURNS = f"list_transform(messages, lambda m: {{'role': m.role, 'content': left(m.content, {PROMPT_CHARS + 1})}})"
_RESPONSES = f"""
WITH r AS MATERIALIZED (SELECT * FROM responses ORDER BY prompt_id, model, sample_index LIMIT ?)
SELECT r.prompt_id, {_TURNS} AS turns, r.model, left(r.content, {ANSWER_CHARS + 1}) AS content,
    length(r.content) AS chars
FROM r JOIN prompts USING (prompt_id) ORDER BY r.prompt_id, r.model, r.sample_index
"""
_INSTRUCTIONS = f"SELECT prompt_id, {_TURNS} AS turns FROM prompts ORDER BY prompt_id LIMIT ?"
_QUERIES: dict[Product, str] = {"responses": _RESPONSES, "instructions": _INSTRUCTIONS}


def browsed(facts: Facts, room: int) -> list[dict[str, Any]]:
    """Rows as plain data that together take at most so many bytes as JSON in a page, in the order of their ids."""
    pairs: list[dict[str, Any]] = []
    for pair in _shown(facts):
        room -= len(embedded(pair).encode()) + 1
        if room < 0:
            break
        pairs.append(pair)
    return pairs


def _shown(facts: Facts) -> Iterator[dict[str, Any]]:
    product = facts.run.product()
    if product != "pairs":
        yield from map(_lone, _rows(facts, _QUERIES[product]))
    elif facts.pairs:
        yield from map(_pair, _rows(facts, _PAIRS))
    elif facts.run.state().status != "running":
        yield from map(_unpaired, each_unpaired(facts.connection, MOST_UNPAIRED))


def embedded(value: Any) -> str:
    """Return a value as JSON that can stand in a script element: no sign in it ends the element or begins another."""
    text = orjson.dumps(value).decode()
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _rows(facts: Facts, query: str) -> Iterator[dict[str, Any]]:
    cursor = facts.connection.execute(query, [MOST_PAIRS])
    names = [column[0] for column in cursor.description or []]
    while rows := cursor.fetchmany(BATCH):
        yield from (dict(zip(names, row, strict=True)) for row in rows)


def _pair(row: dict[str, Any]) -> dict[str, Any]:
    """Return one pair; keys are short, for they stand there a thousand times."""
    chosen, rejected = _answer(row, "chosen"), _answer(row, "rejected")
    texts = marked(chosen, rejected)
    return {
        "id": row["prompt_id"],
        "p": shortened(messages_text(row["turns"]), PROMPT_CHARS),
        "m": row["margin"],
        **{
            key: {
                "by": visible(row[f"{side}_model"] or ""),
                "rating": row[f"{side}_rating"],
                "text": text,
                "words": [_words(word) for word in row[f"{side}_words"] or []],
            }
            for key, side, text in (("c", "chosen", texts[0]), ("r", "rejected", texts[1]))
        },
    }


def _lone(row: dict[str, Any]) -> dict[str, Any]:
    """Return a response that nothing is compared with, or an instruction alone, with the keys of a pair."""
    shown = {"id": row["prompt_id"], "p": shortened(messages_text(row["turns"]), PROMPT_CHARS), "m": None, "r": None}
    if "content" not in row:
        return {**shown, "c": None}
    text = shortened(row["content"] or "", ANSWER_CHARS, row["chars"])
    return {**shown, "c": {"by": visible(row["model"] or ""), "rating": None, "text": [text], "words": []}}


def _unpaired(prompt: dict[str, Any]) -> dict[str, Any]:
    """Return a prompt that gave no pair: its answers with their ratings, and what was quarantined for which reason."""
    answers = [(f"{response['model']} · {rated(response)}", response["content"]) for response in prompt["responses"]]
    why = [(reason_of(row), row["text"]) for row in prompt["why"]]
    texts = [
        [{"by": visible(cut(title, WORDS_CHARS)), "text": [shortened(text or "", ANSWER_CHARS)]} for title, text in one]
        for one in (answers, why)
    ]
    shown = shortened(messages_text(prompt["messages"]), PROMPT_CHARS)
    return {"id": prompt["prompt_id"], "p": shown, "m": None, "c": None, "r": None, "a": texts[0], "w": texts[1]}


def _answer(row: dict[str, Any], side: str) -> str:
    return shortened(row[side] or "", ANSWER_CHARS, row[f"{side}_chars"])


def _words(word: dict[str, Any]) -> list[Any]:
    """Return what the judge said in one order: the order, the aspect, the rating, the words."""
    names = [visible(word[name] or "") for name in ("order", "aspect")]
    return [*names, word["rating"], shortened(word["words"] or "", WORDS_CHARS)]


def shortened(text: str, chars: int, whole: int | None = None) -> str:
    """Return a text with its invisible signs spelt out; a long one cut, and how long it is."""
    if len(text) <= chars:
        return visible(text)
    length = f", {whole:,} characters in all" if whole else ""
    return f"{visible(cut(text, chars))} [cut here{length}]"
