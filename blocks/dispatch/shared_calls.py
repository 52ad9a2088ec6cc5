"""Samples that share one call: those of one prompt by `n`, or a list of prompts, and how the reply is divided.

Each sample keeps its own key and its own entry in the ledger; `n` is part of neither.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from kasasagi.blocks.dispatch.addresses import Route
from kasasagi.blocks.dispatch.estimates import Estimates
from kasasagi.blocks.dispatch.lanes import Job
from kasasagi.blocks.dispatch.sharing import shared_request
from kasasagi.blocks.endpoints.openai import UNREADABLE, OpenAIEndpoint, malformed, parse_reply, read_choice, read_reply
from kasasagi.blocks.models.llm import Completion, Request

TOLERATED_INCOMPLETE = 3
ABOUT_THE_PROMPT = frozenset(("context_too_long", "refused_by_server"))
"""Refusals that say nothing of how many samples a call asks for."""
BROKEN = frozenset(("server_error", "malformed_reply"))
"""How servers fail that cannot answer a shared call; once one has answered, such a failure has another cause."""
SINGLE = "each sample is a call of its own"
Kind = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class SharedReply:
    """How a shared call went, with its tokens, each of its samples, None for a missing one, and how many came at all.

    What came, though its making broke off, is missing among the samples.
    """

    outcome: Completion
    samples: Sequence[Completion | None]
    came: int = 0


class SharedCalls:
    """How many samples a call may ask for at each address: fewer where calls for so many were left incomplete.

    What a model takes at an address is counted apart for its chat and its completions.
    """

    def __init__(self, estimates: Estimates) -> None:
        self._estimates = estimates
        self._most: dict[Kind, int] = {}
        self._incomplete: defaultdict[Kind, Counter[int]] = defaultdict(Counter)
        self._shares: set[Kind] = set()

    def most(self, job: Job, route: Route) -> int:
        """Return how many samples the next call of a job may ask for: half as many at each further attempt.

        They take no more than half of the tokens of a minute; providers refuse a call for more than they grant in one.
        """
        if not job.may_share:
            return 1
        allowed = route.most_in_a_call(job.request)
        tokens = self._estimates.completion_tokens(job.label, job.rank, job.request)
        if (cap := route.model.tokens_per_minute) and tokens:
            allowed = min(allowed, cap // 2 // tokens)
        return max(1, min(allowed, self._most.get(_kind(job.request, route), allowed)) >> job.attempts)

    def learn(self, request: Request, route: Route, reply: SharedReply) -> list[str]:
        """Learn from the reply to a shared call; a chat that brings one sample in place of `n` ignores it.

        Returns:
            What there is to say of the address.
        """
        kind, wanted, outcome = _kind(request, route), len(reply.samples), reply.outcome
        if outcome.fatal or outcome.error in ABOUT_THE_PROMPT:
            return []
        if outcome.transient and (kind in self._shares or outcome.error not in BROKEN):
            return []
        counts = self._incomplete[kind]
        if None not in reply.samples:
            self._shares.add(kind)
            self._incomplete[kind] = Counter({size: count for size, count in counts.items() if size > wanted})
            return []
        counts[wanted] += 1
        is_ignored = "messages" in request and reply.came == 1 and kind not in self._shares
        if not is_ignored and counts[wanted] < TOLERATED_INCOMPLETE:
            return []
        return self._lower(kind, wanted, is_ignored)

    def _lower(self, kind: Kind, wanted: int, is_ignored: bool) -> list[str]:
        """Ask for half as many samples a call from now on; for one where `n` is ignored, or lists of prompts are."""
        is_chat = kind[-1]
        most = wanted // 2 if is_chat and not is_ignored else 1
        if most >= self._most.get(kind, wanted):  # a call that was sent before it was known
            return []
        self._most[kind] = most
        if not is_chat:
            return []
        if is_ignored:
            return [f"gives one sample a call, whatever n is: {SINGLE}"]
        left = SINGLE if most == 1 else f"calls ask for {most} at most"
        return [f"leaves calls for {wanted} samples (n) unanswered or incomplete: {left}"]


async def complete_shared(endpoint: OpenAIEndpoint, requests: Sequence[Request]) -> SharedReply:
    """Answer several requests in one call."""
    found: list[Completion | None] = [None] * len(requests)
    came = 0
    one_prompt = all(request == requests[0] for request in requests)

    def read(body: bytes) -> Completion:
        nonlocal came
        try:
            found[:], came = read_shared(body, len(requests), one_prompt)
        except UNREADABLE as error:
            return malformed(error, body)
        there = [one for one in found if one is not None]
        if not there and (first := read_reply(body)).error == "server_error":  # all broke off: the call has failed
            return first
        return Completion(
            prompt_tokens=sum(one.prompt_tokens for one in there),
            completion_tokens=sum(one.completion_tokens for one in there),
        )

    outcome = await endpoint.complete(shared_request(requests), read)
    return SharedReply(outcome, found, came)


def read_shared(body: bytes, count: int, one_prompt: bool = False) -> tuple[list[Completion | None], int]:
    """Return the samples in a reply, in the order of what was asked, and how many came at all.

    None stands for each that is missing or may come yet. The tokens that the server counts are divided among the
    samples, those of the answers by their lengths, so that their sum is what the server says. Raises one of UNREADABLE
    where the reply cannot be read at all.
    """
    reply = parse_reply(body)
    found: list[Completion | None] = [None] * count
    came = 0
    for index, choice in _by_index(reply["choices"], one_prompt):
        if isinstance(index, int) and 0 <= index < count:
            completion = read_choice(choice)
            came += completion.error != "malformed_reply"
            found[index] = None if completion.transient else completion
    return _with_tokens(found, reply.get("usage") or {}), came


def _by_index(choices: Sequence[Any], one_prompt: bool) -> Iterator[tuple[Any, Any]]:
    """Return the choices with their indexes; samples of one prompt whose indexes are all alike go by their places."""
    indexes = [one.get("index", place) if isinstance(one, dict) else place for place, one in enumerate(choices)]
    if one_prompt and len({str(index) for index in indexes}) < len(indexes):
        indexes = list(range(len(choices)))
    return zip(indexes, choices, strict=True)


def _with_tokens(found: Sequence[Completion | None], usage: Mapping[str, Any]) -> list[Completion | None]:
    whole = read_reply(orjson.dumps({"choices": [{"text": ""}], "usage": usage}))
    there = [completion for completion in found if completion is not None]
    prompt_tokens = iter(divide(whole.prompt_tokens, [1] * len(there)))
    weights = [len((completion.text + (completion.reasoning or "")).encode()) + 1 for completion in there]
    completion_tokens = iter(divide(whole.completion_tokens, weights))
    return [
        one and replace(one, prompt_tokens=next(prompt_tokens), completion_tokens=next(completion_tokens))
        for one in found
    ]


def divide(total: int, weights: Sequence[int]) -> list[int]:
    """Divide a whole number in proportion to weights, into whole numbers that add up to it."""
    parts, passed, given = [], 0, 0
    for weight in weights:
        passed += weight
        part = total * passed // sum(weights) - given
        given += part
        parts.append(part)
    return parts


def _kind(request: Request, route: Route) -> Kind:
    return route.label, route.address.url, "messages" in request
