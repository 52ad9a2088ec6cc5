"""The beginnings of prompts that a server has read and keeps, in blocks, as vLLM and hosted models do."""

import zlib
from collections import OrderedDict
from collections.abc import Iterator

from tests.fake_server.answers import prompt_tokens
from tests.fake_server.asks import Sample

BLOCK = 64
"""The characters of a block: about sixteen tokens of English."""


class PrefixCache:
    """So many blocks of the prompts that were asked last; a block counts only behind all blocks before it."""

    def __init__(self, blocks: int) -> None:
        self._most = blocks
        self._kept: OrderedDict[int, None] = OrderedDict()

    def known_tokens(self, sample: Sample) -> int:
        """About how many tokens of a prompt need not be read again."""
        if not self._most:
            return 0
        text, known = _text(sample), 0
        for block in _blocks(text):
            if block not in self._kept:
                break
            known += BLOCK
        return prompt_tokens(sample) * known // max(1, len(text))

    def keep(self, sample: Sample) -> None:
        """Keep the blocks of a prompt, in place of those that were not asked for longest."""
        for block in _blocks(_text(sample)) if self._most else ():
            self._kept[block] = None
            self._kept.move_to_end(block)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


def _text(sample: Sample) -> str:
    if isinstance(sample.prompt, list) and isinstance(sample.prompt[0], dict):
        return "".join(f"<|{turn['role']}|>{turn['content']}" for turn in sample.prompt)
    return str(sample.prompt)


def _blocks(text: str) -> Iterator[int]:
    """A number for each whole block of a text, that depends on all of the text before it, too."""
    number = 0
    for start in range(0, len(text) - BLOCK + 1, BLOCK):
        number = hash((number, zlib.crc32(text[start : start + BLOCK].encode())))
        yield number
