"""What `kasasagi check` shows of a checklist: who decides each item of the first row, and what the models are asked."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kasasagi.tasks.judge import requests
from kasasagi.tasks.judge.checklist.config import Item, read_items
from kasasagi.tasks.judge.checklist.method import EXAMPLE, Checklist
from kasasagi.tasks.judge.checklist.recognise import check_for
from kasasagi.tasks.judge.checklist.sheet import unchecked
from kasasagi.tasks.judge.checklist.writing import items_messages
from kasasagi.tasks.judge.config import CHECKLIST, JudgeConfig
from kasasagi.tasks.judge.requests import judge_language
from kasasagi.tasks.judge.verify.work import shown_check
from kasasagi.tasks.stage import Example

TEXT = "(an answer)"


def example(recipe: Any, base: Path, row: Mapping[str, Any]) -> Iterator[Example]:
    """Yield what the judges are asked about a row, and of a checklist also its items."""
    config: JudgeConfig = recipe.judging
    if not config.is_checklist:
        yield from requests.example(recipe, base, row)
        return
    if config.ranks_correct:
        yield Example("answers are checked, and judges rank correct ones", "", shown_check(config.verifying, row))
    if config.items_writer is not None:
        text = "\n".join(turn["content"] for turn in items_messages(config, row))
        yield Example("{model} writes the items of each prompt", config.items_writer, text)
        asked = [EXAMPLE[judge_language(config, row)]]
    else:
        items = _items(config, row)
        asked = [one.item for one in items if _check(one) is None]
        lines = [f"{_decided_by(config, one)}: {one.item}" for one in items] or ["this row has no items"]
        yield Example("the items of the first row, and what decides them", "", "\n".join(lines))
    if config.judges and asked:
        method = Checklist(config).about(unchecked(asked))
        request = method.request(row, [TEXT], CHECKLIST, judge_language(config, row))
        text = "\n".join(turn["content"] for turn in request["messages"])
        yield Example("{model} judges", ", ".join(config.judges), text)


def _items(config: JudgeConfig, row: Mapping[str, Any]) -> tuple[Item, ...]:
    """Return the items of a row; none where its cell cannot be read, which a run quarantines."""
    if not isinstance(config.items, str):
        return config.items or ()
    try:
        return read_items(row.get(config.items))
    except ValueError:
        return ()


def _check(item: Item) -> Any:
    return item.check or check_for(item.item)


def _decided_by(config: JudgeConfig, item: Item) -> str:
    check = _check(item)
    if check is not None:
        return "checked without a call"
    return f"asked of {', '.join(config.judges)}" if config.judges else "not decided, since no model judges"
