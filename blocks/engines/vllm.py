"""vLLM's engine for this process: its core in a child process that vLLM starts, and that ends with us."""

import gc
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from importlib.util import find_spec
from multiprocessing import active_children
from typing import TYPE_CHECKING, Any

from kasasagi.blocks.engines import process_watch
from kasasagi.blocks.engines.device_lock import device_lock
from kasasagi.blocks.engines.streaming import EngineFailedError, EngineThread
from kasasagi.blocks.models.llm import Completion, Request, reject_aborted
from kasasagi.blocks.models.logprobs import Token, number_places
from kasasagi.blocks.models.vllm_config import MISSING, VLLMModel

if TYPE_CHECKING:
    from collections.abc import Iterator

# vLLM sends telemetry unless it is switched off; a forked child of a process with threads may hang.
ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "1",
}
CHAT_FIELDS = ("messages", "chat_template_kwargs")
MOST_SAMPLINGS = 1_000


class VLLMEngine(EngineThread):
    """One model on vLLM, as an Engine and a StreamingEngine: requests in OpenAI's names in, completions out."""

    def __init__(self, model: VLLMModel) -> None:
        super().__init__(device_lock(model.devices or "all"), model.batch_size)
        self.model = model
        self.llm: Any = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._sampling: dict[str, Any] = {}

    @cached_property
    def _identity(self) -> str:
        return self.model.ledger_identity()

    def identity(self) -> str:
        """Return what the ledger knows the model by."""
        return self._identity

    def load(self) -> None:
        """Start the engine. Raises EngineFailedError."""
        if find_spec("vllm") is None:
            raise EngineFailedError(MISSING)
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        before = {process.pid for process in active_children()}
        with _visible(self.model.devices):
            from vllm import LLM

            try:
                self.llm = LLM(model=self.model.model, disable_log_stats=True, **self.model.arguments())
            except Exception as error:
                raise EngineFailedError(
                    f"vLLM does not start ({_words(error)}); correct the model's settings"
                ) from error
        self._guard = process_watch.watch_processes(
            [p.pid for p in active_children() if p.pid is not None and p.pid not in before]
        )
        self._tokenizer = self.llm.get_tokenizer()
        self._context = int(self.llm.llm_engine.model_config.max_model_len)
        self._lora = self._adapter()
        self._encoded = lru_cache(maxsize=4096)(self._encode)
        gc.collect()
        gc.freeze()  # vLLM's million objects stay: looking through them again and again stopped all threads for long

    def unload(self) -> None:
        """End the engine's process, and with it all that it held of the device's memory."""
        llm, self.llm = self.llm, None
        if llm is not None:
            llm.llm_engine.engine_core.shutdown()
            gc.unfreeze()
        watching, self._guard = self._guard, None
        if watching is not None:
            process_watch.end(watching)

    def begin(self, name: str, request: Request) -> Completion | None:
        """Hand a request to the engine; one that it cannot answer is a completion with an error."""
        try:
            tokens = self.tokens(request)
            parameters = self.parameters(request)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            return Completion(error="bad_request", detail=_words(error))
        except Exception as error:  # a chat template refuses in an error of its own
            return Completion(error="bad_request", detail=f"the chat template refuses these messages: {_words(error)}")
        if len(tokens) >= self._context:
            detail = f"the prompt has {len(tokens)} tokens, the context {self._context}: shorten the prompt"
            return Completion(error="context_too_long", detail=detail)
        prompt = {"prompt_token_ids": tokens}
        try:
            self.llm.llm_engine.add_request(name, prompt, parameters, lora_request=self._lora)
        except ValueError as error:
            return Completion(error="bad_request", detail=_words(error))
        return None

    def step(self) -> Sequence[tuple[str, Completion]]:
        """Let the engine make its next tokens.

        Raises:
            EngineFailedError: If it has broken down.
        """
        try:
            outputs = self.llm.llm_engine.step()
        except Exception as error:
            raise EngineFailedError(f"vLLM failed ({_words(error)}); run again to resume") from error
        return [(output.request_id, _completion(output)) for output in outputs if output.finished]

    def tokens(self, request: Request) -> list[int]:
        """Return the prompt's token ids: of a chat by the chat template, of a text with one BOS at most."""
        if "messages" in request:
            options = request.get("chat_template_kwargs") or {}
            made = self._tokenizer.apply_chat_template(
                list(request["messages"]), add_generation_prompt=True, tokenize=True, return_dict=False, **options
            )
            return [int(number) for number in made]
        prompt = request["prompt"]
        return list(self._encoded(prompt)) if isinstance(prompt, str) else [int(number) for number in prompt]

    def _encode(self, prompt: str) -> tuple[int, ...]:
        """Return the tokens of a text as vLLM makes them, but never with a second BOS."""
        tokens = list(self._tokenizer.encode(prompt))
        bos = getattr(self._tokenizer, "bos_token_id", None)
        while bos is not None and tokens[:2] == [bos, bos]:
            tokens = tokens[1:]
        return tuple(tokens)

    def parameters(self, request: Request) -> Any:
        """Return the request's parameters as vLLM takes them.

        Thousands of draws are sampled alike, and vLLM copies what it is given: equal fields get the same object.

        Raises:
            ValueError: If it takes one of them not.
        """
        fields = {name: value for name, value in request.items() if name not in (*CHAT_FIELDS, "prompt")}
        known = json.dumps(fields, default=repr)
        if known not in self._sampling:
            if len(self._sampling) >= MOST_SAMPLINGS:
                self._sampling.clear()
            self._sampling[known] = self._parameters(fields)
        return self._sampling[known]

    def _parameters(self, fields: dict[str, Any]) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        if "logprobs" in fields and "top_logprobs" in fields:  # OpenAI's two fields are one of vLLM's
            top = fields.pop("top_logprobs")
            fields["logprobs"] = top if fields["logprobs"] else None
        unknown = sorted(name for name in fields if name not in SamplingParams.__struct_fields__)
        if unknown:
            raise ValueError(f"vLLM's sampling takes no {', '.join(unknown)}: remove it")
        stops = fields.get("stop") or ()
        fields["stop"] = [stops] if isinstance(stops, str) else list(stops)
        fields["stop_token_ids"] = sorted({*(fields.get("stop_token_ids") or ()), *self._ids(fields["stop"])})
        fields.setdefault("max_tokens", None)
        return SamplingParams(**fields, output_kind=RequestOutputKind.FINAL_ONLY)

    def _ids(self, stops: Sequence[str]) -> list[int]:
        """Return the ids of stops that are special tokens, which never show in a text."""
        special = set(getattr(self._tokenizer, "all_special_tokens", ()))
        return [int(self._tokenizer.convert_tokens_to_ids(stop)) for stop in stops if stop in special]

    def _adapter(self) -> Any:
        if self.model.lora is None:
            return None
        from vllm.lora.request import LoRARequest

        return LoRARequest("adapter", 1, self.model.lora)


def _completion(output: Any) -> Completion:
    reply = output.outputs[0]
    made = Completion(
        text=reply.text,
        finish_reason=reply.finish_reason,
        stop_reason=None if reply.stop_reason is None else str(reply.stop_reason),
        prompt_tokens=len(output.prompt_token_ids or ()),
        completion_tokens=len(reply.token_ids),
        numbers=number_places(reply.text, _tokens(reply)) if reply.logprobs else None,
    )
    return reject_aborted(made)


def _tokens(reply: Any) -> list[Token]:
    """Return the tokens of a reply with their alternatives."""
    tokens = []
    for number, found in zip(reply.token_ids, reply.logprobs, strict=False):
        alternatives = [(one.decoded_token or "", float(one.logprob)) for one in found.values()]
        tokens.append(Token(found[number].decoded_token or "" if number in found else "", alternatives))
    return tokens


@contextmanager
def _visible(devices: str | None) -> "Iterator[None]":
    """Let processes that start meanwhile see some GPUs alone."""
    changed = {} if devices is None else {"CUDA_VISIBLE_DEVICES": devices}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        _restore(before)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _words(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:500]
