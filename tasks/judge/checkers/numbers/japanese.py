"""What can follow a number in a Japanese sentence without changing its value."""

import re

from kasasagi.tasks.judge.checkers.numbers.units import UNITS

_COUNTERS = re.findall(
    r"\S+",
    "個 こ コ 人 本 枚 匹 冊 台 回 歳 才 つ 羽 頭 杯 点 問 通り 種類 組 名 箱 袋 皿 足 着 軒 校 社 班 列 段 か所 ヶ所"
    " 箇所 票 株 粒 束 球 件 席 部屋 室 品 周 泊 文字 字 文 行 語 単語 試合 勝 敗 缶 瓶 通 隻 機 棟 戸 世帯",
)
_BY_LENGTH = sorted({*_COUNTERS, *UNITS}, key=len, reverse=True)
_NAMES = "|".join(re.escape(name) + ("(?![A-Za-z])" if name.isascii() else "") for name in _BY_LENGTH)
_VERBS = (
    r"(?:です|でした|だ|だった)(?:よ|ね|よね)?|である|であります|(?:に|と)なり(?:ます|ました)|(?:に|と)な(?:る|った)|あ(?:ります|りました|る|った)"
    r"|い(?:ます|ました|る|た)|残(?:ります|りました|る|った|っています|り)|必要(?:です|でした|になります|となります|である|だ)?"
    r"|かか(?:ります|りました|る)|進(?:みます|みました|む)|走(?:ります|りました|る)|(?:買|使|払)(?:えます|います|いました)|もらえます"
    r"|食べ(?:ます|ました|る)|求められます|得られます"
)
_TAIL = re.compile(
    rf"\A\s*(?P<unit>{_NAMES})?\s*(?:\([^()\d]{{1,8}}\))?\s*(?:の(?P<thing>[^\W\d]{{1,8}}?))?(?:[がをでにと]|ということ)?\s*(?:{_VERBS})?"
    r"\s*(?:[。、．.!,」』)]|\Z)"
)
_OTHER_NUMBER = re.compile(
    r"次|前|後|上|下|差|約数|倍|逆|余|半|乗|平方|立方|符号|違|除|他|うち|中|内|外|間|先|割|数|方|残り"
)


def unit_behind(behind: str) -> str | None:
    """Return the unit or the counter behind a number, empty without one; None if the words may change the number."""
    match = _TAIL.match(behind)
    if match is None or (match["thing"] and (not match["unit"] or _OTHER_NUMBER.search(match["thing"]))):
        return None
    return match["unit"] or ""
