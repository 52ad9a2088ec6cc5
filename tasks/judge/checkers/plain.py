"""Texts made plain before they are read: full-width signs, superscripts, Markdown and LaTeX wrappers."""

import re
import unicodedata

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SUPERSCRIPT = re.compile(r"[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_VULGAR = re.compile(r"(?P<whole>\d)?(?P<sign>[¼-¾⅐-⅞])")
_CIRCLED = re.compile(r"[①-⑳]")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060\ufe0e\ufe0f\ufeff]")
_MINUS = re.compile(r"[−‐‑‒➖]")
_STRONG = re.compile(r"(?<![A-Za-z0-9)])(\*\*|__)(?=[^\s*_])(.{1,300}?)(?<=[^\s*_])\1(?![A-Za-z0-9(])")
_EMPHASIS = re.compile(r"(?<![\w*)])\*(?=[^\s*])([^*\n]{1,300}?)(?<=[^\s*])\*(?![\w*(])")
_CODE = re.compile(r"`([^`\n]{0,300})`")
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|textit|mathit|textrm|operatorname|mbox|rm)\s*\{([^{}]{0,300})\}")
_MATH = re.compile(
    r"\$\$([^$]{1,500})\$\$|(?<!\\)\$(?=\S)([^$\n]{1,300})(?<=\S)\$(?!\d)|\\\((.{1,300}?)\\\)|\\\[(.{1,500}?)\\\]",
    re.DOTALL,
)
_SPACING = re.compile(r"\\[,;:! ]|\\q?quad\b|(?<=\S)~(?=\S)")
_SIMPLE = {
    "\\left": "",
    "\\right": "",
    "\\dfrac": "\\frac",
    "\\tfrac": "\\frac",
    "\\cfrac": "\\frac",
    "\\times": "×",
    "\\cdot": "·",
    "\\div": "÷",
    "\\%": "%",
    "\\$": "$",
    "\\approx": "≈",
    "\\degree": "°",
    "^{\\circ}": "°",
    "^\\circ": "°",
    "{,}": ",",
    "\\displaystyle": "",
}
_COMMAND = re.compile("|".join(re.escape(key) + (r"(?![A-Za-z])" if key[-1].isalpha() else "") for key in _SIMPLE))


def plain(text: str) -> str:
    """Return a text with half-width signs, superscripts as `^2`, and without emphasis and invisible signs."""
    text = _INVISIBLE.sub("", text)
    text = _SUPERSCRIPT.sub(lambda found: "^{" + found[0].translate(_SUPERSCRIPTS) + "}", text)
    text = _VULGAR.sub(_vulgar, text)
    text = _CIRCLED.sub(lambda found: f"({unicodedata.numeric(found[0]):.0f})", text)
    text = _MINUS.sub("-", unicodedata.normalize("NFKC", text)).replace("∕", "/").replace("⁄", "/")
    return without_markdown(text)


def _vulgar(found: re.Match[str]) -> str:
    share = unicodedata.normalize("NFKC", found["sign"]).replace("⁄", "/")
    return f"{found['whole']} {share}" if found["whole"] else share


def without_markdown(text: str) -> str:
    """Return a text without the marks of emphasis and code around its words."""
    text = _STRONG.sub(r"\2", text)
    return _CODE.sub(r"\1", _EMPHASIS.sub(r"\1", text))


def without_latex(text: str) -> str:
    """Return a text whose LaTeX is reduced to what has a meaning: wrappers and spacing go, fractions stay."""
    text = _MATH.sub(lambda found: f" {next(part for part in found.groups() if part is not None)} ", text)
    for _ in range(3):
        text = _TEXT.sub(r" \1 ", text)
    text = _COMMAND.sub(lambda found: _SIMPLE[found[0]], text)
    return " ".join(_SPACING.sub(" ", text).split())


def braced(text: str, start: int) -> str | None:
    """Return what stands between the brace at a place and the one that closes it, None where none does."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start + 1 : place]
    return None
