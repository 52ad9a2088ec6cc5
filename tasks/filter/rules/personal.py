"""Personal data in a text: e-mail addresses, telephone numbers, postal addresses, Japan's individual numbers.

Numbers and addresses that are made to be examples (example.com, 555-0132, 090-1234-5678, 123 Main Street) hold.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from kasasagi.tasks.filter.duplicates.keys import fold
from kasasagi.tasks.text.patterns import lazy_pattern

_TRIGGER = lazy_pattern(r"[@＠0-9０-９一二三四五六七八九]")
_EMAIL = lazy_pattern(r"(?<![A-Za-z0-9._%+-])([A-Za-z0-9._%+-]+)@((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24})(?![A-Za-z0-9@])")
_EXAMPLE_DOMAIN = lazy_pattern(
    r"(?:^|\.)(?:(?:example|sample|test|yourdomain|yourcompany|domain|mycompany|company)\.\w+(?:\.\w+)?|\w+\.(?:test|example|invalid))$",
    re.IGNORECASE,
)
_DASH = "[-‐‑‒–—―−ー]"
_JAPANESE_PHONE = lazy_pattern(
    rf"(?<![\d.+])(?<!\d{_DASH})(0\d{{1,4}}) ?(?:{_DASH}|[()]|\)) ?(\d{{1,4}}) ?(?:{_DASH}|\)) ?(\d{{3,4}})"
    rf"(?!\d)(?!{_DASH}\d)"
    r"|(?<![\d.+-])(0[789]0)(\d{4})(\d{4})(?![\d.])"
)
_JAPANESE_MOBILE_IN_BRACKETS = lazy_pattern(r"\((0\d{1,4})\) ?(\d{1,4})[- ](\d{3,4})(?!\d)")
_INTERNATIONAL = lazy_pattern(r"(?<![\w+])\+([1-9]\d{0,2})((?:[ .()-]{0,2}\d{1,4}){2,6})(?!\d)")
_AMERICAN = lazy_pattern(r"(?<![\d.+-])(?:1[-. ])?\(?([2-9]\d{2})\)?[-. ]{1,2}([2-9]\d{2})[-.](\d{4})(?![\d-])")
_ALONE_BEFORE, _ALONE_BEHIND = r"(?<![\d.,+-])(?<!\d )", r"(?! ?[-+*/=×÷|]? ?\d|[.,]\d)"
_MOBILE_WITH_BLANKS = lazy_pattern(rf"{_ALONE_BEFORE}(0[5789]0) (\d{{4}}) (\d{{4}}){_ALONE_BEHIND}")
_JAPANESE_WITH_BLANKS = lazy_pattern(rf"{_ALONE_BEFORE}(0[1-9]\d{{0,3}}) (\d{{1,4}}) (\d{{4}}){_ALONE_BEHIND}")
_AMERICAN_WITH_BLANKS = lazy_pattern(
    rf"{_ALONE_BEFORE}(?:1 )?(?:([2-9]\d{{2}})|\(([2-9]\d{{2}})\)) ([2-9]\d{{2}}) (\d{{4}}){_ALONE_BEHIND}"
)
_TELLS_OF_A_PHONE = lazy_pattern(
    r"(?:(?<![A-Za-z])(?:call|(?:tele)?phone|tel|fax|mobile|cell|whatsapp|dial|contact|reach|(?:ring|text) (?:me|us|him"
    r"|her|them)|(?:my|our|his|her|their|your) number)(?![A-Za-z])|電話|携帯|連絡先|ファックス"
    r"|(?:私|僕|俺|彼|彼女|店|会社)の番号)[^\d?!。(]{0,25}\Z",
    re.IGNORECASE,
)
_THEN_A_PHONE = lazy_pattern(r"[^\d。]{0,6}(?:お?電話|ご?連絡|コール)")
_PLACE = "一-鿿々ぁ-ゖァ-ヶー"
_KANJI_NUMBER = "[一二三四五六七八九十]+"
_YEAR = r"(?:19|20)\d\d"
_COUNTED = (
    "年|月|日(?!本)|時|分|秒|週|泊|人(?!形)|名|個|つ|文(?![化京])|行|段落|代|歳|才|回|倍|件|[かヶカヵ箇]所|店|軒|本(?![社店町館])|枚|冊|点|位|度|割|%|パーセント"
    "|円|万|億|千(?!代)|字|世紀|曲|品|種|通り|階| ?km| ?キロ|LDK"
)
_JAPANESE_ADDRESS = lazy_pattern(
    r"(?:東京都|北海道|(?:京都|大阪)府|[一-鿿]{2,3}県)\s?"
    rf"[{_PLACE}]{{1,12}}?[区市町村郡](?P<town>[{_PLACE} ]{{0,20}}?)"
    rf"(?:{_KANJI_NUMBER}(?:丁目|番地|番(?:[0-9]+|{_KANJI_NUMBER})号)"
    r"|[0-9]+(?:丁目|番地|番(?![目線組系街人手]|出口|ホーム|乗り場|のりば|札所))"
    rf"|(?!{_YEAR}{_DASH}(?:{_YEAR}(?!\d)|[0-9]+{_DASH}))[0-9]+{_DASH}[0-9]+(?:(?:{_DASH}[0-9]+)+|(?![0-9]|{_COUNTED})))"
)
_POSTAL_CODE = lazy_pattern(rf"〒 ?\d{{3}}{_DASH}?\d{{4}}\s?[一-鿿]{{2,}}")
# A particle is followed by something else than hiragana; names such as はるひ野, のぞみ野 and 霞が関 are none.
_IS_NO_TOWN = lazy_pattern(
    r"(?:^|[区町村])[のにではがをとへもや](?![ぁ-ゖ])|^(?:では|には|とは|での|への|でも|にも|における|にある|について|として)"
    r"|を|[一-鿿々ァ-ヶー][でにはへと](?![ぁ-ゖ])"
    r"|(?:(?<![ぁ-ゖ])[がのもや]|から|まで|より|ついて|して|ある|ける|など|ほど) ?$"
)
_ENGLISH_ADDRESS = lazy_pattern(
    r"\b(\d{1,5}[A-Z]?) (?:[NSEW]\.? )?(?:[A-Z][A-Za-z']+ ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln"
    r"|Drive|Dr|Court|Ct|Place|Pl|Way|Terrace|Close)\b\.?,? [^\n?!]{0,40}?"
    r"(?:\b[A-Z]{2},? \d{5}(?:-\d{4})?\b|\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b)"
)
_EXAMPLE_ADDRESS = lazy_pattern(r"\b(?:123|1234) |Any ?town|Springfield|\b12345\b|Example|Fake", re.IGNORECASE)
_TWELVE = lazy_pattern(rf"(?<![\d-])(\d{{4}})([ ]|{_DASH}|)(\d{{4}})\2(\d{{4}})(?!\d)(?!{_DASH}?\d)")
_NAMES_MY_NUMBER = lazy_pattern(r"マイナンバー|個人番号|my number", re.IGNORECASE)


def personal_data(messages: Sequence[Mapping[str, str]], kinds: str | Sequence[str]) -> str | None:
    """Reject a dialogue with personal data of the given kinds in a turn or the system message.

    The detail tells the kind and never the datum.
    """
    wanted = (kinds,) if isinstance(kinds, str) else kinds
    for message in messages:
        kind = _kind_in(message["content"], wanted)
        if kind is not None:
            return f"contains personal data: {kind}"
    return None


def _kind_in(text: str, kinds: Sequence[str]) -> str | None:
    """Return the first of some kinds of personal data that a text holds."""
    if not _TRIGGER.search(text):
        return None
    plain = fold(text)
    return next((kind for kind in kinds if KINDS[kind](plain)), None)


def _email(text: str) -> bool:
    return "@" in text and any(
        name.lower() != "git" and not _EXAMPLE_DOMAIN.search(domain) for name, domain in _EMAIL.findall(text)
    )


def _phone(text: str) -> bool:
    return _japanese_phone(text) or _international_phone(text) or _american_phone(text)


def _japanese_phone(text: str) -> bool:
    """Return a number of Japan's plan: 10 digits, or 11 for mobile ones; free-call and made-up numbers are nobody's."""
    plain = (_JAPANESE_PHONE, _JAPANESE_MOBILE_IN_BRACKETS, _MOBILE_WITH_BLANKS)
    anywhere = (found for pattern in plain for found in pattern.finditer(text))
    for found in (*anywhere, *_spoken_of(_JAPANESE_WITH_BLANKS, text)):
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
    bare = _spoken_of(_AMERICAN_WITH_BLANKS, text)
    in_brackets = (found for found in _AMERICAN_WITH_BLANKS.finditer(text) if found[2])
    for found in (*_AMERICAN.finditer(text), *bare, *in_brackets):
        area, exchange, line = (part for part in found.groups() if part)
        if "555" not in (area, exchange) and not _made_up(line) and area not in {"800", "888", "877"}:
            return True
    return False


def _spoken_of(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Yield where a pattern is found beside words of telephoning; elsewhere such numbers are a table's or a sum's."""
    for found in pattern.finditer(text):
        before = text[max(0, found.start() - 45) : found.start()]
        if _TELLS_OF_A_PHONE.search(before) or _THEN_A_PHONE.match(text, found.end()):
            yield found


def _made_up(digits: str) -> bool:
    """Return whether digits are an example's: one digit over and over, or ending in a run such as 1234-5678."""
    tail = digits[-8:]
    return len(set(digits[-7:])) <= 1 or tail in {"12345678", "11112222", "87654321"} or digits.endswith("1234567")


def _address(text: str) -> bool:
    if _POSTAL_CODE.search(text):
        return True
    start = 0
    while found := _JAPANESE_ADDRESS.search(text, start):
        if not _IS_NO_TOWN.search(found["town"]):
            return True
        start = found.start() + 1  # an address may stand within what only looked like one
    return any(not _EXAMPLE_ADDRESS.search(found[0]) for found in _ENGLISH_ADDRESS.finditer(text))


def _my_number(text: str) -> bool:
    """Twelve digits with a right check digit, in groups of four joined by hyphens or beside the number's name."""
    for one, gap, two, three in _TWELVE.findall(text):
        digits = one + two + three
        if (gap.strip() or _NAMES_MY_NUMBER.search(text)) and len(set(digits)) > 1 and is_my_number(digits):
            return True
    return False


def is_my_number(digits: str) -> bool:
    """Return whether twelve digits end in the check digit of Japan's individual numbers (Ordinance 85 of 2014, article
    5).
    """
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
