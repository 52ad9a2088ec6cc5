"""The label sets of tags: Magpie's (arXiv 2406.08464), with Llama Guard 2's hazards for safety, as Magpie has them."""

from collections.abc import Mapping
from typing import Literal

Kind = Literal["category", "quality", "difficulty", "language", "safety"]
KINDS: tuple[Kind, ...] = ("category", "quality", "difficulty", "language", "safety")
_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et
eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk
kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny
oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk
tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
LANGUAGES = frozenset(_CODES.split())
"""The two-letter codes of ISO 639-1."""
SCALES: Mapping[str, tuple[str, ...]] = {
    "quality": ("very poor", "poor", "average", "good", "excellent"),
    "difficulty": ("very easy", "easy", "medium", "hard", "very hard"),
}
"""Label sets that have an order, from the least to the most."""
LABELS: Mapping[Kind, tuple[str, ...]] = {
    "category": (
        "Information seeking",
        "Reasoning",
        "Planning",
        "Editing",
        "Coding & Debugging",
        "Math",
        "Role playing",
        "Data analysis",
        "Creative writing",
        "Advice seeking",
        "Brainstorming",
        "Others",
    ),
    "quality": SCALES["quality"],
    "difficulty": SCALES["difficulty"],
    "language": tuple(sorted(LANGUAGES)),
    "safety": (
        "safe",
        "violent crimes",
        "non-violent crimes",
        "sex-related crimes",
        "child sexual exploitation",
        "specialized advice",
        "privacy",
        "intellectual property",
        "indiscriminate weapons",
        "hate",
        "suicide & self-harm",
        "sexual content",
    ),
}
"""Every label of each kind, as it stands in a column."""
