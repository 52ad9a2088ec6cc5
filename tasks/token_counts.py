"""How many tokens a prompt and an answer are for the student: by its own tokenizer and its own chat template."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

from jinja2 import TemplateError
from pydantic import Field, model_validator

from kasasagi.blocks.canonical import digest, digest_file
from kasasagi.blocks.models.kinds import Config

TOKENIZER, CONFIG, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"


class TokenizerError(ValueError):
    """The student's tokenizer cannot be had: the value, the reason and the remedy in one sentence."""

    exit_code = 1


class TokenLimits(Config):
    """How long prompts and pairs may be for the student, so that its trainer cuts nothing off."""

    tokenizer: str = Field(
        min_length=1, description="Folder next to the recipe with the student's tokenizer.json, or its Hub id."
    )
    revision: str | None = Field(None, description="Revision on the Hub, so that the count never changes.")
    prompt: int | None = Field(None, ge=1, description="Maximum number of tokens of a prompt.")
    total: int | None = Field(None, ge=1, description="Maximum number of tokens of a prompt with either answer.")
    thinking: bool = Field(False, description="Also count the thinking, for publish.thinking: inline.")

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.prompt is None and self.total is None:
            raise ValueError("it sets no limit: give prompt, total or both, as {tokenizer: my/model, total: 2048}")
        if self.prompt is not None and self.total is not None and self.prompt > self.total:
            raise ValueError(
                f"prompt allows more tokens ({self.prompt}) than total ({self.total}): lower prompt or raise total"
            )
        return self


class TokenCounter:
    """Counts tokens as the student's trainer will.

    Where the tokenizer has a chat template, the conversation is rendered with it, as TRL does; else the texts' tokens
    are added up. `digest` tells one tokenizer and template from another.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        from tokenizers import Tokenizer

        from kasasagi.blocks.models.chat_template import choose_template, compile_template

        self._tokenizer = Tokenizer.from_file(str(files[TOKENIZER]))
        config = json.loads(files[CONFIG].read_text(encoding="utf-8")) if CONFIG in files else {}
        own = choose_template(config.get("chat_template"))
        source = files[TEMPLATE].read_text(encoding="utf-8") if TEMPLATE in files else own
        self._template = compile_template(source) if source else None
        self._names = {name: _text(config[name]) for name in ("bos_token", "eos_token") if config.get(name)}
        self.digest = digest([digest_file(files[TOKENIZER]), source, self._names])

    @property
    def has_template(self) -> bool:
        """Whether it counts by a chat template."""
        return self._template is not None

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> int | None:
        """Tokens of a conversation up to where the answer begins; None where the chat template refuses it."""
        return self._count(messages, True)

    def total(self, messages: Sequence[Mapping[str, str]], answer: str) -> int | None:
        """Tokens of a conversation and its answer; None where the chat template refuses them."""
        return self._count([*messages, {"role": "assistant", "content": answer}], False)

    def _count(self, messages: Sequence[Mapping[str, str]], open_end: bool) -> int | None:
        if self._template is None:
            texts = [message["content"] for message in messages]
            return sum(len(self._tokenizer.encode(text, add_special_tokens=False)) for text in texts)
        known = {"messages": messages, "add_generation_prompt": open_end, "tools": None, "documents": None}
        try:
            text = self._template.render(**self._names, **known)
        except (TemplateError, TypeError):
            return None
        return len(self._tokenizer.encode(text, add_special_tokens=False))


def token_counter(limits: TokenLimits, base: Path) -> TokenCounter:
    """Return the counter of a recipe: from a folder beside it or in the current one, else from the Hub.

    Raises:
        TokenizerError: If there is no such tokenizer or it cannot be read.
    """
    name = limits.tokenizer
    asked = Path(name).expanduser()
    folder = next((path for path in (base / asked, asked) if path.is_dir()), None)
    files = _download(name, limits.revision) if folder is None else _found(folder, name)
    try:
        return TokenCounter(files)
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise TokenizerError(
            f"pairs.max_tokens.tokenizer: {name!r} cannot be read ({error}): save the tokenizer again with "
            "transformers' save_pretrained"
        ) from error


def _found(folder: Path, name: str) -> dict[str, Path]:
    files = {file: folder / file for file in (TOKENIZER, CONFIG, TEMPLATE) if (folder / file).is_file()}
    if TOKENIZER not in files:
        raise TokenizerError(
            f"pairs.max_tokens.tokenizer: the folder {name!r} holds no {TOKENIZER}: save a fast tokenizer there with "
            "transformers' save_pretrained"
        )
    return files


def _download(name: str, revision: str | None) -> dict[str, Path]:
    """Return the files of a Hub id, from the Hub's cache where it has them."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    files: dict[str, Path] = {}
    for file in (TOKENIZER, CONFIG, TEMPLATE):
        try:
            files[file] = Path(hf_hub_download(name, file, revision=revision))
        except EntryNotFoundError as error:
            if file == TOKENIZER:
                _missing(name, error)
        except Exception as error:  # no such id, no right, no network: each has its own kind there
            _missing(name, error)
    return files


def _missing(name: str, error: Exception) -> NoReturn:
    reason = " ".join(str(error).split())[:200]
    here = "" if name.startswith((".", "/", "~")) else f" here, and the Hub has no {TOKENIZER} of it ({reason})"
    raise TokenizerError(
        f"pairs.max_tokens.tokenizer: {name!r} is not a folder{here}: name a folder that holds {TOKENIZER}, or the "
        "student's id on the Hub"
    ) from error


def _text(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token)
