"""The words out of which answers and instructions are put together, in English and Japanese."""

from pathlib import Path
from typing import Literal

import yaml

Language = Literal["en", "ja"]
Pool = dict[Language, list[str]]

_POOLS: dict[str, Pool] = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))

OPENERS = _POOLS["openers"]
SUBJECTS = _POOLS["subjects"]
VERBS = _POOLS["verbs"]
OBJECTS = _POOLS["objects"]
TAILS = _POOLS["tails"]
TASKS = _POOLS["tasks"]
TOPICS = _POOLS["topics"]
READERS = _POOLS["readers"]
LIMITS = _POOLS["limits"]
REFUSALS = _POOLS["refusals"]
THOUGHTS = _POOLS["thoughts"]
