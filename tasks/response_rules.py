"""Rules that an answer must keep before a judge is paid to read it; each costs some microseconds.

They err on the side of the answer: what a rule drops should be bad beyond doubt, since the judge sees the rest.
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Language = Literal["en", "ja", "other"]

ENDED = frozenset(
    (
        None,
        "",
        "complete",
        "completed",
        "done",
        "end",
        "end_of_text",
        "end_turn",
        "endoftext",
        "eos",
        "eos_token",
        "eosfound",
        "finish",
        "finished",
        "function_call",
        "normal",
        "null",
        "stop",
        "stop_sequence",
        "stopstringfound",
        "tool_calls",
    )
)
"""What servers say, in any case, of a text that came to its end; some say nothing."""
REFUSAL_CHARS = 800
REFUSAL_CHARS_JAPANESE = 400
LANGUAGE_CHARS = 4000
LOOP_PERIOD = 400
LOOP_REPEATS = 6
LOOP_CHARS = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """What the rules look at: the last thing that the user said, and the answer with how it ended."""

    instruction: str
    content: str
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The rule that an answer broke: `reason` for machines, `detail` for people."""

    rule: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason, and a test that gives None where the rule holds and else the detail."""

    reason: str
    test: Callable[[Answer], str | None]


def first_broken(rules: Sequence[str], answer: Answer) -> Broken | None:
    """The first of the named rules that an answer breaks, or None. Raises ValueError for a name that no rule has."""
    for name in rules:
        rule = RULES.get(name)
        if rule is None:
            raise ValueError(_unknown(name))
        detail = rule.test(answer)
        if detail is not None:
            return Broken(name, rule.reason, detail)
    return None


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, RULES, 1)
    remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(RULES)}."
    return f"the response rule {name!r} does not exist: {remedy}"


def _excerpt(text: str) -> str:
    text = " ".join(text[:120].split())
    return text if len(text) <= 60 else text[:60] + "…"


def is_cut_off(finish_reason: str | None) -> bool:
    """Whether a text may lack its end: so ends any of which the server says anything else than that it is whole.

    Of "Rating: 10" that a content filter or a lost connection cuts, "Rating: 1" could be left.
    """
    return (finish_reason and finish_reason.lower()) not in ENDED


def cut_off_detail(what: str, finish_reason: str | None, key: str) -> str:
    """What to say of a reply that is cut off, and, where it was too long, which key of the recipe to raise."""
    return f"{what} was cut off; raise {key}" if finish_reason == "length" else f"{what} ended by {finish_reason!r}"


def _truncated(answer: Answer) -> str | None:
    return f"the answer ended by {answer.finish_reason!r}" if is_cut_off(answer.finish_reason) else None


_UNSEEN = "\u200b\u200c\u200d\u2060\ufeff"


def _empty(answer: Answer) -> str | None:
    return None if answer.content.strip().strip(_UNSEEN).strip() else "the answer says nothing"


_CANNOT = (
    r"(?:i (?:really |simply |just )?(?:can ?not|can't|won't|will not|do not feel comfortable|don't feel comfortable)"
    r"|(?:i am|i'm) (?:not able to|unable to|not going to|not comfortable)|i (?:must|have to|need to) decline to)"
    r" (?:be able to |in good conscience )?"
)
_ACT = (
    r"(?:help|assist|provid|fulfil|comply|answer|respond|writ|creat|generat|produc|do|support|engag|discuss|giv|shar"
    r"|offer|complet|continu|participat|recommend|promot|encourag|condon|facilitat|advis|tell)(?:l|e|l?ing)?\b"
)
_THIS = r"(?:that|this|these|those|(?:your|the) request|any(?:thing)?|such|harmful|illegal|explicit)\b"
_PLAINLY = (
    rf"(?:comply\b|(?:help|assist)(?:ing)? (?:you )?with {_THIS}"
    r"|(?:provid|fulfil|generat|creat|produc|engag|participat|answer|discuss)(?:l|e|l?ing)? (?:you )?(?:with |in )?"
    rf"{_THIS})"
)
_REGRET = (
    r"(?:(?:i'm|i am) (?:very |so |really |truly )?sorry|sorry|my apologies|i (?:sincerely )?apologi[sz]e"
    r"|unfortunately|(?:i'm|i am) afraid(?: that)?|as an? (?:ai|artificial intelligence|language model)\b[^.,]{0,40}"
    r"|i (?:understand|appreciate)[^.]{0,80})"
)
_REFUSAL = re.compile(
    rf"{_REGRET}[,.:;!—-]* (?:but |however,? )?(?:as an? ai\b[^.,]{{0,40}}?,? )?{_CANNOT}{_ACT}(?! but\b)"
    rf"|{_CANNOT}{_PLAINLY}"
    r"|i (?:must|have to|need to) (?:respectfully )?decline\b"
    r"|(?:this|that|your) request (?:goes against|violates|is against)\b"
    r"|it (?:would be|is|isn't|is not) (?:inappropriate|unethical|appropriate|ethical) for me to\b"
)
_REFUSAL_OPENS_JAPANESE = re.compile(
    r"(?:大変|誠に|まことに)?(?:申し訳|もうしわけ|すみません|ごめんなさい|恐れ入り|残念ながら|(?:私は)?AI)"
    r"|(?:その|この|ご)[^。\n、]{0,12}(?:質問|要望|依頼|リクエスト|要求)"
    r"|(?:その|そういった)[^。\n、]{0,12}(?:内容|情報|行為)"
    r"|(?:お手伝い|お答え|回答|対応)(?:すること)?(?:は|が)?でき"
)
_REFUSAL_JAPANESE = re.compile(
    r"[^\n]{0,80}?"
    r"(?:手伝い|お答え|お応え|回答|応答|対応|提供|支援|サポート|お教え|教える|案内|応じる?|作成|生成|お力|協力)"
    r"(?:を|は|に|が|する|こと)*+"
    r"(?:でき(?:ない|ません|かね)|(?:いた|致)?しかね|られません|なれません|控え|お断り)"
)
_ASKS_FOR_REFUSAL = re.compile(
    r"translat|paraphras|rephras|rewrit|declin|turn(?:ing)? down|refus(?:al|ing)|apolog"
    r"|翻訳|訳し|訳せ|英訳|和訳|断り|断る|お詫び|謝罪|言い換え|書き換え",
    re.IGNORECASE,
)


def _refused(answer: Answer) -> str | None:
    """A refusal opens a rather short answer; a task that is to write or translate one is none."""
    if len(answer.content) > REFUSAL_CHARS:
        return None
    opening = answer.content[:300].lstrip("*_# \n\t　").replace("’", "'")
    english = _REFUSAL.match(opening.lower())
    if not english and not _refused_in_japanese(opening, len(answer.content)):
        return None
    if _ASKS_FOR_REFUSAL.search(answer.instruction[:LANGUAGE_CHARS]):
        return None
    return f"the answer opens with {_excerpt(opening)!r}"


def _refused_in_japanese(opening: str, length: int) -> bool:
    if length > REFUSAL_CHARS_JAPANESE or not _REFUSAL_OPENS_JAPANESE.match(opening):
        return False
    return _REFUSAL_JAPANESE.match(opening) is not None


_KANA = re.compile(r"[ぁ-ゖァ-ヺー]")
_KANJI = re.compile(r"[一-鿿㐀-䶿々]")
_LATIN = re.compile(r"[A-Za-zÀ-ɏＡ-Ｚａ-ｚ]")
_FOREIGN = re.compile(r"[\u0370-\u1dff\u1f00-\u1fff\u2c00-\u2ddf\u3130-\u318f\ua000-\ua71f\ua800-\ud7ff]")
_CHINESE_ONLY = re.compile(r"[们这這說时说间见吗嗎呢吧么妳您很没沒给让讓谢语话还进发發对對关關题问样东车门马为]")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)
_CODE_SIGNS = re.compile(r"[{}()\[\]=;<>\\/+|$^_]")
_PHRASE = re.compile(r"\b(?:[A-Za-zÀ-ɏ]++['’]?[A-Za-zÀ-ɏ]*+[,;:]? ){3}[A-Za-zÀ-ɏ]")
_SENTENCE = re.compile(r"\b(?:[A-Za-zÀ-ɏ]++['’]?[A-Za-zÀ-ɏ]*+ ){5}[A-Za-zÀ-ɏ]")
# A word that names a language by chance (polish this, Greek salad) only makes the rule lenient, so the lists are long.
_LANGUAGES = (
    "afrikaans|ainu|akkadian|albanian|amharic|aramaic|armenian|assamese|avestan|azer(?:baijan)?i|balinese|bangla|bashkir"
    "|basque|belarus(?:s?ian)?|bengali|berber|bhojpuri|bosnian|brazilian|breton|bulgarian|burmese|cambodian|cantonese"
    "|castilian|catalan|cebuano|chechen|cherokee|chuvash|coptic|cornish|corsican|croatian|czech|danish|dari|dhivehi"
    "|dutch|dzongkha|esperanto|estonian|faroese|farsi|filipino|finnish|flemish|frisian|gaelic|galician|georgian|gothic"
    "|greek|guarani|gujarati|haitian|hakka|hausa|hawaiian|hebrew|hindi|hindustani|hmong|hokkien|hungarian|icelandic|igbo"
    "|ilocano|indonesian|inuktitut|irish|javanese|kannada|kashmiri|kazakh|khmer|kinyarwanda|klingon|konkani|kurdish"
    "|kurmanji|kyrgyz|lao|laotian|latvian|lingala|lithuanian|luxembourgish|macedonian|maithili|malagasy|malay(?:alam)?"
    "|maldivian|maltese|manchu|mandarin|manipuri|maori|marathi|mayan|min nan|moldovan|mongol(?:ian)?|montenegrin"
    "|myanmar|nahuatl|navajo|nepali|norse|norwegian|occitan|odia|okinawan|oriya|oromo|ossetian|pali|pashto|persian"
    "|polish|punjabi|quechua|romanian|ruthenian|samoan|sanskrit|santali|saraiki|scots|serb(?:ian|o-croatian)|shanghainese"
    "|shona|sindhi|sinhal(?:a|ese)|slavonic|slovak(?:ian)?|sloven(?:e|ian)|somali|sorani|sotho|sumerian|sundanese"
    "|swahili|swedish|syriac|tagalog|taiwanese|tajik|tamil|tatar|telugu|tetum|thai|tibetan|tigrinya|tongan|tsonga|tswana"
    "|tulu|turkish|turkmen|twi|udmurt|ukrainian|urdu|uyghur|uighur|uzbek|vietnamese|welsh|wolof|wu|xhosa|yiddish|yoruba"
    "|zulu"
)
_SCRIPTS = (
    "arabic script|abjad|abugida|bopomofo|cuneiform|cyrillic|devanagari|furigana|glagolitic|gurmukhi|hangeul|hangul"
    "|hanja|hanzi|hieroglyphs?|kana|mkhedruli|nastaliq|pinyin|runes|runic|zhuyin|non-latin|alphabets?"
)
_SOME_LANGUAGE = (
    r"(?:multi|bi|tri)lingual(?:ly)?|polyglot|mother tongue|native (?:tongue|speakers?)"
    r"|(?:foreign|another|other|any|different|native|local|official|several|multiple|many|various|world|[a-z]*ian|\d+"
    r"|two|three|four|five|six|seven|eight|nine|ten|a dozen) (?:[a-z]+ )?languages?"
)
_JAPANESE_NAMES = (
    "訳|[ァ-ヶー]{2,}(?:語|文字)|(?:英|日本|中国|韓国|朝鮮|外国|広東|台湾|北京|上海|閩南|客家|蒙古|琉球|沖縄|満[州洲]|西夏|契丹|女真"
    "|梵|母国?|他言|多言|各国|何|葡|独|仏|西|露|伊)語|[かヶカヵケ箇]国語|言語で|英作文|英単語|[英和中漢韓独仏露]文"
    "|普通話|繁体字|簡体字|漢字|梵字|ひらがな|カタカナ|ローマ字|ハングル|ピンイン|アルファベット|バイリンガル"
)
_NAMES_A_LANGUAGE = re.compile(
    r"translat|english|japanese|chinese|korean|french|german|spanish|italian|russian|portuguese|arabic|latin\b|romaji|kanji"
    rf"|hiragana|katakana|(?<![A-Za-z])(?:{_LANGUAGES}|{_SCRIPTS}|{_SOME_LANGUAGE})(?![A-Za-z])|{_JAPANESE_NAMES}",
    re.IGNORECASE,
)
ENOUGH_LATIN = 25
ENOUGH_JAPANESE = 12


def language_of(text: str) -> Language | None:
    """The main language of a text by its script: 'en', 'ja', 'other', or None without letters enough to tell.

    A Japanese letter weighs as much as two Latin ones, since a word takes fewer, or as four where the Latin words are
    single terms. Any Latin script counts as English: other Latin languages are not told apart. Kanji without kana
    count as Japanese, unless signs stand among them that only Chinese uses (and more of them than kana). Code, links
    and what stands behind the first 4,000 characters are not looked at.
    """
    prose = _prose(text)
    kana, kanji = len(_KANA.findall(prose)), len(_KANJI.findall(prose))
    latin, foreign = len(_LATIN.findall(prose)), len(_FOREIGN.findall(prose))
    if latin + 2 * (kana + kanji + foreign) < 2:
        return None
    if foreign > kana + kanji and 2 * foreign > latin:
        return "other"
    if (2 if _PHRASE.search(prose) else 4) * (kana + kanji) <= latin:
        return "en"
    return "other" if kanji > kana and len(_CHINESE_ONLY.findall(prose)) > kana else "ja"


def _prose(text: str) -> str:
    return _CODE.sub(" ", text[:LANGUAGE_CHARS]) if "`" in text or "://" in text else text[:LANGUAGE_CHARS]


def _other_language(answer: Answer) -> str | None:
    """The answer's main language must be the prompt's, or one of those that the prompt holds or names."""
    asked, given = language_of(answer.instruction), language_of(answer.content)
    if asked is None or given is None or asked == given:
        return None
    instruction = answer.instruction[:LANGUAGE_CHARS]
    if _NAMES_A_LANGUAGE.search(instruction) or _holds(instruction, given) or not _is_prose(answer.content, given):
        return None
    return f"the prompt's language is {asked!r}, the answer's {given!r}"


def _holds(instruction: str, language: Language) -> bool:
    """Whether a prompt holds a passage in a language, beside what it mainly is."""
    if language == "en":
        return _PHRASE.search(instruction) is not None
    if language == "ja":
        return len(_KANA.findall(instruction)) + len(_KANJI.findall(instruction)) > 1
    return len(_FOREIGN.findall(instruction)) + len(_CHINESE_ONLY.findall(instruction)) > 1


def _is_prose(content: str, language: Language) -> bool:
    """Whether an answer says enough in words that its language can be held against it; code and names do not."""
    prose = _prose(content)
    if language == "ja":
        return len(_KANA.findall(prose)) + len(_KANJI.findall(prose)) >= ENOUGH_JAPANESE
    if language == "other":
        return len(_FOREIGN.findall(prose)) + len(_KANJI.findall(prose)) >= ENOUGH_JAPANESE
    signs = len(_CODE_SIGNS.findall(prose))
    return len(_LATIN.findall(prose)) >= max(ENOUGH_LATIN, 8 * signs) and _SENTENCE.search(prose) is not None


_SENTENCE_END = re.compile(r"[\n。！？!?]+|\. ")
_ASKS_TO_REPEAT = re.compile(
    r"repeat|\btimes\b|over and over|refrain|chorus|lyrics|繰り返|くり返|[0-9０-９一二三十百]回|歌詞", re.IGNORECASE
)


def _repeats(answer: Answer) -> str | None:
    """A loop: one sentence or line over and over, or a phrase that follows upon itself many times."""
    found = _repeated_sentence(answer.content) or _loop(answer.content)
    if found is None or _ASKS_TO_REPEAT.search(answer.instruction[:LANGUAGE_CHARS]):
        return None
    return found


def _repeated_sentence(text: str) -> str | None:
    """A sentence or line, whatever number or bullet it has, that makes up half of the text."""
    pieces = [piece.strip(" \t　0123456789.-*#>|)(") for piece in _SENTENCE_END.split(text)]
    if len(pieces) < LOOP_REPEATS:
        return None
    [(piece, times)] = Counter(piece for piece in pieces if len(piece) >= 6).most_common(1) or [("", 0)]
    if times < LOOP_REPEATS or 2 * times * len(piece) < len(text):
        return None
    return f"{_excerpt(piece)!r} stands {times} times"


def _loop(text: str) -> str | None:
    """A stretch in which a unit of up to LOOP_PERIOD characters follows upon itself; probed at regular places."""
    gram = 16
    start = 0
    while start < len(text) - gram:
        again = text.find(text[start : start + gram], start + 1, start + LOOP_PERIOD + gram)
        if again < 0:
            start += 2 * gram
            continue
        first, last = _stretch(text, start, again - start)
        if _is_loop(text, text[start:again], last - first):
            return f"{_excerpt(text[start:again])!r} follows upon itself {(last - first) // (again - start)} times"
        start = max(start + 2 * gram, last - gram)
    return None


def _stretch(text: str, start: int, period: int) -> tuple[int, int]:
    """How far whole copies of text[start : start + period] reach to both sides."""
    unit = text[start : start + period]
    first, last = start, start + period
    while text.startswith(unit, last):
        last += period
    while first >= period and text.startswith(unit, first - period):
        first -= period
    return first, last


def _is_loop(text: str, unit: str, length: int) -> bool:
    """Words loop when they come often; rules, blanks and zeros only when they are most of the answer."""
    if length < LOOP_CHARS or length < LOOP_REPEATS * len(unit):
        return False
    return any(sign.isalpha() for sign in unit) or (length >= 3 * LOOP_CHARS and 2 * length > len(text))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "finished": Rule("truncated", _truncated),
        "not_empty": Rule("empty", _empty),
        "no_refusal": Rule("refusal", _refused),
        "same_language": Rule("other_language", _other_language),
        "no_repetition": Rule("repetition", _repeats),
    }
)
"""All rules by the names that a recipe uses."""
