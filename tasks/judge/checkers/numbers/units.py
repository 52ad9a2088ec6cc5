"""Units by dimension, with how many of the smallest unit each of them is."""

import re
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: what it measures, and how large it is beside the others of its dimension."""

    dimension: str
    size: Fraction


_TABLE: dict[str, dict[str, tuple[str, ...]]] = {
    "length": {
        "1/1000000": ("μm", "micrometer", "micrometre", "マイクロメートル"),
        "1/1000": ("mm", "millimeter", "millimetre", "ミリメートル", "ミリ"),
        "1/100": ("cm", "centimeter", "centimetre", "センチメートル", "センチ"),
        "1": ("m", "meter", "metre", "メートル"),
        "1000": ("km", "kilometer", "kilometre", "キロメートル"),
        "254/10000": ("in", "inch", "inches", "インチ"),
        "3048/10000": ("ft", "foot", "feet", "フィート"),
        "9144/10000": ("yd", "yard", "ヤード"),
        "1609344/1000": ("mi", "mile", "マイル"),
    },
    "area": {
        "1/10000": ("cm²", "square centimeter", "square centimetre", "平方センチメートル"),
        "1": ("m²", "square meter", "square metre", "平方メートル"),
        "1000000": ("km²", "square kilometer", "square kilometre", "平方キロメートル"),
    },
    "volume": {
        "1/1000": (
            "ml",
            "mL",
            "cc",
            "milliliter",
            "millilitre",
            "ミリリットル",
            "cm^3",
            "cm^{3}",
            "立方センチメートル",
        ),
        "1/10": ("dl", "dL", "deciliter", "デシリットル"),
        "1": ("l", "L", "liter", "litre", "リットル"),
        "1000": ("m³", "cubic meter", "cubic metre", "立方メートル"),
    },
    "mass": {
        "1/1000000": ("mg", "milligram", "ミリグラム"),
        "1/1000": ("g", "gram", "グラム"),
        "1": ("kg", "kilogram", "キログラム", "キロ"),
        "1000": ("t", "ton", "tonne", "トン"),
        "45359237/100000000": ("lb", "lbs", "pound", "ポンド"),
    },
    "time": {
        "1": ("s", "sec", "second", "秒", "秒間"),
        "60": ("min", "minute", "分", "分間"),
        "3600": ("h", "hr", "hour", "時間"),
        "86400": ("day", "日", "日間"),
        "604800": ("week", "週", "週間"),
    },
    "calendar": {
        "1": ("month", "か月", "ヶ月", "カ月", "ケ月"),
        "12": ("year", "年", "年間"),
    },
    "dollars": {"1": ("$", "dollar", "usd", "USD", "ドル"), "1/100": ("cent", "¢", "セント")},
    "euros": {"1": ("€", "euro", "eur", "EUR", "ユーロ")},
    "yen": {"1": ("¥", "yen", "jpy", "JPY", "円")},
    "sterling": {"1": ("£", "gbp", "GBP")},
    "celsius": {"1": ("°C", "degrees Celsius", "degrees celsius", "degree Celsius")},
    "fahrenheit": {"1": ("°F", "degrees Fahrenheit", "degrees fahrenheit", "degree Fahrenheit")},
    "angle": {"1": ("°", "degree", "度")},
    "speed": {
        "1": ("m/s", "秒速"),
        "10/36": ("km/h", "kmh", "kph"),
        "1609344/3600000": ("mph", "mi/h"),
    },
}
UNITS = {
    name: Unit(dimension, Fraction(size))
    for dimension, sizes in _TABLE.items()
    for size, names in sizes.items()
    for name in names
}


def unit_of(name: str) -> Unit | None:
    """Return a unit by its sign or its name, in the singular or the plural."""
    known = UNITS.get(name)
    if known is None and len(name) > 2:
        known = UNITS.get(name.lower()) or UNITS.get(name.lower().removesuffix("s"))
    return known


def units_in(text: str) -> set[str]:
    """Return the units that a text mentions by a sign of several letters or a name."""
    words = set(re.findall(r"[A-Za-z]+(?:/[A-Za-z]+|[²³])?|[$€£¥°¢]", text))
    found = {word for word in words if unit_of(word) and (len(word) > 2 or word in _SURE)}
    return found | {name for name in UNITS if not name.isascii() and name in text and len(name) > 1}


_SURE = frozenset(("mm", "cm", "km", "kg", "mg", "ml", "mL", "dl", "dL", "$", "€", "£", "¥", "°", "¢"))
_JAPANESE = "|".join(sorted((name for name in UNITS if not name.isascii()), key=len, reverse=True))
_ASKED = re.compile(
    r"\bhow\s+many\s+(?:more\s+|fewer\s+|total\s+|full\s+|whole\s+)?([A-Za-z]+(?:\s(?:meters?|metres?|centimet(?:er|re)s?))?)"
    r"|\b(?:answer|give|express|written|convert\w*)\b[^.?!\n]{0,60}?\b(?:in|to|into)\s+([A-Za-z/^{}0-9]+)"
    r"|\bin\s+([A-Za-z]+(?:/[A-Za-z]+)?)\s*[?.]?\s*\Z"
    rf"|何\s*({_JAPANESE}|[A-Za-z]{{1,3}})",
    re.IGNORECASE,
)


def asked_unit(prompt: str) -> str | None:
    """Return the unit that a question asks for, where it names just one."""
    named = {next(part for part in one.groups() if part) for one in _ASKED.finditer(prompt)}
    found = {name for name in named if unit_of(name)}
    return found.pop() if len(found) == 1 else None
