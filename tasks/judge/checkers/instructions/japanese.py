"""Constraints that a Japanese prompt states."""

import re

from kasasagi.tasks.judge.checkers.instructions.further_orders import further_order_ja
from kasasagi.tasks.judge.checkers.instructions.recognised import Found, Language, Read, Recognised, Rule, recognise
from kasasagi.tasks.judge.checkers.numbers.numerals import kanji_words

_N = r"((?<![\d,])\d[\d,]{0,8}|[一二三四五六七八九十百千]{1,6})"
_QUOTED = r"[「『\"“]([^」』\"”\n]{1,80})[」』\"”]"
_SAYS = r"(?:という|の)?(?:言葉|単語|語句|語|キーワード|フレーズ|表現|文字列)?"
_THINGS = {"文字": "characters", "字": "characters", "文": "sentences", "段落": "paragraphs"}
_THING = r"(文字|字|段落|文)"
_ITEMS = r"(?:個|つ|点|項目|件)"


def _number(text: str) -> int:
    words = kanji_words(text)
    return int(words) if words is not None else int(text.replace(",", ""))


def _bound(match: re.Match[str]) -> Found | None:
    """Return a count with what limits it; a bare number of characters is seldom meant to the letter."""
    thing, count, limit = _THINGS[match[2]], _number(match[1]), match[3] or ""
    limits: dict[str, Found] = {
        "以内": {"at_most": count},
        "以下": {"at_most": count},
        "まで": {"at_most": count},
        "未満": {"at_most": count - 1},
        "以上": {"at_least": count},
        "ちょうど": {"at_least": count, "at_most": count},
        "ぴったり": {"at_least": count, "at_most": count},
    }
    if limit in limits:
        return {thing: limits[limit]}
    return {thing: limits["ちょうど"]} if thing != "characters" else None


def _range(match: re.Match[str]) -> Found:
    return {_THINGS[match[3]]: {"at_least": _number(match[1]), "at_most": _number(match[2])}}


def _bullets(match: re.Match[str]) -> Found:
    count = _number(next(part for part in match.groups() if part))
    return {"bullets": {"at_least": count, "at_most": count}}


def _texts(name: str) -> Read:
    return lambda match: {name: [text for text in match.groups() if text]}


def _required(match: re.Match[str]) -> Found | None:
    """Return the words that must be there; what is quoted without being called a word may be a thing to use."""
    is_word = re.search(r"言葉|単語|語|キーワード|フレーズ|表現|文字列|含|入れ", match[0])
    sentence = re.split(r"[。！？!?\n]", match.string[match.end() :])[0]
    if not (is_word or re.search(r"書|作文|文を|説明|表現|答え|述べ|紹介", sentence)):
        return None
    return {"required": [text for text in match.groups() if text]}


def _always(found: Found) -> Read:
    return lambda match: found


def _exact(match: re.Match[str]) -> Found:
    count = _number(match[1])
    return {_THINGS[match[2]]: {"at_least": count, "at_most": count}}


def _language(match: re.Match[str]) -> Found:
    return {"language": "en" if match[1] == "英語" else "ja"}


_DO_NOT = (
    r"(?:使わない|使わず|使用しない|使用せず|用いない|用いず|含めない|含めず|含まない|入れない|入れず|書かない)"
    r"(?:に|で)?(?:ください)?"
)
_DO = r"(?:必ず)?(?:使って|使用して|用いて|含めて|入れて|含めること|使うこと|入れること|含む)(?:ください)?"
_RULES: tuple[tuple[str, Read], ...] = (
    (
        rf"{_N}\s*(?:文字|字|文|段落)?\s*(?:から|以上|[~〜～-])\s*{_N}\s*{_THING}\s*(?:以内|以下|まで)?(?:で|の)?",
        _range,
    ),
    (
        rf"(?:箇条書き|箇条書)(?:で|にして|を使って)?、?\s*{_N}\s*{_ITEMS}|{_N}\s*{_ITEMS}の箇条書き(?:で)?|{_N}\s*{_ITEMS}、?箇条書きで",
        _bullets,
    ),
    (rf"(?:ちょうど|ぴったり){_N}\s*{_THING}()(?:で|の)?", _exact),
    (rf"(?<![約第\d]){_N}\s*{_THING}(以内|以下|未満|以上|ちょうど|ぴったり|まで)(?:で|の|に)?", _bound),
    (rf"(?<![約第\d]){_N}(?:つの|個の)?\s*(段落|文)()(?=で(?!す)|に(?:まとめ|し|要約|分け))(?:で|に)", _bound),
    (rf"{_QUOTED}{_SAYS}(?:を|は){_DO_NOT}", _texts("forbidden")),
    (rf"{_QUOTED}(?:と{_QUOTED})?{_SAYS}を{_DO}", _required),
    (
        rf"{_QUOTED}(?:という(?:言葉|文|フレーズ|一文)?)?(?:で|から)(?:書き)?(?:始めて|始めること|始まるように)(?:ください)?",
        lambda match: {"starts_with": match[1]},
    ),
    (
        rf"{_QUOTED}(?:という(?:言葉|文|フレーズ|一文)?)?で(?:終わって|終えて|終わらせて|締めくくって|結んで|締めて|終わること|終わるように|終えること)(?:ください)?",
        lambda match: {"ends_with": match[1]},
    ),
    (
        r"(?:すべて|全て|必ず)?(英語|日本語)(?:のみ|だけ)?で(?=[^。]{0,12}(?:答|書|回答|説明|述べ|返答|出力|お願い|要約))",
        _language,
    ),
    (r"JSON(?:形式|オブジェクト)?(?:のみ|だけ)?で", _always({"formats": ["json"]})),
    (
        r"(?:すべて|全て)(?:の文字を)?(?:英)?(小文字|大文字)(?:のみ|だけ)?で",
        lambda match: {"case": "lower" if match[1] == "小文字" else "upper"},
    ),
)


RULES: tuple[Rule, ...] = tuple((re.compile(pattern), read) for pattern, read in _RULES)
_ASKS_MORE = re.compile(
    r"必ず|以内|以下|未満|以上|ちょうど|ぴったり|のみ|だけ|ないで|せずに|使わず|避け|禁止|含め|入れて|形式|口調|です・ます|ですます|である調|敬語"
    r"|ひらがな|カタカナ|漢字|箇条書き|段落|文字|\d\s*(?:字|文)|約|程度|くらい|ぐらい|語尾|始め|終わ|終え|締め|それぞれ|ごと|絵文字|改行"
    r"|タイトル|見出し|太字|表で|英語|日本語|中国語|フランス語|順に|簡潔|短[くい]|長[くい]|詳しく|丁寧|[「『]|番号|リスト|マークダウン|JSON|小文字|大文字"
    r"|句読点|読点|カンマ|韻|俳句|短歌|一言"
)


_BREAK = re.compile(r"[。！？!?\n]")
_ASKS = re.compile(
    r"(?:\A|下さい|ください|なさい|せよ|しろ|こと|願いします|願います|ほしい|欲しい|[てで]|よう(?:に|な)?)[」）)\s]*\Z"
)
_NEGATED = re.compile(r"\A[^、]*(?:ない|ず[に、]|せず|ません|なく|禁止|不要)")
_PASSIVE = re.compile(r"\A[^、。]{0,8}(?:[かさらまわたなば]れ(?:た|て)|てある|ている|ていた)")
_OF_A_PART = re.compile(
    r"各|それぞれ|ごと|一文(?:は|を|あたり|につき)|1文(?:は|を|あたり)|タイトル|題名|見出し|件名|一行|1行|最初|最後の|もし|場合"
)
_DIRECTLY = re.compile(
    r"(?:次の|以下の|この|その|あの|上の|下の|約|およそ|[\d一二三四五六七八九十]、|か|または|や)\s*\Z"
)
_TOPIC = re.compile(r"(?P<topic>[^、。\s]{1,12})は、?\s*\Z")
_ANSWER = re.compile(r"(?:回答|答え|返答|文章|全体|説明|要約|解答|文字数|字数|本文|返事|出力|応答|感想|紹介|長さ)\Z")
_NOUN = re.compile(r"\s*(?:回答|答え|文章|説明|要約|返答|紹介|感想|作文|エッセイ|物語|詩|メール|手紙|段落)")


def _is_order(text: str, match: re.Match[str]) -> bool:
    """Return whether the sentence around a match asks for it, of the whole answer."""
    begin = max((one.end() for one in _BREAK.finditer(text, 0, match.start())), default=0)
    ending = _BREAK.search(text, match.end())
    before, behind = text[begin : match.start()], text[match.end() : ending.start() if ending else len(text)]
    if (ending and ending[0] in "？?") or not _ASKS.search(behind):
        return False
    if _NEGATED.match(behind) or _PASSIVE.match(behind) or _OF_A_PART.search(f"{before}#{behind}"):
        return False
    if _DIRECTLY.search(before) or (match[0].endswith("の") and not _NOUN.match(behind)):
        return False
    topic = _TOPIC.search(before)
    return topic is None or bool(_ANSWER.search(topic["topic"]))


def recognise_japanese(prompt: str) -> Recognised:
    """Return the constraints that a Japanese prompt states."""
    return recognise(prompt, JAPANESE)


JAPANESE = Language(RULES, _ASKS_MORE, r"(?!)", _is_order, further_order_ja)
