"""Personal data in a text: e-mail addresses, telephone numbers, postal addresses, Japan's individual numbers.

Numbers and addresses that are made to be examples (example.com, 555-0132, 090-1234-5678, 123 Main Street) hold.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tasks.filter.keys import fold

_TRIGGER = re.compile(r"[@＠0-9０-９一二三四五六七八九]")
_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+-])([A-Za-z0-9._%+-]+)@((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24})(?![A-Za-z0-9@])")
_EXAMPLE_DOMAIN = re.compile(
    r"(?:^|\.)(?:(?:example|sample|test|yourdomain|yourcompany|domain|mycompany|company)\.\w+(?:\.\w+)?|\w+\.(?:test|example|invalid))$",
    re.IGNORECASE,
)
_DASH = "[-‐‑‒–—―−ー]"
_JAPANESE_PHONE = re.compile(
    rf"(?<![\d.+])(?<!\d{_DASH})(0\d{{1,4}}) ?(?:{_DASH}|[()]|\)) ?(\d{{1,4}}) ?(?:{_DASH}|\)) ?(\d{{3,4}})"
    rf"(?!\d)(?!{_DASH}\d)"
    r"|(?<![\d.+-])(0[789]0)(\d{4})(\d{4})(?![\d.])"
)
_JAPANESE_MOBILE_IN_BRACKETS = re.compile(r"\((0\d{1,4})\) ?(\d{1,4})[- ](\d{3,4})(?!\d)")
_INTERNATIONAL = re.compile(r"(?<![\w+])\+([1-9]\d{0,2})((?:[ .()-]{0,2}\d{1,4}){2,6})(?!\d)")
_AMERICAN = re.compile(r"(?<![\d.+-])(?:1[-. ])?\(?([2-9]\d{2})\)?[-. ]{1,2}([2-9]\d{2})[-.](\d{4})(?![\d-])")
_JAPANESE_ADDRESS = re.compile(
    r"(?:東京都|北海道|(?:京都|大阪)府|[一-鿿]{2,3}県)\s?"
    r"[一-鿿ぁ-ゖァ-ヶー]{1,12}?[市区町村郡][一-鿿ぁ-ゖァ-ヶー ]{0,20}?"
    rf"(?:[0-9一二三四五六七八九十]+(?:丁目|番地|番)|[0-9]+(?:{_DASH}[0-9]+)+)"
    rf"|〒 ?\d{{3}}{_DASH}?\d{{4}}\s?[一-鿿]{{2,}}"
)
_ENGLISH_ADDRESS = re.compile(
    r"\b(\d{1,5}[A-Z]?) (?:[NSEW]\.? )?(?:[A-Z][A-Za-z']+ ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln"
    r"|Drive|Dr|Court|Ct|Place|Pl|Way|Terrace|Close)\b\.?,? [^\n?!]{0,40}?"
    r"(?:\b[A-Z]{2},? \d{5}(?:-\d{4})?\b|\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b)"
)
_EXAMPLE_ADDRESS = re.compile(r"\b(?:123|1234) |Any ?town|Springfield|\b12345\b|Example|Fake", re.IGNORECASE)
_TWELVE = re.compile(rf"(?<![\d-])(\d{{4}})([ ]|{_DASH}|)(\d{{4}})\2(\d{{4}})(?!\d)(?!{_DASH}?\d)")
_NAMES_MY_NUMBER = re.compile(r"マイナンバー|個人番号|my number", re.IGNORECASE)


def personal_data(text: str, kinds: str | Sequence[str]) -> str | None:
    """A text must hold no personal data of the given kinds; the detail tells the kind and never the datum."""
    if not _TRIGGER.search(text):
        return None
    plain = fold(text)
    for kind in (kinds,) if isinstance(kinds, str) else kinds:
        if KINDS[kind](plain):
            return f"holds personal data: {kind}"
    return None


def _email(text: str) -> bool:
    return "@" in text and any(
        name.lower() != "git" and not _EXAMPLE_DOMAIN.search(domain) for name, domain in _EMAIL.findall(text)
    )


def _phone(text: str) -> bool:
    return _japanese_phone(text) or _international_phone(text) or _american_phone(text)


def _japanese_phone(text: str) -> bool:
    """A number of Japan's plan: 10 digits, or 11 for mobile ones; free-call and made-up numbers are nobody's."""
    for found in (*_JAPANESE_PHONE.finditer(text), *_JAPANESE_MOBILE_IN_BRACKETS.finditer(text)):
        area, *rest = (part for part in found.groups() if part)
        digits = area + "".join(rest)
        wanted = 11 if area in {"050", "070", "080", "090"} else 10
        if len(digits) == wanted and area not in {"0120", "0800", "0570", "000"} and not _made_up(digits):
            return True
    return False


def _international_phone(text: str) -> bool:
    for country, rest in _INTERNATIONAL.findall(text):
        digits = re.sub(r"\D", "", rest)
        fictional = (country == "1" and digits[:3] == "555") or "55501" in digits
        if 8 <= len(country + digits) <= 15 and len(digits) >= 7 and not fictional and not _made_up(digits):
            return True
    return False


def _american_phone(text: str) -> bool:
    return any(
        area != "555" and exchange != "555" and not _made_up(line) and area not in {"800", "888", "877"}
        for area, exchange, line in _AMERICAN.findall(text)
    )


def _made_up(digits: str) -> bool:
    """Whether digits are an example's: one digit over and over, or ending in a run such as 1234-5678."""
    tail = digits[-8:]
    return len(set(digits[-7:])) <= 1 or tail in {"12345678", "11112222", "87654321"} or digits.endswith("1234567")


def _address(text: str) -> bool:
    if _JAPANESE_ADDRESS.search(text):
        return True
    return any(not _EXAMPLE_ADDRESS.search(found[0]) for found in _ENGLISH_ADDRESS.finditer(text))


def _my_number(text: str) -> bool:
    """Twelve digits with a right check digit, in groups of four or beside the number's name."""
    for one, gap, two, three in _TWELVE.findall(text):
        digits = one + two + three
        if (gap or _NAMES_MY_NUMBER.search(text)) and len(set(digits)) > 1 and is_my_number(digits):
            return True
    return False


def is_my_number(digits: str) -> bool:
    """Whether twelve digits end in the check digit of Japan's individual numbers (Ordinance 85 of 2014, article 5)."""
    total = sum(
        int(digit) * (place + 1 if place <= 6 else place - 5)
        for place, digit in enumerate(reversed(digits[:11]), start=1)
    )
    rest = total % 11
    return int(digits[11]) == (0 if rest <= 1 else 11 - rest)


KINDS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {"email": _email, "phone": _phone, "address": _address, "my_number": _my_number}
)
"""Each kind of personal data, and whether a folded text holds some."""
