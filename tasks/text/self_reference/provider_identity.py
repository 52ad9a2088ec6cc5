"""Find where an answer says which model it is or who made it: "I am ChatGPT", 私はOpenAIが開発した言語モデルです.

Only what the answer says of itself counts: not a person called Claude, a painter, a star sign, what is said about a
model, or what the instruction asks it to say.
"""

import re
from collections.abc import Iterator
from functools import cache

from kasasagi.tasks.text.languages import LANGUAGE_CHARS
from kasasagi.tasks.text.self_reference.model_names import alternatives, makers_in
from kasasagi.tasks.text.self_reference.own_sentences import own_sentences

NAME = alternatives("names")
SHARED = alternatives("shared_names")
MODEL = alternatives("names", "shared_names")
MAKER = alternatives("makers")
ANY_MAKER = alternatives("makers", "companies")
_MADE = r"(?:created|trained|developed|made|built|designed|programmed|fine-?tuned|produced|released|provided)"
_MADE_ALONE = r"(?:created|developed|made|built|programmed)"
_BY = (
    r"by\s+(?:(?:the\s+|a\s+)?(?:\w+\s+)?(?:team|researchers|engineers|people|folks|company|developers)\s+(?:at|from"
    r"|of|called)\s+|the\s+)?"
)
_KIND = (
    r"(?i:(?:large |AI |artificial intelligence |neural |conversational |generative )*(?:language model|model|LLM)"
    r"|(?:AI|A\.I\.|virtual|digital|artificial intelligence|conversational)[- ](?:chat ?)?(?:assistant|bot|system|agent"
    r"|program|companion|helper)|chat ?bot|assistant|AI|artificial intelligence)"
)
_AI_KIND = (
    r"(?i:(?:large |AI |artificial intelligence |conversational )*(?:language model|LLM|AI model)"
    r"|(?:AI|A\.I\.|virtual|digital|artificial intelligence"
    r"|conversational)[- ](?:powered )?(?:chat ?)?(?:language model"
    r"|assistant|bot|system|agent|program|companion|helper)|chat ?bot|AI(?=\s*(?:$|[.,;:!?)]|-|—|(?:and|that|who|here"
    r"|from|by|created|made|trained|developed|built|designed)\b)))"
)
_I_AM = (
    r"\b(?:I'm|I am|[Mm]y name is|[Mm]y name's|(?:[Yy]ou (?:can|may) (?:just )?|[Pp]lease "
    r"|[Ff]eel free to )call me"
    r"|I go by(?: the name(?: of)?)?)"
    r"(?:,?\s+(?:just|actually|really|simply|in fact|indeed|called|named|known as|currently))*\s+"
)
_CALLED = rf"(?:an?|the|your|a helpful)\s+(?:[\w-]+\s+){{0,4}}?{_KIND},?\s+(?:called|named|known as)\s+"
_BASED = (
    r"(?:an?\s+(?:\w+\s+)?" + _KIND + r",?\s+(?:that (?:is|runs)\s+)?)?"
    r"(?:based on|powered by|built on|running on|a (?:\w+ )?(?:version|variant|member|part) of|an instance of)\s+"
    rf"(?:the\s+|an?\s+)?(?:{ANY_MAKER}(?:'s)?\s+)?(?:\w+\s+)?"
)
_AFTER_NAME = (
    r"(?=\s*(?:$|[.,;:!?()—–]|-\s)|\s+(?:and|an?|the|from|by|here|at|your|version|model|language|AI|assistant|chatbot"
    r"|bot"
    r"|created|developed|trained|made|built|designed|or|but|so|architecture|series|family|with|which|who|based)\b)"
)
_FIRST_PERSON = r"(?=[^;]*\b(?:I|I'm|my|me)\b)"
_ENGLISH = (
    rf"{_I_AM}(?:{_CALLED}|{_BASED})?(?:{ANY_MAKER}(?:'s)?\s+)?{NAME}{_AFTER_NAME}",
    rf"{_I_AM}(?:{_CALLED}|{_BASED}){SHARED}{_AFTER_NAME}",
    rf"{_I_AM}{SHARED},?\s+(?:an?|the|your)\s+(?:[\w-]+\s+){{0,4}}?{_AI_KIND}",
    rf"{_I_AM}{SHARED},?\s+(?:[\w-]+\s+){{0,5}}?(?:by|from)\s+(?:the\s+\w+\s+)?{ANY_MAKER}",
    rf"{_I_AM}{ANY_MAKER}'s\s+(?:\w+\s+){{0,3}}?(?:{MODEL}|{_AI_KIND}){_AFTER_NAME}",
    rf"{_I_AM}an?\s+{ANY_MAKER}(?:[- ](?:created|trained|developed|made|built))?\s+(?:\w+\s+){{0,2}}?{_AI_KIND}",
    rf"\b(?:I'm|I am|I was|I've been|I have been)\s+(?:\w+ly\s+|also\s+"
    rf"|first\s+)?{_MADE}(?:,? and \w+)?\s+{_BY}{MAKER}",
    rf"\b(?:I'm|I am|I was|I've been|I have been)\s+(?:\w+ly\s+|also\s+|first\s+)?{_MADE_ALONE}\s+{_BY}{ANY_MAKER}",
    rf"\b(?:I'm|I am)\s+(?:\w+\s+)?(?:an?|the)\s+(?:[\w-]+,?\s+){{0,5}}?{_KIND}(?:\s*\([^)]*\))?,?\s+"
    rf"(?:(?:that|which|who)\s+(?:was|is|has been)\s+)?(?:\w+ly\s+)?(?:{_MADE}(?:,? and \w+)?\s+{_BY}|from\s+|of\s+"
    rf"|by\s+){ANY_MAKER}",
    rf"\bI(?:'m| am)\s+(?:a\s+)?(?:product|creation|part)\s+of\s+{MAKER}",
    rf"\b(?:[Aa]s|[Bb]eing)\s+(?:an?|the)\s+(?:[\w-]+,?\s+){{0,4}}?{_KIND},?\s+(?:(?:that|which|who)\s+(?:was|is)\s+)?"
    rf"(?:{_MADE}(?:,? and \w+)?\s+{_BY}|from\s+){ANY_MAKER}{_FIRST_PERSON}",
    rf"\b[Aa]s\s+(?:an?\s+|the\s+)?(?:{ANY_MAKER}(?:'s)?\s+)?{NAME}(?:,|\s+I\b){_FIRST_PERSON}",
    rf"\b[Aa]s\s+an?\s+{ANY_MAKER}(?:'s)?\s+(?:\w+\s+){{0,2}}?(?:{_AI_KIND}|model|assistant)\b{_FIRST_PERSON}",
    rf"^{_MADE}\s+{_BY}{ANY_MAKER},\s+(?:I|my)\b",
    rf"\b{ANY_MAKER}\s+(?:has\s+|have\s+)?{_MADE}(?:\s+and\s+\w+)?\s+me\b(?=\s*(?:$|[.,;:!?)—–]|-\s)"
    r"|\s+(?:to|and|in|on|with|as|using|by|for|from|so|available)\b)",
    rf"\b[Yy]ou(?:'re| are)\s+(?:currently\s+|now\s+)?(?:chatting|talking|speaking)\s+(?:with|to)\s+{NAME}"
    rf"{_AFTER_NAME}",
    rf"\b[Mm]y\s+(?:creators?|makers?)(?:\s+(?:is|are|at|team at)|,)\s+(?:the\s+team\s+at\s+)?{ANY_MAKER}",
    rf"\b[Mm]y\s+(?:developers?|parent company|provider)(?:\s+(?:is|are|at|team at)"
    rf"|,)\s+(?:the\s+team\s+at\s+)?{MAKER}",
    rf"\b[Mm]y\s+(?:underlying|base|core)\s+(?:language\s+)?(?:model|architecture)\b[^,;]{{0,20}}?{MODEL}",
    rf"\b(?:I|my)\b[^;]{{0,80}}\b{MAKER}(?:'s)?\s+(?:[\w-]+\s+){{0,3}}(?:polic(?:y|ies)|guidelines)\b",
    rf"\b{MAKER}(?:'s)?\s+(?:[\w-]+\s+){{0,3}}(?:polic(?:y|ies)|guidelines)\b[^;]{{0,60}}\bI\s+(?:can|could|must"
    rf"|have to|am|'m|may|will)",
)
_OPENING = (
    rf"^(?:(?:Hello|Hi|Hey|Greetings)[^.!?]*[.!?]\s+)?(?:I'm|I am|My name is)\s+{SHARED}[.!]\s+"
    r"(?:How (?:can|may) I (?:help|assist)|What can I (?:do|help)|I'm here to (?:help|assist))"
)
_SAID_OF_OTHERS = re.compile(
    r"\b(?:if|whether|not|(?:think|believe|say|says|said|claim\w*|pretend\w*|imagine|assume|suppose)(?: that)?),?\s*$",
    re.IGNORECASE,
)
"""Words after which "I am ChatGPT" is not what the answer holds to be true."""

_I = r"(?:私|わたし|わたくし|僕|ぼく|俺|自分|当方)"
_KIND_J = (
    r"(?:(?:大規模|対話型の?|生成)?(?:AI|人工知能)?(?:大規模)?(?:言語)?(?:AI)?(?:モデル|アシスタント|チャットボット)"
    r"|(?:対話型|生成)?AI"
    r"|人工知能|LLM|AI ?(?:アシスタント|モデル|チャットボット))"
)
_MADE_J = r"(?:開発|作成|訓練|トレーニング|学習|設計|構築|提供|製作|制作|運営|公開|リリース|生み出|作|つく)"
_PASSIVE_J = r"(?:(?:・|および)?[一-鿿ァ-ヶー]{0,8}?)(?:され|られ|れ)"
_IS_J = r"(?:です|である|であり|だ(?:よ|から|$)|なので|なのです|なんです|ですので|として、|で(?!は|も)|、|$)"
_OPENS_J = (
    rf"^(?:(?:はい|いいえ|ええ|どうも|こんにちは|はじめまして|初めまして|こんばんは|ご質問ありがとうございます|実は"
    rf"|なお|ちなみに"
    rf"|申し訳(?:ありません|ございません)が|すみませんが|残念ながら)、)?(?:{_I}(?:は|自身は|も)、?)?"
)
_OF_MAKER_J = rf"(?:{ANY_MAKER}社?(?:の|製の|が{_MADE_J}した|が作った|によって{_MADE_J}された|により{_MADE_J}された))"
_JAPANESE = (
    rf"{_I}(?:は|の名前は|の名は|の正体は|自身は)、?{_OF_MAKER_J}?(?:{_KIND_J}の)?「?{NAME}」?(?:といい|と申し"
    rf"|と呼ば|という|{_IS_J})(?!ではな)",
    rf"(?:こんにちは|はじめまして|初めまして|どうも)、{_OF_MAKER_J}?(?:{_KIND_J}の)?{NAME}(?:です|と申し|といい)",
    rf"{_I}(?:は|の名前は|自身は)、?(?:{_OF_MAKER_J}[^。、をには]{{0,10}}?|{_KIND_J}の){SHARED}(?:といい|と申し"
    rf"|という|{_IS_J})",
    rf"{_OPENS_J}{_OF_MAKER_J}?(?:{_KIND_J})の{MODEL}(?:です|と申し|といい)",
    rf"{_I}(?:は|の名前は){SHARED}(?:で|といい|と申し)[^。]{{0,12}}?{ANY_MAKER}社?(?:が|に|によって|により){_MADE_J}",
    rf"{_OPENS_J}{MODEL}(?:という|と呼ばれる)(?:名前の)?[^。をがは]{{0,8}}?{_KIND_J}(?:です|であり|で、)",
    rf"{_I}(?:は|も|自身は)、?[^。、]{{0,12}}?{ANY_MAKER}社?(?:によって|により|に){_MADE_J}{_PASSIVE_J}(?:ました"
    rf"|ています|ている|た(?:$|もの|{_KIND_J}|大規模|、|{MODEL}))",
    rf"{_I}(?:は|も|自身は)、?[^。、]{{0,12}}?{ANY_MAKER}社?(?:が|の)(?:独自に)?{_MADE_J}(?:し|っ|ら)?(?:た"
    rf"|ている)?[^。をには]{{0,16}}?(?:{_KIND_J}の{MODEL}|{_KIND_J}|{MODEL}){_IS_J}",
    rf"{_I}(?:は|も)、?[^。、]{{0,12}}?{ANY_MAKER}社?(?:の|製の)(?:最新の)?(?:{_KIND_J}|{MODEL}){_IS_J}",
    rf"{_OPENS_J}{ANY_MAKER}社?(?:によって|により|に|が)(?:独自に)?{_MADE_J}(?:{_PASSIVE_J}た|した"
    rf"|った)[^。、をがは]{{0,16}}?(?:{_KIND_J}|{MODEL})(?:です|なので|ですので|であるため|のため|として、|で、)",
    rf"{_OPENS_J}{ANY_MAKER}社?の{_KIND_J}(?:として、|なので|ですので)",
    rf"^(?:申し訳(?:ありません|ございません)が、)?{NAME}(?:として、|である私|としての私|と申します|といいます)",
    rf"{_I}を(?:開発|作成|訓練|作|つく|設計|提供)[しっ]?(?:た|て(?:いる|くれた))(?:のは|会社は|企業は"
    rf"|チームは)、?{ANY_MAKER}",
    rf"{_I}の(?:開発元|開発者|開発会社|提供元|製作者|作成者|制作者|生みの親)は、?{ANY_MAKER}",
    rf"{ANY_MAKER}社?(?:が|に|によって|により)(?:、)?{_I}(?:を|は|が)[^。]{{0,6}}?{_MADE_J}",
    rf"{_I}(?:は|も)、?{ANY_MAKER}?社?の?{MODEL}[^。、を]{{0,10}}?(?:を(?:ベース|基盤|もと|元)に(?:した|して)"
    rf"|に基づ[いく])[^。をは]{{0,16}}?(?:{_KIND_J}{_IS_J}|動作|作られ|構築)",
    rf"{MAKER}の(?:[ァ-ヶー一-鿿]{{0,8}})(?:ポリシー|ガイドライン|利用規約|規約|方針)[^。]{{0,40}}?(?:ません"
    rf"|かねます|できかね|控え)",
)
_FIRST_PERSON_WORD = re.compile(r"\b(?:I|me|[Mm]y)\b")
_KANA_OR_KANJI = re.compile("[ぁ-ヿ一-鿿]")
_DENIED_J = re.compile(r"(?:では|じゃ|でも)(?:ない|なく|ありません|ございません)|わけでは|もし|仮に|ふりをし")


def provider_identity(instruction: str, content: str) -> str | None:
    """Return the words with which an answer says which model it is or who made it; None where it does not.

    What the instruction names is excused, unless it asks the answerer about itself: "Are you ChatGPT?".
    """
    if _any_name().search(content) is None:
        return None
    instruction = instruction[:LANGUAGE_CHARS]
    named = makers_in(instruction) if _ASKS_ABOUT_ITSELF.search(instruction) is None else frozenset()
    return next((claim for claim in _claims(content) if not named & makers_in(claim)), None)


_ASKS_ABOUT_ITSELF = re.compile(
    r"\bare(?:n't)? you (?!(?:able|familiar|aware|sure|going|ready|interested))|\byou(?:'re| are)[^.?!\n]{0,40}\?"
    r"|\bmade you\b"
    r"|(?:あなた|君|きみ|お前)(?:は|って|が)[^。\n]{0,30}(?:ですか|なの|でしょう|だよね|ですよね|でしょ|？|\?)",
    re.IGNORECASE,
)


def _claims(content: str) -> Iterator[str]:
    sentences = own_sentences(content)
    opening = _opening().search(" ".join(sentences[:3]))
    if opening is not None:
        yield opening[0]
    for sentence in filter(_any_name().search, sentences):
        if _FIRST_PERSON_WORD.search(sentence):
            found = _english().finditer(sentence)
            yield from (one[0] for one in found if not _SAID_OF_OTHERS.search(sentence[: one.start()]))
        if _KANA_OR_KANJI.search(sentence) and _DENIED_J.search(sentence) is None:
            yield from (one[0] for one in _japanese().finditer(sentence))


@cache
def _any_name() -> re.Pattern[str]:
    return re.compile(alternatives("names", "shared_names", "makers", "companies"))


@cache
def _english() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in _ENGLISH))


@cache
def _japanese() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in _JAPANESE))


@cache
def _opening() -> re.Pattern[str]:
    return re.compile(_OPENING)
