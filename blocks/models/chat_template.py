"""A tokenizer's own chat template, rendered as transformers does it, in a sandbox: a template is data, not code."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import Template, nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

FILES = ("tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json", "tokenizer.json")
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
ADDS_BOS = ("Llama", "CodeLlama", "Gemma")
# A template that writes today's date would make another request, to be paid for again, of the same one every day.
TODAY = datetime(2024, 7, 26)


class TokenizerUnusableError(ValueError):
    """A tokenizer that cannot be read, or has no chat template that can be used."""


class TemplateRefusedError(ValueError):
    """A chat template does not take a conversation, in its own words."""


class _Generation(Extension):
    """`{% generation %}`, which marks an assistant's words for training and changes nothing here."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Return the body alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """A chat template with the special tokens that it writes, and the tokenizer, where there is one."""

    def __init__(
        self,
        text: str,
        special: Mapping[str, str] | None = None,
        tokenizer: Tokenizer | None = None,
        adds_bos: bool = False,
    ) -> None:
        self.special = dict(special or {})
        self.tokenizer = tokenizer
        self._adds_bos = adds_bos
        self._template = compile_template(text)

    @classmethod
    def from_folder(cls, folder: Path, needed: bool = True) -> "ChatTemplate":
        """Return the chat template of a folder; one that refuses everything where there is none and none is needed.

        Raises TokenizerUnusableError.
        """
        config = _json(folder / "tokenizer_config.json")
        text = template_text(folder)
        if text is None and needed:
            raise TokenizerUnusableError(f"the tokenizer in {folder} has no chat template: name another tokenizer")
        text = "{{ raise_exception('there is no chat template') }}" if text is None else text
        special = _special({**_json(folder / "special_tokens_map.json"), **config})
        return cls(text, special, _tokenizer(folder), _adds_bos(config))

    def render(self, messages: Sequence[Mapping[str, Any]], *, answer_next: bool = False, **fields: Any) -> str:
        """Return the text of a conversation; answer_next ends it where the assistant begins.

        Raises:
            TemplateRefusedError: If the template takes no such conversation.
        """
        known = {"messages": [dict(message) for message in messages], "add_generation_prompt": answer_next}
        try:
            return self._template.render(**{"tools": None, "documents": None, **self.special, **known, **fields})
        except Exception as error:  # whatever a template does with a conversation is the template's problem
            raise TemplateRefusedError(str(error) or type(error).__name__) from error

    def exact(self, text: str) -> str | list[int]:
        """Return what to send of a rendered text, so that an engine sees it with exactly one BOS, if the tokenizer has
        one.

        The text itself where an engine makes the right tokens of it, else the token ids. Without a tokenizer that can
        be read here, the text without the BOS that an engine adds itself.
        """
        if self.tokenizer is None:
            return self._without_bos(text) if self._adds_bos else text
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        engine: list[int] = self.tokenizer.encode(text, add_special_tokens=True).ids
        bos = self.bos_id()
        if bos is not None:
            while ids[:1] == [bos]:
                ids = ids[1:]
            ids = [bos, *ids]
        return text if ids == engine else ids

    def _without_bos(self, text: str) -> str:
        bos = self.special.get("bos_token")
        while bos and text.startswith(bos):
            text = text.removeprefix(bos)
        return text

    def bos_id(self) -> int | None:
        """Return the id of the token that the tokenizer puts in front of every text, or that the template
        begins with.
        """
        if self.tokenizer is None:
            return None
        added: list[int] = self.tokenizer.encode("", add_special_tokens=True).ids
        bos = self.tokenizer.token_to_id(self.special.get("bos_token", ""))
        if added and (bos is None or added[0] == bos):
            return added[0] if self._is_special(added[0]) and added[0] != self._eos_id() else None
        return bos if bos is not None and self._begins_with_bos() else None

    def special_token_id(self, text: str) -> int | None:
        """Return the id of a special token that an engine leaves out of its text, so that no stop string
        can find it.
        """
        found = self.tokenizer.token_to_id(text) if self.tokenizer is not None else None
        return found if found is not None and self._is_special(found) else None

    def special_tokens(self) -> list[str]:
        """Return all texts that are special tokens, the longest first."""
        texts = set(self.special.values())
        if self.tokenizer is not None:
            added = self.tokenizer.get_added_tokens_decoder().values()
            texts |= {token.content for token in added if token.special}
        return sorted((text for text in texts if text), key=len, reverse=True)

    def _begins_with_bos(self) -> bool:
        try:
            rendered = self.render([{"role": "user", "content": "x"}])
        except TemplateRefusedError:
            return False
        bos = self.special.get("bos_token")
        return bool(bos and rendered.startswith(bos))

    def _is_special(self, number: int) -> bool:
        token = self.tokenizer.get_added_tokens_decoder().get(number) if self.tokenizer is not None else None
        return token is not None and bool(token.special)

    def _eos_id(self) -> int | None:
        eos = self.special.get("eos_token", "")
        if self.tokenizer is None or eos == self.special.get("bos_token"):
            return None
        found: int | None = self.tokenizer.token_to_id(eos)
        return found


@lru_cache(maxsize=16)
def chat_template(name: str, base: Path, revision: str | None = None, needed: bool = True) -> ChatTemplate:
    """Return the chat template of a tokenizer: a folder, from base or from here, or an id on the Hugging Face Hub.

    needed tells whether a tokenizer without a chat template is of no use.

    Raises TokenizerUnusableError.
    """
    return ChatTemplate.from_folder(tokenizer_folder(name, base, revision), needed)


def template_text(folder: Path) -> str | None:
    """Return the text of the chat template in a tokenizer's folder, if it has one. Raises TokenizerUnusableError."""
    own = folder / "chat_template.jinja"
    return (
        _text(own) if own.is_file() else choose_template(_json(folder / "tokenizer_config.json").get("chat_template"))
    )


def cached_folder(name: str, base: Path, revision: str | None = None) -> Path | None:
    """Return the folder of a tokenizer that is on this machine; None where it would have to be fetched."""
    from huggingface_hub import snapshot_download

    with suppress(TokenizerUnusableError, OSError, ValueError):
        for folder in (base / Path(name).expanduser(), Path(name).expanduser()):
            if folder.is_dir():
                return folder
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES), local_files_only=True))
    return None


def tokenizer_folder(name: str, base: Path, revision: str | None = None) -> Path:
    """Return the folder that holds a tokenizer's files, fetched from the Hub where it is not here already."""
    for folder in (base / Path(name).expanduser(), Path(name).expanduser()):
        if folder.is_dir():
            return folder
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise TokenizerUnusableError(f"there is no folder {name!r} with a tokenizer: correct the path")
    return _fetch(name, revision)


def _fetch(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    except Exception as error:  # no network, no such model, no access: each in the library's own words
        words = " ".join(str(error).split())[:300]
        raise TokenizerUnusableError(
            f"the tokenizer {name!r} is not a folder here and cannot be fetched from the Hub ({words}): name a folder "
            "that holds it, or fetch it where the Hub can be reached"
        ) from error


def compile_template(text: str) -> Template:
    """Return a chat template as transformers compiles it, in a sandbox. Raises TokenizerUnusableError."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals |= {"raise_exception": _refuse, "strftime_now": TODAY.strftime}
    try:
        return environment.from_string(text)
    except (TemplateError, RecursionError) as error:
        raise TokenizerUnusableError(
            f"the tokenizer's chat template is not a Jinja template ({error}): name another tokenizer"
        ) from error


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _refuse(words: str) -> NoReturn:
    raise TemplateError(words)


def choose_template(template: Any) -> str | None:
    """Return the template named `default` of several, or the only one."""
    if isinstance(template, list):
        both = [(one.get("name"), one.get("template")) for one in template if isinstance(one, dict)]
        named = {name: text for name, text in both if isinstance(name, str) and isinstance(text, str)}
        return named.get("default") or next(iter(named.values()), None)
    return template if isinstance(template, str) else None


def _adds_bos(config: Mapping[str, Any]) -> bool:
    """Return whether engines put a BOS in front of every text, by its settings; those of SentencePiece do unsaid."""
    configured = config.get("add_bos_token")
    return configured if isinstance(configured, bool) else str(config.get("tokenizer_class")).startswith(ADDS_BOS)


def _special(fields: Mapping[str, Any]) -> dict[str, str]:
    texts = {name: fields.get(name) for name in SPECIAL_TOKENS}
    texts = {name: text.get("content") if isinstance(text, dict) else text for name, text in texts.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise TokenizerUnusableError(f"{file} cannot be read ({error}): fetch the tokenizer again") from error


def _json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(_text(file)) if file.is_file() else {}
    except (json.JSONDecodeError, RecursionError) as error:
        raise TokenizerUnusableError(f"{file} cannot be read ({error}): fetch the tokenizer again") from error
    return data if isinstance(data, dict) else {}


def _tokenizer(folder: Path) -> Tokenizer | None:
    file = folder / "tokenizer.json"
    if not file.is_file():
        return None
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises Exception itself
        raise TokenizerUnusableError(f"{file} cannot be read ({error}): fetch the tokenizer again") from error
