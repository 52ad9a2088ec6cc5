"""What the clauses of a Japanese sentence are about: the words before the particles は, が and も."""

import re
from collections.abc import Iterator

_PARTICLE = re.compile(
    r"(?P<topic>[^、。，．！？!?\s「」『』（）()]{1,24}?(?<=[一-鿿々〆ァ-ヺーa-zA-Zａ-ｚＡ-Ｚ0-9０-９」』たちさんみなれのときちゃろこい頃]))"
    r"(?:に|で|から)?(?:は|が(?!い|ら|る|り|っ)|も(?!の|ら|う|っと|し))"
)


def topics(clause: str) -> Iterator[str]:
    """Yield the words that stand before a particle of a subject or topic, each since the particle before it."""
    for found in _PARTICLE.finditer(clause):
        yield found["topic"]
