"""What spares the judge's reader a slow search never changes what the search would find."""

import random

import pytest

from kasasagi.tasks.judge.replies import lines, remarks
from kasasagi.tasks.judge.replies.rating_words import RatingScale

TEXT = (
    "lower smaller less is means = better the text scale opposite reversed inverted upside 1 5 10 best worst , the , :"
    " . ! ? - says reads and quote follows I claim of a: last words say- 低い ほど 良い 逆 の 尺度 スケール 最高 が"
    " 以下 と ** *a* `b` \uff1a\uff11 the_scale"
)
WORDS = TEXT.split()
SCALES = (RatingScale(1, 5, False), RatingScale(1, 10, False), RatingScale(0, 7, False))


def line(generator: random.Random) -> str:
    return " ".join(generator.choices(WORDS, k=generator.randint(1, 7)))


@pytest.mark.parametrize("seed", range(4))
def test_a_line_turns_the_scale_exactly_where_a_pattern_finds_it(seed: int) -> None:
    generator, found = random.Random(seed), 0
    for _ in range(3_000):
        plain, scale = remarks._plain(line(generator)), generator.choice(SCALES)
        wanted = bool(remarks._TURNED_SCALE.search(plain) or remarks._ends(scale).search(plain))
        assert remarks._turns(plain, scale) is wanted, plain
        found += wanted
    assert found > 30


@pytest.mark.parametrize("seed", range(4))
def test_a_line_announces_exactly_where_the_pattern_finds_it(seed: int) -> None:
    generator, found = random.Random(seed), 0
    for _ in range(3_000):
        raw = f"Rationale: {line(generator)}"
        plain = lines.EMPHASIS.sub("", raw[-lines.HEAD_CHARS :].translate(lines.PLAIN))
        assert lines.without_marks(raw[-lines.HEAD_CHARS :]) == plain
        wanted = lines._OPEN_END.search(plain.rstrip().lower()) is not None
        assert lines.announces([raw]) is wanted, raw
        found += wanted
    assert found > 300
