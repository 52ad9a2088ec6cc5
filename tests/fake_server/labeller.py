"""A model that knows the tagging and rewriting prompts of the project: its replies follow from the texts alone."""

import random
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.fake_server.config import ServerConfig
from tests.fake_server.faults import draw

PROMPTS = Path(__file__).parents[2] / "tasks" / "prompts"
FENCE = re.compile(r"\[([0-9a-f]{6})\n(.*?)\n\1\]", re.DOTALL)
KIND = re.compile(r"^([a-z]+): .+\n((?:- .+\n)+)", re.MULTILINE)
LABEL = re.compile(r"^- ([^:\n]+)", re.MULTILINE)
LANGUAGES = {"another two-letter code": "fr"}


@cache
def systems(name: str) -> frozenset[str]:
    """The system messages of one of the project's prompt files, in all languages."""
    files = (PROMPTS / f"{name}.{language}.yaml" for language in ("en", "ja"))
    return frozenset(yaml.safe_load(file.read_text(encoding="utf-8"))["system"] for file in files)


def labeller_reply(messages: Sequence[dict[str, Any]], digest: str, config: ServerConfig) -> str | None:
    """The reply to a tagging or rewriting request of that digest, or None where the messages are neither."""
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    asked = messages[1]["content"] if len(messages) > 1 else ""
    if system in systems("tags"):
        reply = "\n".join(f"{kind}: {label}" for kind, label in labels(asked).items())
    elif system in systems("rewrite"):
        reply = f"<request>{rewritten(asked, digest)}</request>"
    else:
        return None
    if draw(config.seed, digest, "labeller") < config.labeller_unreadable:
        return f"I would say {reply}"
    return reply


def labels(asked: str) -> dict[str, str]:
    """The label of each kind that is asked for, by the digest of the text to be labelled alone."""
    text = FENCE.findall(asked)[-1][1]
    found = {}
    for kind, listed in KIND.findall(asked):
        label = random.Random(f"{kind}:{text}").choice(LABEL.findall(listed)).strip()
        found[kind] = LANGUAGES.get(label, label)
    return found


def rewritten(asked: str, digest: str) -> str:
    """Another text than the one to be rewritten, in its language, that differs between requests."""
    text = FENCE.findall(asked)[-1][1]
    number = int(digest[:6], 16)
    if re.search("[ぁ-ん]", text):
        return f"{number}という番号の品物について、{text[:12]}と関係のある点を三つ挙げてください。"
    return f"Name three things about item {number} that have to do with {text[:20].strip()!r}."
