"""Encodings of text files: whether a file is UTF-8, and which encoding is the likely one where it is not."""

import codecs
from collections.abc import Mapping, Sequence

from kasasagi.tasks.load.config import SourceError
from kasasagi.tasks.load.files.locate import DataLocation

_SHOWN_CHARACTERS = 40
_GUESSED_BYTES = 64 << 10
_LIKELY_SHARE = 0.6
_WIDE_SHARE, _WIDE_LINES = 0.2, 3
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ISO2022_JP = (b"\x1b$B", b"\x1b$@")
_SCRIPTS: Mapping[str, frozenset[str]] = {
    "cp932": frozenset({"kana", "han"}),
    "euc_jp": frozenset({"kana", "han"}),
    "cp949": frozenset({"hangul"}),
    "gb18030": frozenset({"han"}),
    "cp1251": frozenset({"cyrillic"}),
    "cp1252": frozenset({"latin"}),
}
"""The encodings that are tried, of equally good ones the first, and the scripts that texts in them are written in."""
_RANGES = (
    ("latin", 0xC0, 0xFF),
    ("latin", 0x152, 0x17E),
    ("cyrillic", 0x401, 0x401),
    ("cyrillic", 0x410, 0x451),
    ("quote", 0x2013, 0x2026),
    ("han", 0x3001, 0x3011),
    ("kana", 0x3041, 0x30FF),
    ("han", 0x4E00, 0x9FFF),
    ("hangul", 0xAC00, 0xD7A3),
    ("han", 0xFF01, 0xFF5E),
)


def is_utf8(data: bytes) -> bool:
    """Say whether some bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def guess(data: bytes) -> str | None:
    """Return the encoding under which bytes that are not UTF-8 read as a text; None where none is likely.

    An encoding is as likely as the share of non-ASCII characters that are of its scripts and stand as letters do
    there: 舖 in "K舖e" is a Chinese character, but alone among Latin letters. Libraries that guess encodings need
    longer texts: charset-normalizer 3.5 takes short EUC-JP for cp949, and short Latin-1 for UTF-16.
    """
    if data.startswith(_UTF16):
        return "utf-16"
    if (wide := _wide(data)) is not None:
        return wide
    if any(mark in data for mark in _ISO2022_JP):
        return "iso2022_jp"
    shares = {encoding: _share_at_home(data[:_GUESSED_BYTES], encoding) for encoding in _SCRIPTS}
    best = max(shares, key=lambda encoding: shares[encoding])
    return best if shares[best] >= _LIKELY_SHARE else None


def remedy(data: bytes) -> str:
    """Say which encoding a recipe should name for bytes that are not UTF-8, and how they read in it."""
    encoding = guess(data)
    if encoding is None:
        return "set encoding to the one that it is written in, or save it as UTF-8"
    text = data.decode(encoding, "replace").strip().lstrip("\ufeff")
    start = next((place for place, character in enumerate(text) if not character.isascii()), 0)
    shown = text[max(0, start - 10) :].split("\n")[0][:_SHOWN_CHARACTERS].strip()
    return f"set encoding, for example encoding: {encoding}, in which it reads {shown!r}"


def misread(data: bytes, encoding: str | None) -> str:
    """Say what to do about a row with bytes that are not text in the encoding that the recipe names, else UTF-8."""
    if encoding is not None:
        return f"it is not {encoding}; correct source.encoding, or fix the row"
    return f"it is not UTF-8; {remedy(data)}"


def check_encoding(head: bytes, place: DataLocation) -> None:
    """Refuse a csv file that is not UTF-8 as a whole; single lines that are not, or have a NUL, are quarantined.

    Raises:
        SourceError: If it is in another encoding, with the likely one.
    """
    if _is_marked(head) or _wide(head):
        raise SourceError(f"{place.file} is not UTF-8 (line 1): {remedy(head)}")
    lines = head.split(b"\n")
    whole = lines[:-1] or lines
    broken = [line for line in whole if not is_utf8(line)]
    if 2 * len(broken) > sum(bool(line.strip()) for line in whole):
        number = whole.index(broken[0]) + 1
        raise SourceError(f"{place.file} is not UTF-8 (line {number}): {remedy(_joined(broken))}")


def check_json_encoding(head: bytes, place: DataLocation) -> None:
    """Refuse a jsonl or json file that is UTF-16 or ISO-2022-JP; of another encoding, each row has its own reason.

    Raises:
        SourceError: If it is in another encoding, with the likely one.
    """
    if _is_marked(head) or (head[:2].count(0) == 1 and head[:2].strip(b"\x00") in (b"{", b"[")):
        raise SourceError(f"{place.file} is not UTF-8 (line 1): {remedy(head)}")


def _wide(data: bytes) -> str | None:
    """Return UTF-16 without a mark where NULs are a good share of one side, or beside each of several line ends."""
    lines = data.count(b"\n")
    for encoding, side, end in (("utf-16-le", data[1::2], b"\n\x00"), ("utf-16-be", data[::2], b"\x00\n")):
        if side.count(0) > _WIDE_SHARE * len(side) or (lines >= _WIDE_LINES and data.count(end) == lines):
            return encoding
    return None


def _is_marked(head: bytes) -> bool:
    return head.startswith(_UTF16) or any(mark in head for mark in _ISO2022_JP)


def _joined(lines: Sequence[bytes]) -> bytes:
    return b"\n".join(lines[:1000])


def _share_at_home(data: bytes, encoding: str) -> float:
    """Return the share of the non-ASCII characters that read as letters of the encoding's scripts; 0 for invalid."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(data) - 4 or len(data) < _GUESSED_BYTES:
            return 0.0
        text = data[: error.start].decode(encoding)
    scripts = [_script(character) for character in text]
    foreign = [place for place, script in enumerate(scripts) if script not in (None, "ascii")]
    if not foreign:
        return 0.0
    share = sum(_is_at_home(scripts, place, encoding) for place in foreign) / len(foreign)
    return share if encoding != "euc_jp" or "kana" in scripts else share / 2


def _is_at_home(scripts: Sequence[str | None], place: int, encoding: str) -> bool:
    home, near = _SCRIPTS[encoding], {*scripts[max(0, place - 1) : place], *scripts[place + 1 : place + 2]}
    if encoding == "cp1252":
        return scripts[place] in ("latin", "quote") and "ascii" in near
    return scripts[place] in home and ("ascii" not in near or bool(near & home))


def _script(character: str) -> str | None:
    """Return the script of a character: ascii for its letters, None for its other signs, "other" for rare ones."""
    if character.isascii():
        return "ascii" if character.isalpha() else None
    return next((name for name, first, last in _RANGES if first <= ord(character) <= last), "other")
