"""Whether an answer is in the language of its prompt, or in another one that the prompt gives reason for."""

import re
from functools import lru_cache

from kasasagi.tasks.text.languages import (
    FOREIGN,
    KANA,
    KANJI,
    LANGUAGE_CHARS,
    LATIN,
    PHRASE,
    Language,
    language_of,
    prose_of,
    seems_english,
    simplified_only,
)

ENOUGH_LATIN = 25
ENOUGH_JAPANESE = 12
_CODE_SIGNS = re.compile(r"[{}()\[\]=;<>\\/+|$^_]")
_SENTENCE = re.compile(r"\b(?:[A-Za-zÀ-ɏ]++['’]?[A-Za-zÀ-ɏ]*+ ){5}[A-Za-zÀ-ɏ]")
_SIX_WORDS = re.compile(r"\b(?=((?:[A-Za-zÀ-ɏ]++['’]?[A-Za-zÀ-ɏ]*+[,;:]? ){5}[A-Za-zÀ-ɏ]+))")
MOST_STOPS, FEWEST_SMALL_WORDS = 2, 3
"""Of six words in a sentence; a list of names or things has more stops or fewer words in small letters."""
ENOUGH_SIGNS = 4
_QUOTED = re.compile(
    r"「[^」]*」|『[^』]*』|《[^》]*》|“[^”]*”|\"[^\"\n]*\"|‘[^’]*’|(?<!\w)'[^'\n]*'(?!\w)|（[^）]*）|\([^)\n]*\)|\*\*[^*\n]*\*\*"
)
_END = re.compile(r"[.?!](?:\s|\Z)")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_KOREAN_SENTENCE = re.compile(r"[\uac00-\ud7a3][^.?!。\n]*(?:다|요|까|죠|네|음)(?:[.?!。]|\s*\Z)")
_KOREAN_STOP = re.compile(r"[.?!。]|[\uac00-\ud7a3] [\uac00-\ud7a3]")
_CHINESE_STOP = re.compile(r"[，。！？]")
_CHINESE_WORD = re.compile(r"[是的了不没在这那我你他们很吗呢把被]")
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
# Requests for texts in another language that name none: tests of English, verse in the original, commit messages.
_MEANS_A_LANGUAGE = re.compile(
    r"\b(?:in the original|original (?:text|lyrics|wording|language|title|script)|untranslated|lorem ipsum"
    r"|haikus?|tanka|senryu|hokku|kotowaza|yojijukugo|enka|j-?pop|k-?pop|sutras?|mantras?|basho|hyakunin|manyoshu"
    r"|tang (?:poems?|poetry|dynasty poems?)|analects|tao te ching|li bai|du fu|topik|jlpt|hsk|dele|delf)\b"
    r"|(?<![A-Za-z])(?:TOEIC|TOEFL|IELTS|(?-i:GRE|SAT|GMAT))(?![A-Za-z])|トーイック|トフル|アイエルツ"
    r"|原文|原語|原典|原題"
    r"|英検|英会話|英詩|英熟語|英字|英訳|洋楽|洋画|洋書|漢詩|漢文|唐詩|論語|杜甫|李白|故事成語|四字熟語|般若心経|お経"
    r"|コミットメッセージ|変数名|関数名|ソースコード|README|ダミーテキスト|パングラム|シェイクスピア|マザーグース"
    r"|画像生成|Stable Diffusion|Midjourney",
    re.IGNORECASE,
)


def other_language(instruction: str, content: str) -> str | None:
    """Return what is wrong where an answer is in a language that its prompt neither uses, holds nor asks for."""
    asked, answered = _language_asked(instruction[:LANGUAGE_CHARS]), language_of(content)
    if asked is None or answered is None or asked == answered:
        return None
    wanted = instruction[:LANGUAGE_CHARS]
    if _NAMES_A_LANGUAGE.search(wanted) or _MEANS_A_LANGUAGE.search(wanted):
        return None
    if _holds(wanted, answered) or not _is_prose(content, answered):
        return None
    return f"the prompt's language is {asked!r}, the answer's {answered!r}"


@lru_cache(maxsize=256)
def _language_asked(instruction: str) -> Language | None:
    """Return the language of an instruction, which several answers share."""
    return language_of(instruction)


def _holds(instruction: str, language: Language) -> bool:
    """Return whether a prompt holds a passage in a language, beside what it mainly is."""
    if language == "en":
        return PHRASE.search(instruction) is not None
    if language == "ja":
        return len(KANA.findall(instruction)) + len(KANJI.findall(instruction)) > 1
    if len(FOREIGN.findall(instruction)) + len(simplified_only().findall(instruction)) > 1:
        return True
    # Short prompts in German or French count as English, since most such texts are.
    return language_of(instruction) == "en" and not seems_english(instruction)


def _is_prose(content: str, language: Language) -> bool:
    """Return whether an answer has enough words that its language counts; code and names do not."""
    prose = prose_of(content)
    signs = len(FOREIGN.findall(prose)) + len(KANJI.findall(prose))
    if language == "ja":
        return len(KANA.findall(prose)) + len(KANJI.findall(prose)) >= ENOUGH_JAPANESE
    if language == "other" and signs < ENOUGH_JAPANESE and _is_short_sentence(_QUOTED.sub(" ", prose).strip()):
        return True
    if language == "other" and (signs >= ENOUGH_JAPANESE or signs > len(LATIN.findall(prose))):
        return signs >= ENOUGH_JAPANESE
    code = len(_CODE_SIGNS.findall(prose))
    return len(LATIN.findall(prose)) >= max(ENOUGH_LATIN, 8 * code) and _is_sentence(prose)


def _is_sentence(prose: str) -> bool:
    """Return whether six words stand together, with a stop or two between them where they are no list."""
    if _SENTENCE.search(prose):
        return True
    own = _QUOTED.sub(" ", prose)
    windows = (found[1] for found in _SIX_WORDS.finditer(own if _END.search(own) else ""))
    return any(
        sum(sign in ",;:" for sign in words) <= MOST_STOPS
        and sum(word[0].islower() for word in words.split()) >= FEWEST_SMALL_WORDS
        for words in windows
    )


def _is_short_sentence(own: str) -> bool:
    """Return whether some words are a sentence in Korean or simplified Chinese; a lone name is none.

    Args:
        own: The words outside quotation marks and brackets.
    """
    if len(_HANGUL.findall(own)) >= ENOUGH_SIGNS and _KOREAN_STOP.search(own):
        return _KOREAN_SENTENCE.search(own) is not None
    if KANA.search(own) or len(KANJI.findall(own)) < ENOUGH_SIGNS:
        return False
    simplified, words = len(simplified_only().findall(own)), len(_CHINESE_WORD.findall(own))
    stopped = _CHINESE_STOP.search(own) is not None
    if simplified == 1:
        return stopped and words >= 2
    return simplified > 1 and (stopped or words > 0)
