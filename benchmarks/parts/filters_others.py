"""datasketch and rensa, used plainly, on a file of texts, one a line; run by the interpreter of a venv that has them.

`python benchmarks/parts/filters_others.py datasketch texts.txt` needs nothing of this project.
"""

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path

PERMUTATIONS = 128
SEED = 1


def ngrams(text: str, size: int) -> set[str]:
    """Return the set of a text's character n-grams."""
    return {text[start : start + size] for start in range(max(1, len(text) - size + 1))}


def datasketch(texts: Iterable[str], threshold: float, size: int) -> int:
    """Return how many texts datasketch keeps: each is asked for in the index, and put there if nothing
    alike is in it.
    """
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
    kept = 0
    for number, text in enumerate(texts):
        signature = MinHash(num_perm=PERMUTATIONS, seed=SEED)
        signature.update_batch([gram.encode() for gram in ngrams(text, size)])
        if not index.query(signature):
            index.insert(number, signature, check_duplication=False)
            kept += 1
    return kept


def rensa(texts: Iterable[str], threshold: float, size: int) -> int:
    """Return how many texts rensa keeps, by its own deduplicator with an index."""
    from rensa import RMinHash, RMinHashDeduplicator

    deduplicator = RMinHashDeduplicator(threshold, PERMUTATIONS, True, seed=SEED)
    kept = 0
    for number, text in enumerate(texts):
        signature = RMinHash(PERMUTATIONS, SEED)
        signature.update(list(ngrams(text, size)))
        kept += bool(deduplicator.add(str(number), signature))
    return kept


def datasketch_signatures(texts: Iterable[str], size: int) -> None:
    """Make the signatures alone."""
    from datasketch import MinHash

    for text in texts:
        MinHash(num_perm=PERMUTATIONS, seed=SEED).update_batch([gram.encode() for gram in ngrams(text, size)])


def rensa_signatures(texts: Iterable[str], size: int) -> None:
    """Make the signatures alone."""
    from rensa import RMinHash

    for text in texts:
        RMinHash(PERMUTATIONS, SEED).update(list(ngrams(text, size)))


SIGNATURES = {"datasketch": datasketch_signatures, "rensa": rensa_signatures}
LIBRARIES = {"datasketch": datasketch, "rensa": rensa}


def peak() -> int:
    """Return the most memory that this process has held since it began, in MB (Linux); not what its parent held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main() -> None:
    """Measure one library on one file, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("texts")
    parser.add_argument("--near", type=float, default=0.7)
    parser.add_argument("--shingle", type=int, default=3)
    arguments = parser.parse_args()
    with open(arguments.texts, encoding="utf-8") as file:
        texts = file.read().splitlines()
    started, used = time.perf_counter(), time.process_time()
    kept = LIBRARIES[arguments.library](texts, arguments.near, arguments.shingle)
    seconds, spent = time.perf_counter() - started, time.process_time() - used
    used = time.process_time()
    SIGNATURES[arguments.library](texts, arguments.shingle)
    figures = {
        "texts": len(texts),
        "kept": kept,
        "seconds": round(seconds, 1),
        "CPU seconds": round(spent, 1),
        "CPU seconds of signatures": round(time.process_time() - used, 1),
        "peak memory, MB": peak(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
