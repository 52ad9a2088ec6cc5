"""A target of pairs: in which blocks prompts are answered, how many of them it takes, and which pairs are kept."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

from kasasagi.blocks.workspace.runs import Run
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.format_dpo.stage import FORMAT_DPO
from kasasagi.tasks.synthesize.counting import estimate_tries

SMALLEST_BLOCK = 64
BLOCKS_BEFORE_GROWTH = 64
PAIRS_THAT_TELL = 10
"""From so many pairs on their yield is trusted, since each prompt too many is paid for."""
GROWTH = 4
PLANNED_PROMPTS_FOR_A_PAIR = 4
"""Prompts for each pair in a plan, as long as no yield is known: fewer pairs would fail the default gate."""


def blocks() -> Iterator[range]:
    """Yield the places of the prompts of each block, in their order.

    A block depends on no target and no yield, so that a higher target only adds blocks and each block has equal pairs.
    """
    start = 0
    while True:
        stop = start + max(SMALLEST_BLOCK, start // BLOCKS_BEFORE_GROWTH)
        yield range(start, stop)
        start = stop


def blocks_between(wave: range) -> dict[int, range]:
    """Return the blocks of a wave by their numbers; it begins with a block, and its last one may be cut short."""
    begun = takewhile(lambda block: block[1].start < wave.stop, enumerate(blocks()))
    return {number: range(block.start, min(block.stop, wave.stop)) for number, block in begun if block.start in wave}


def block_end(prompts: int) -> int:
    """Return where the block ends that reaches so many prompts."""
    return next(block.stop for block in blocks() if block.stop >= prompts)


def whole_blocks(prompts: int) -> int:
    """Return how many of some prompts lie in blocks that are full."""
    return next(block.start for block in blocks() if block.stop > prompts)


@dataclass(frozen=True, slots=True)
class PairsMade:
    """The chunks of pairs that a run has, in the order of their prompts."""

    chunks: Sequence[Handle]

    @classmethod
    def of(cls, run: Run) -> "PairsMade":
        """Return the chunks of a run so far."""
        handles = [one.handle for one in run.handles() if one.handle.stage == FORMAT_DPO.name]
        return cls(sorted(handles, key=lambda handle: handle.chunk))

    @property
    def pairs(self) -> list[int]:
        """How many pairs each chunk has."""
        return [one.shards["pairs"].rows if "pairs" in one.shards else 0 for one in self.chunks]

    @property
    def prompts(self) -> int:
        """How many prompts they were made of."""
        return sum(one.account.rows_in for one in self.chunks)

    def prompts_wanted(self, target: int | None, taken: int) -> int:
        """Return where the next wave of prompts ends, `taken` where the pairs suffice.

        The first wave is the scout, one block, since only its yield tells how many prompts the target takes; as long
        as few pairs tell it, a wave is a few times what was taken.
        """
        pairs = sum(self.pairs)
        if target is None or pairs >= target:
            return taken
        if not taken:
            return block_end(1)
        most = math.inf if pairs >= PAIRS_THAT_TELL else taken * GROWTH
        return block_end(int(min(estimate_tries(target, taken, pairs), most)))

    def prompts_planned(self, target: int | None) -> int:
        """Return how many prompts a plan counts: an upper estimate, by the yield of these chunks if there are any."""
        if target is None:
            return 0
        if not self.prompts:
            return block_end(target * PLANNED_PROMPTS_FOR_A_PAIR)
        return block_end(estimate_tries(target, self.prompts, sum(self.pairs)))

    def surplus(self, target: int | None) -> list[tuple[Handle, int]]:
        """Return the chunks with pairs beyond a target, each with how many it keeps; the earliest pairs are kept."""
        kept = pairs_kept(target, self.pairs)
        return [(one, most) for one, most in zip(self.chunks, kept, strict=True) if most is not None]

    def shortage(self, target: int | None, why: str) -> str | None:
        """Return in a sentence that there are fewer pairs than a target, and why; None where there are enough."""
        pairs = sum(self.pairs)
        if target is None or pairs >= target:
            return None
        return f"only {pairs:,} of {target:,} pairs were made: all {self.prompts:,} {why}"


def pairs_kept(target: int | None, made: Sequence[int]) -> list[int | None]:
    """Return how many of its pairs each chunk keeps; None where it keeps all of them.

    Args:
        target: How many pairs are wanted, the earliest ones; None if all are.
        made: How many pairs each chunk has, in the order of the prompts.
    """
    if target is None:
        return [None] * len(made)
    before = accumulate(made, initial=0)
    left = [max(0, target - earlier) for earlier in before]
    return [None if count <= most else most for count, most in zip(made, left, strict=False)]
