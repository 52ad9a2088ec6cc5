"""Find where an answer says up to when its model knows things: "my knowledge cutoff is September 2021".

A date on which something else ends is none: a deadline, the last update of a page, what the data of a report cover.
"""

import re
from functools import cache

from kasasagi.tasks.text.languages import LANGUAGE_CHARS
from kasasagi.tasks.text.self_reference.own_sentences import own_sentences

_YEAR = r"20(?:1[89]|2\d)"
_WHEN = (
    rf"(?:(?:about|around|early|late|mid|the (?:end|beginning|start"
    rf"|middle) of)[- ]+)?(?:[A-Z][a-z]+,?\s+)?(?:of\s+)?{_YEAR}"
)
_UP_TO = r"(?:up\s+(?:to|until)|to|until|till|through|as of|in|at|by|with|from|before)"
_CUTOFF = r"cut[- ]?offs?"
_LAST = r"(?:last|latest|most recent|final)"
_KNOWLEDGE = r"(?:knowledge(?:\s+base)?|training(?:\s+data(?:set)?)?)"
_CERTAIN = (
    rf"\b[Mm]y\s+(?:{_LAST}\s+)?(?:{_KNOWLEDGE}|data|information)(?:'s)?\s+{_CUTOFF}",
    rf"\b(?:[Aa]s of|[Ss]ince|[Uu]ntil|[Bb]efore|[Aa]fter|[Bb]eyond|[Aa]t"
    rf"|[Uu]p to)\s+(?:the time of\s+)?my\s+(?:{_LAST}\s+)?{_KNOWLEDGE}\s+"
    rf"(?:update|{_CUTOFF}|date)",
    rf"\b(?:[Aa]s of|[Ss]ince|[Uu]ntil|[Bb]eyond|[Uu]p to)\s+my\s+{_LAST}\s+(?:training|knowledge)\b",
    rf"\b[Mm]y\s+{_LAST}\s+(?:training|knowledge)\s+update\b",
    rf"\b[Mm]y\s+(?:training data(?:set)?|training only|knowledge(?: base)?),?\s+(?:which\s+"
    rf"|that\s+)?(?:\w+ly\s+)?(?:has\s+an?\s+{_CUTOFF}"
    rf"|(?:goes|extends|ends|ended|stops|stopped|runs|reaches|is|was|covers|includes|cuts off|dates"
    rf"|comes)\b[^;]{{0,50}}?\b{_UP_TO}\s+(?:{_WHEN}|a certain (?:date|point)))",
    rf"\b[Mm]y\s+training\s+(?:was\s+)?(?:concluded|completed|cut off)\s+in\s+{_WHEN}",
    rf"\bI(?:'m|'ve| have| was| am)?\s+(?:been\s+)?(?:\w+ly\s+)?(?:last\s+)?trained\s+(?:only\s+)?(?:on|using"
    rf"|with)\s+(?:[\w-]+\s+){{0,6}}?"
    rf"(?:data|text|information|datasets?)\b[^;]{{0,50}}?\b(?:{_UP_TO}|ending in)\s+{_WHEN}",
    rf"\bI\s+was\s+last\s+trained\b[^;]{{0,20}}?{_YEAR}",
    rf"^[Kk]nowledge {_CUTOFF}(?: date)?\s*:",
    rf"\b[Aa]s an? (?:[\w-]+ ){{0,4}}?(?:AI|model|assistant)(?: \w+){{0,3}}? with an? {_KNOWLEDGE} {_CUTOFF}",
)
_LIKELY = (
    rf"\b(?:[Aa]s of|[Ss]ince|[Aa]t the time of|[Uu]p to|[Uu]ntil)\s+my\s+{_LAST}\s+(?:available\s+)?(?:update|data"
    rf"|information)\b",
    rf"\b[Mm]y\s+{_LAST}\s+update\s+(?:was|is|in|on|dates)\b[^;]{{0,20}}?{_YEAR}",
    rf"\b[Mm]y\s+(?:information|data|knowledge)\s+(?:(?:may|might|could)\s+(?:only\s+)?be|is|was)\s+(?:\w+ly\s+"
    rf"|only\s+|last\s+)?"
    rf"(?:current|up[- ]to[- ]date|accurate|limited|updated|valid)\b[^;]{{0,40}}?\b{_YEAR}",
    rf"\b[Mm]y\s+(?:information|data)\s+(?:only\s+)?(?:goes|extends|ends|stops|reaches)\b[^;]{{0,40}}?\b{_YEAR}",
    rf"\b[Mm]y\s+{_CUTOFF}(?:\s+date)?\s+(?:is|was)\b[^;]{{0,20}}?{_YEAR}",
    rf"\bI(?:'ve| was| am|'m| have)\s+(?:been\s+)?(?:last\s+|only\s+)updated\b[^;]{{0,20}}?{_YEAR}",
    r"\bI\s+(?:do not|don't|cannot|can't|only|have no|may not|might not|lack)\b[^;]{0,50}?\b(?:information|knowledge"
    r"|data|events|news|updates|developments)\b"
    rf"[^;]{{0,40}}?\b(?:after|beyond|past|up to|until|as of|since|through|later than)\s+{_WHEN}",
    rf"\b(?:information|data|knowledge)\s+(?:that\s+)?(?:I have|available to me)(?:\s+\w+){{0,2}}?\s+(?:is|are|dates"
    rf"|goes|ends|was)\b[^;]{{0,25}}?{_YEAR}",
)
_I = r"(?:私|わたし|わたくし|僕|当方|当モデル|本モデル|AI)"
_KNOWLEDGE_J = r"(?:知識|学習データ|訓練データ|トレーニングデータ|学習した(?:データ|情報))"
_YEAR_J = rf"{_YEAR}年(?:\s?\d{{1,2}}月)?(?:\s?\d{{1,2}}日)?"
_END_J = r"(?:まで|時点|現在|以前|頃まで|末まで|(?:頃|末)?で(?:止ま|終わ|途切|更新))"
_CERTAIN_J = (
    r"(?:知識|ナレッジ|学習データ|訓練データ|トレーニングデータ)の?カットオフ",
    rf"{_I}[^。]{{0,12}}?の{_KNOWLEDGE_J}[^。]{{0,20}}?{_YEAR_J}[^。]{{0,6}}?{_END_J}",
    rf"{_I}[^。]{{0,20}}?{_YEAR_J}[^。]{{0,6}}?まで(?:の|に)[^。]{{0,16}}?(?:学習し(?:て(?:い|お)|た(?:もの|AI"
    rf"|モデル))|訓練され|トレーニングされ)",
    rf"{_YEAR_J}[^。]{{0,6}}?まで(?:の|に)[^。]{{0,12}}?(?:データ|情報|テキスト)[^。]{{0,10}}?(?:学習|訓練"
    rf"|トレーニング)(?:して|されて)(?:いる(?:ため|ので|AI|モデル)|おり|います)",
    rf"{_I}(?:が|は|の)(?:最後に|最終的に)(?:学習|訓練|トレーニング|更新)[^。]{{0,12}}?{_YEAR_J}",
    rf"(?:最後|最終|直近|最新)の?(?:知識|学習|トレーニング)の?(?:更新|アップデート)[^。]{{0,6}}?(?:時点|{_YEAR_J}|では)",
    rf"{_I}の(?:学習|訓練|トレーニング)(?:期間)?は[^。]{{0,8}}?{_YEAR_J}[^。]{{0,6}}?{_END_J}",
)
_LIKELY_J = (
    rf"{_YEAR_J}[^。]{{0,4}}?(?:時点|現在)(?:で)?の{_I}の{_KNOWLEDGE_J}",
    rf"{_I}の(?:最終|最後の|直近の)(?:更新|アップデート)(?:日|時点)?(?:は|では|で|である|の)",
    rf"{_I}(?:が持っている|が持つ|の持つ|の持っている|の|が保有する)(?:情報"
    rf"|データ)は[^。]{{0,12}}?{_YEAR_J}[^。]{{0,6}}?{_END_J}",
    rf"{_I}[^。]{{0,12}}?{_YEAR_J}[^。]{{0,6}}?まで(?:の|に)[^。]{{0,12}}?(?:情報|データ|知識"
    rf"|出来事)[^。]{{0,4}}?(?:しか|のみ|だけ)",
    rf"{_YEAR_J}[^。]{{0,4}}?(?:以降|より後|より新しい)の(?:情報|出来事|データ|ニュース|知識)[^。]{{0,12}}?"
    r"(?:持って(?:い|お)|持ち合わせ|把握して(?:い|お)|存じ|わか[りら]|分か[りら]|学習して(?:い|お)|アクセスでき"
    r"|お答えでき)[^。]{0,6}?(?:ません|ない)",
)
_ASKED = re.compile(
    r"cut[- ]?off|training data|\btrained\b|\byour (?:last|latest|most recent) (?:update|training)"
    r"|\byou (?:were )?last (?:updated|trained)"
    r"|\byour (?:knowledge|data|information|training)\b|\buntil when do you"
    r"|カットオフ|学習データ|訓練データ|トレーニングデータ|いつまでの(?:情報|データ|知識|出来事)|最終更新"
    r"|最後に(?:更新|学習)"
    r"|あなたの(?:知識|情報|データ)|(?:知識|情報)は(?:いつ|何年)",
    re.IGNORECASE,
)
_ASKS_FOR_A_TEXT = re.compile(
    r"\b(?:e-?mails?|letters?|memos?|messages?|newsletters?|(?:status|progress) (?:report|update)|diary|journal|story"
    r"|stories|speech"
    r"|press release|tweet|post|poem|script|role-?play|pretend|imagine you|introduction)\b"
    r"|メール|手紙|メッセージ|報告書|報告文|レポート|お知らせ|日記|物語|小説|台本|議事録|投稿|ブログ|自己紹介"
    r"|になりきって",
    re.IGNORECASE,
)
_MAY_NAME_ONE = re.compile(
    rf"{_YEAR}|{_CUTOFF}|\bmy (?:{_LAST}|training|knowledge)|カットオフ|更新|アップデート", re.IGNORECASE
)


def cutoff_date(instruction: str, content: str) -> str | None:
    """Return the words with which an answer says up to when its model knows things; None where it does not.

    An instruction that asks for that date excuses it. One that asks for a letter, a report or a story excuses what a
    person may say there, such as "as of my last update".
    """
    if _MAY_NAME_ONE.search(content) is None:
        return None
    instruction = instruction[:LANGUAGE_CHARS]
    if _ASKED.search(instruction):
        return None
    pattern = _certain() if _ASKS_FOR_A_TEXT.search(instruction) else _certain_or_likely()
    sentences = (one for one in own_sentences(content) if _MAY_NAME_ONE.search(one))
    return next((found[0] for one in sentences if (found := pattern.search(one))), None)


@cache
def _certain() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in (*_CERTAIN, *_CERTAIN_J)))


@cache
def _certain_or_likely() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in (*_CERTAIN, *_CERTAIN_J, *_LIKELY, *_LIKELY_J)))
