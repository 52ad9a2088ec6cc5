"""The bundled model: hina on CTranslate2, in this process, with real sampling and no key, GPU or network."""

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from jinja2 import StrictUndefined, Template
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from kasasagi.blocks.canonical import digest_file
from kasasagi.blocks.models.llm import Completion, Message, Request
from kasasagi.blocks.models.logprobs import LOGPROBS, Token, digits_of, number_places

PARAMETERS = frozenset(
    {"messages", "prompt", "temperature", "top_p", "max_tokens", "stop", "repetition_penalty", *LOGPROBS}
)
DEFAULT_MAX_TOKENS = 256
LOGPROBS_AT_ONCE = 64
"""Requests whose logits lie in memory at a time: the engine keeps those of every token, 16 KB each."""
HOLE = "\0"


def shipped_model() -> Path:
    """Return the folder of the model that comes with the project, in a checkout or in an installed wheel.

    Raises:
        FileNotFoundError: If neither holds it.
    """
    here = Path(__file__).resolve().parents[1]
    places = [here.parent / "models" / "hina", here / "shipped" / "models" / "hina"]
    for place in places:
        if (place / "ct2" / "model.bin").is_file():
            return place / "ct2"
    raise FileNotFoundError(
        f"the bundled model is in none of {[str(p) for p in places]}: reinstall, or run `make hina`"
    )


Group = tuple[float, float, int, float, int]


@dataclass(frozen=True)
class _PreparedRequest:
    """One request, ready for the engine: prompt tokens and sampling parameters."""

    tokens: list[str]
    temperature: float
    top_p: float
    max_tokens: int
    repetition_penalty: float
    stop: tuple[str, ...]
    top_logprobs: int = 0

    @property
    def group(self) -> Group:
        """What must be equal within a batch."""
        return self.temperature, self.top_p, self.max_tokens, self.repetition_penalty, self.top_logprobs


class BundledEngine:
    """A small Llama on CTranslate2, as an Engine: requests in OpenAI's names in, completions out. Thread-safe."""

    def __init__(self, folder: Path | None = None, threads: int | None = None, batch_size: int = 256) -> None:
        folder = folder or shipped_model()
        self.folder = folder / "ct2" if (folder / "ct2").is_dir() else folder
        self.batch_size = batch_size
        self.generator = ctranslate2.Generator(
            str(self.folder), device="cpu", inter_threads=threads or os.cpu_count() or 1, intra_threads=1
        )
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.plain = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.plain.encode_special_tokens = True
        config = json.loads((self.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        self.template: Template = environment.from_string(config["chat_template"])
        self.context = int(config["model_max_length"])
        self.end = str(config["eos_token"])

    @cached_property
    def _identity(self) -> str:
        return f"hina@{digest_file(self.folder / 'model.bin')}"

    def identity(self) -> str:
        """`hina@` and the digest of the weights."""
        return self._identity

    def pre_query_prefix(self, system_prompt: str | None = None, steer: str = "", turns: Sequence[Message] = ()) -> str:
        """Return the text before a user's words by the chat template, which the model continues with an instruction.

        `steer` is placed after the user's marker; `Topic: animals` and a line break lead hina to animals.
        """
        messages = [{"role": "system", "content": system_prompt}] if system_prompt is not None else []
        messages += [*turns, {"role": "user", "content": HOLE}]
        return self.template.render(messages=messages, add_generation_prompt=False).split(HOLE)[0] + steer

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer all requests, in their order; one that cannot be answered is a Completion with an error."""
        done: dict[int, Completion] = {}
        groups: dict[Group, list[tuple[int, _PreparedRequest]]] = defaultdict(list)
        for index, request in enumerate(requests):
            ask = self._ask(request)
            if isinstance(ask, Completion):
                done[index] = ask
            else:
                groups[ask.group].append((index, ask))
        for (*_, top_logprobs), members in groups.items():
            size = LOGPROBS_AT_ONCE if top_logprobs else len(members)
            for start in range(0, len(members), size):
                done.update(self._run(members[start : start + size]))
        return [done[index] for index in range(len(requests))]

    def _run(self, members: list[tuple[int, _PreparedRequest]]) -> dict[int, Completion]:
        temperature, top_p, max_tokens, repetition_penalty, top_logprobs = members[0][1].group
        hot = temperature > 0
        results = self.generator.generate_batch(
            [ask.tokens for _, ask in members],
            max_batch_size=self.batch_size if not top_logprobs else min(self.batch_size, LOGPROBS_AT_ONCE // 2),
            max_length=max_tokens,
            sampling_topk=0 if hot else 1,
            sampling_topp=top_p if hot else 1.0,
            sampling_temperature=temperature if hot else 1.0,
            repetition_penalty=repetition_penalty,
            end_token=self.end,
            include_prompt_in_result=False,
            return_end_token=True,
            return_logits_vocab=bool(top_logprobs),
        )
        found = zip(members, results, strict=True)
        return {index: self._completion(ask, result) for (index, ask), result in found}

    def _completion(self, ask: _PreparedRequest, result: Any) -> Completion:
        ids: list[int] = result.sequences_ids[0]
        ended = bool(ids) and self.tokenizer.id_to_token(ids[-1]) == self.end
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        cuts = [(text.find(stop), stop) for stop in ask.stop if stop and stop in text]
        cut, stop = min(cuts) if cuts else (len(text), None)
        tokens = self._tokens(ids, result.logits[0], ask.top_logprobs) if ask.top_logprobs else []
        return Completion(
            text=text[:cut],
            finish_reason="stop" if ended or stop is not None else "length",
            stop_reason=stop,
            prompt_tokens=len(ask.tokens),
            completion_tokens=len(ids),
            numbers=number_places(text[:cut], tokens) if ask.top_logprobs else None,
        )

    def _tokens(self, ids: Sequence[int], logits: Sequence[Any], most: int) -> list[Token]:
        """Return the tokens of a reply, those that are numbers with their alternatives.

        The engine gives logits of some tokens of the prompt, too, which stand before those of the reply.
        """
        texts = [self.tokenizer.decode([number]) for number in ids]
        of_reply = logits[len(logits) - len(ids) :]
        return [
            Token(text, self._alternatives(number, values, most) if digits_of(text) else ())
            for text, number, values in zip(texts, ids, of_reply, strict=True)
        ]

    def _alternatives(self, own: int, logits: Any, most: int) -> list[tuple[str, float]]:
        """Return the texts of the most likely tokens and of the token itself, with their log probabilities."""
        values = np.asarray(logits).astype(np.float64)
        values -= values.max()
        logprobs = values - np.log(np.exp(values).sum())
        likely = {own, *map(int, np.argsort(-logprobs, kind="stable")[:most])}
        return [(self.tokenizer.decode([number]), float(logprobs[number])) for number in sorted(likely)]

    def _ask(self, request: Request) -> _PreparedRequest | Completion:
        unknown = sorted(set(request) - PARAMETERS)
        if unknown:
            return _refusal(
                "unknown_parameter", f"{', '.join(unknown)}: the bundled model takes {', '.join(sorted(PARAMETERS))}"
            )
        try:
            tokens = self._prompt_tokens(request)
            ask = _read(request, tokens, self.context)
        except (TypeError, ValueError, KeyError, TemplateError) as error:
            return _refusal("bad_request", str(error))
        if len(tokens) >= self.context:
            detail = f"the prompt has {len(tokens)} tokens, the context {self.context}: shorten the prompt"
            return _refusal("context_too_long", detail)
        return ask

    def _prompt_tokens(self, request: Request) -> list[str]:
        if ("messages" in request) == ("prompt" in request):
            raise ValueError("a request needs either `messages` or `prompt`: give one of them")
        if "messages" in request:
            return self._chat_tokens(request["messages"])
        prompt = request["prompt"]
        if isinstance(prompt, str):
            return self.tokenizer.encode(prompt, add_special_tokens=False).tokens
        tokens = [self.tokenizer.id_to_token(number) for number in prompt]
        if not tokens or None in tokens:
            raise ValueError(
                f"the prompt {prompt!r} is not a list of this model's token ids: encode it with its tokenizer"
            )
        return [str(token) for token in tokens]

    def _chat_tokens(self, messages: Sequence[Message]) -> list[str]:
        """Return the tokens of rendered messages, in which no content can forge a turn."""
        holes = [{"role": message["role"], "content": HOLE} for message in messages]
        frame = self.template.render(messages=holes, add_generation_prompt=True).split(HOLE)
        tokens = self.tokenizer.encode(frame[0], add_special_tokens=False).tokens
        for message, after in zip(messages, frame[1:], strict=True):
            tokens += self.plain.encode(message["content"], add_special_tokens=False).tokens
            tokens += self.tokenizer.encode(after, add_special_tokens=False).tokens
        return tokens


def _read(request: Request, tokens: list[str], context: int) -> _PreparedRequest:
    """Return the sampling parameters of a request, checked; max_tokens never reaches beyond the context."""
    stop: Any = request.get("stop") or ()
    temperature = float(request.get("temperature", 1.0))
    top_p = float(request.get("top_p", 1.0))
    wanted = request.get("max_tokens")
    max_tokens = DEFAULT_MAX_TOKENS if wanted is None else int(wanted)
    penalty = float(request.get("repetition_penalty", 1.0))
    if temperature < 0 or not 0 < top_p <= 1 or max_tokens < 1 or penalty <= 0:
        values = f"temperature {temperature}, top_p {top_p}, max_tokens {max_tokens}, repetition_penalty {penalty}"
        raise ValueError(f"out of range: {values}; use temperature >= 0, 0 < top_p <= 1, max_tokens >= 1, penalty > 0")
    room = max(1, min(max_tokens, context - len(tokens)))
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    top_logprobs = int(request.get("top_logprobs") or 0) if request.get("logprobs") else 0
    return _PreparedRequest(tokens, temperature, top_p, room, penalty, stops, top_logprobs)


def _refusal(error: str, detail: str) -> Completion:
    return Completion(error=error, detail=detail)
