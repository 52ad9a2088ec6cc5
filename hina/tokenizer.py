"""The tokenizer: a BPE with byte fallback, single digits, and a token for each fixed block of the judge prompts."""

import json
import random
import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from kasasagi.hina.corpus import Segment, dialogue, draw_question, judgement
from kasasagi.hina.world.family import LANGS
from kasasagi.tasks.judge.prompt import judge_prompt

SPECIALS = ["<pad>", "<s>", "<|end|>", "<unk>", "<|system|>", "<|user|>", "<|assistant|>"]
PIECES = (
    r"(?<=\[)[0-9a-f]{6}| ?[0-9a-f]{6}(?=\])|\d| ?[A-Za-z]+"
    r"|[ぁ-んァ-ヶー一-龠々]+|\n| ?[^\sA-Za-z0-9ぁ-んァ-ヶー一-龠々]|\s"
)
SHORTEST_BLOCK, MOST_TEXTS = 5, 4
CHAT_TEMPLATE = (
    "<s>{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def fixed_blocks() -> list[str]:
    """Return every piece of the judge's prompts and replies that never varies, line breaks and text numbers
    included.
    """
    found: dict[str, None] = {}
    hole = "\0"
    for lang in LANGS:
        prompt = judge_prompt(lang, bundled=True)
        texts = [hole] * MOST_TEXTS
        for name in prompt.aspects:
            aspect = prompt.aspects[name]
            user = prompt.user.render(count=hole, aspect=aspect, instruction=hole, texts=texts, mark=hole)
            found |= dict.fromkeys(piece.strip("[]") for piece in [prompt.system, *user.split(hole)])
        labels = prompt.labels
        found |= {
            f"{labels['section'].format(number=n)}\n{labels['rationale']}": None for n in range(1, MOST_TEXTS + 1)
        }
        found[f"\n{labels['rating']} "] = None
    return [piece for piece in found if len(piece.strip()) >= SHORTEST_BLOCK]


def sample_texts(seed: int, dialogues: int, judgements: int) -> Iterator[str]:
    """Texts from the corpus to train the tokenizer on, and every pair of hexadecimal digits as fences hold them."""
    rng = random.Random(seed)
    texts = (dialogue(rng) for _ in range(dialogues))
    replies = (judgement(rng, draw_question(rng))[0 if n % 10 == 0 else 1 :] for n in range(judgements))
    for example in (*texts, *replies):
        yield from (re.sub(r"<[^>]*>", "", text) for text, _ in example)
    pairs = [f"{number:02x}" for number in range(256)]
    for shift in range(60):
        yield from (f"[{a}{b}{c}\n" for a, b, c in zip(pairs, pairs[shift:], pairs[2 * shift :], strict=False))


def train_tokenizer(seed: int, size: int, dialogues: int = 30_000, judgements: int = 4_000) -> Tokenizer:
    """Return a tokenizer of `size` tokens, the same for the same seed."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Split(Regex(PIECES), "isolated")
    fixed = fixed_blocks()
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    room = size - len(SPECIALS) - len(bytes_) - len(fixed)
    trainer = trainers.BpeTrainer(vocab_size=room, min_frequency=2, show_progress=False)
    learner.train_from_iterator(sample_texts(seed, dialogues, judgements), trainer)
    learnt = json.loads(learner.to_str())["model"]
    words = sorted(learnt["vocab"], key=learnt["vocab"].__getitem__)
    vocabulary = {token: number for number, token in enumerate([*SPECIALS, *bytes_, *words])}
    merges = [tuple(pair) for pair in learnt["merges"]]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = learner.pre_tokenizer
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIALS])
    tokenizer.add_tokens([AddedToken(piece, normalized=False, special=False) for piece in fixed])
    spare = [f"<|spare{number}|>" for number in range(size - tokenizer.get_vocab_size())]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in spare])
    return tokenizer


def encode(tokenizer: Tokenizer, segments: list[Segment]) -> tuple[list[int], list[float]]:
    """Return the token ids of an example and the weight of each in the loss: that of the segment in which it begins."""
    encoding = tokenizer.encode("".join(text for text, _ in segments), add_special_tokens=False)
    ends = list(accumulate(len(text) for text, _ in segments))
    weights = [segments[bisect_right(ends, start)][1] for start, _ in encoding.offsets]
    return encoding.ids, weights
