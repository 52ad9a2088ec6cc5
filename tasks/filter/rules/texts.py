"""Rules on an instruction's text alone: its language, loops, leaked template text, odd scripts, and how it ended.

Each gives None where the instruction holds and else what was found. They err on the side of the instruction: what
they drop should be bad beyond doubt, since a question about chat templates or Korean words is a legitimate one.
"""

import re
from collections.abc import Sequence

from kasasagi.tasks.text.languages import language_of, simplified_only
from kasasagi.tasks.text.leaks.paired_turns import paired_turn
from kasasagi.tasks.text.leaks.second_turn import bare_turn, glued_role
from kasasagi.tasks.text.leaks.template_marks import FENCED, LOOKED_AT, leaked_token, undecoded, without_fences
from kasasagi.tasks.text.leaks.tool_calls import call_behind
from kasasagi.tasks.text.patterns import lazy_pattern
from kasasagi.tasks.text.response_rules import Answer, first_broken
from kasasagi.tasks.text.thoughts.thinking import begins_with_thinking, split_thinking

ENOUGH_LETTERS = 20
_QUOTED = lazy_pattern(
    r"「[^」]*」|『[^』]*』|“[^”]*”|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)|`[^`\n]*`|（[^）]*）|\([^)\n]*\)"
)


def unquoted(text: str) -> str:
    """Return a text without what stands in quotation marks, brackets and code: the words that are its author's own."""
    return _QUOTED.sub(" ", FENCED.sub(" ", text[:LOOKED_AT]))


def language(text: str, languages: str | Sequence[str]) -> str | None:
    """Require one of the wanted languages as the main one; a foreign passage to work on does not count.

    So an instruction holds as well where its first or last line, the words before a colon, or those outside
    quotation marks are in a wanted language. Texts with too few letters to tell hold.
    """
    wanted = (languages,) if isinstance(languages, str) else tuple(languages)
    found = language_of(text)
    if found is None or found in wanted:
        return None
    stripped = text.strip()
    frames = (stripped.partition("\n")[0], stripped.rpartition("\n")[2], re.split("[:：]", stripped)[0], unquoted(text))
    if any(frame != stripped and language_of(frame) in wanted for frame in frames):
        return None
    return f"the language is {found}, not {' or '.join(wanted)}"


def repetition(text: str) -> str | None:
    """Return a loop: a sentence or line that makes up half of the text, or a phrase that follows upon itself many
    times.

    A first line that asks for or announces repetition ("Count the repeated words:") explains what follows it.
    """
    first, _, rest = text.strip().partition("\n")
    broken = first_broken(["no_repetition"], Answer(first if rest else "", text))
    return None if broken is None else broken.detail


_HEADER = lazy_pattern(
    r"^#{2,4} ?(?:指示|応答|ユーザー?|アシスタント|システム|Instruction|Response|Human|User|Assistant|System) ?[:：]"
    r"|\n#{2,4} ?(?:指示|応答|Instruction|Response|Human|User|Assistant)?\s*\Z",
    re.MULTILINE,
)
_ROLE = lazy_pattern(
    r"^(?:user|assistant|human|ユーザー|アシスタント|用户|用戶)[ \t]*[:：]", re.IGNORECASE | re.MULTILINE
)
_BARE_ROLE = lazy_pattern(r"\A(?:user|assistant|system)\n|\nassistant\n|\n(?:user|assistant|system)\s*\Z")
_DIALOGUE = lazy_pattern(
    r"dialog|conversation|\bchats?\b|transcript|script|interview|messages?\b|exchange|\blogs?\b|json|ya?ml|schema|table"
    r"|role-?play|\b(?:an?|the|short|stage|one-act|this|next) (?:play|scene|skit|sketch)\b|screenplay"
    r"|会話|対話|やり取り|やりとり|チャット|台本|ログ|セリフ|インタビュー|メッセージ|ロールプレイ|脚本|シナリオ|コント|漫才|寸劇|演劇|劇を|芝居"
    r"|[:：]\s*\Z",
    re.IGNORECASE,
)
_XML_FIRST = lazy_pattern(r"\s*<(?:analysis|reason|rationale)>", re.IGNORECASE)
_INLINE_ROLE = lazy_pattern(r"[.?!。？！][ \t]+(?:ASSISTANT|USER|Assistant|User|Human|AI)[ \t]*:[ \t]*\S")
_LABELLED_ANSWER = lazy_pattern(
    r"\n[ \t]*\n[ \t*]*(?:answer|response|回答|応答|答え|解答)[ \t*]*[:：][ \t*]*\S", re.IGNORECASE
)
_ANSWER_BELOW = lazy_pattern(
    r"[.?!。？！][ \t]*\n[ \t]*\*{0,2}(?P<label>answer|response|回答|応答|答え|解答)[ \t*]*[:：][ \t*]*"
    r"(?P<said>\S[^\n]*)",
    re.IGNORECASE,
)
_ANSWER_WANTED = lazy_pattern(
    r"[\[<({_.…＿【]|(?:in|with|by|using|as) (?:an?|one|two|\d|at|no|your|full|short|english|japanese)\b"
    r"|(?:only|just|please)\b|(?:\S+ ){1,3}or \S+\s*\Z|.*(?:または|もしくは|はいかいいえ|[?？]\s*\Z)",
    re.IGNORECASE,
)
"""What says in which form to answer."""
_SHOWS_ANSWERS = lazy_pattern(
    r"grad(?:e|ing)|\bevaluat|\bassess|\bcheck|\breview|\bcorrect|feedback|\brat(?:e|ing)\b|verify|compar|judge|\bform|example"
    r"|translat|summari[sz]|rewrit|improv|\bedit|question ?\d* ?[:：]|\bq[:：]|passage|explain why"
    r"|採点|評価|添削|改善|確認|正しい|合って|間違|翻訳|訳し|要約|比較|修正|判定|形式|フォーマット|例|質問[:：]|問題[:：]|問[:：]",
    re.IGNORECASE,
)
_FIELD = lazy_pattern(r"^\s*[-\w\"']{1,30}[ \t]*:", re.MULTILINE)


def template_leak(text: str) -> str | None:
    """Leaked text of a chat template: control tokens, a template's headings, lines that begin with a role.

    A quoted marker, a question about templates, a dialogue that the text announces, code and lists of fields hold.
    """
    plain = without_fences(text[:LOOKED_AT])
    return _leaked_mark(plain) or _leaked_role(plain)


def _leaked_mark(plain: str) -> str | None:
    if marker := leaked_token(plain) or call_behind(plain):
        return f"contains the marker {marker}"
    if _begins_with_a_thought(plain):
        return "begins with a block of thinking"
    sample = undecoded(plain)
    return f"its tokens are not decoded: {sample}" if sample else None


def _begins_with_a_thought(plain: str) -> bool:
    """Return whether a model's thinking stands in front of a prompt; an XML element there is material."""
    if not begins_with_thinking(plain) or _XML_FIRST.match(plain):
        return False
    prompt, _ = split_thinking(plain, None)
    return bool(prompt) and prompt != plain


def _leaked_role(plain: str) -> str | None:
    if "#" in plain and (heading := _HEADER.search(plain)):
        return f"contains the heading {heading[0].strip()}"
    if glued := glued_role(plain):
        return f"{glued} follows a sentence without a break"
    role = _ROLE.search(plain) or _INLINE_ROLE.search(plain) if ":" in plain or "：" in plain else None
    if role and not _DIALOGUE.search(plain[: role.start() + 1]) and not _is_field(plain):
        return f"a role begins: {role[0].strip()}"
    if not _DIALOGUE.search(plain) and (turn := paired_turn(plain)):
        return f"a turn follows: {' '.join(turn[:60].split())}"
    if "\n" not in plain:
        return None
    bare = _BARE_ROLE.search(plain)
    alone = bare[0].strip() if bare else bare_turn(plain, behind_a_sentence=True)
    return f"a line says {alone.split()[0]} alone" if alone else _leaked_answer(plain)


def _leaked_answer(plain: str) -> str | None:
    label = _LABELLED_ANSWER.search(plain) or _answer_below(plain)
    if label is None or not plain[: label.start()].strip() or _SHOWS_ANSWERS.search(plain):
        return None
    return f"an answer follows: {' '.join(label[0].split())}"


def _answer_below(plain: str) -> re.Match[str] | None:
    """Return an answer on the line behind a question, or a sentence of an answer behind another sentence that does not
    announce it.
    """
    found = _ANSWER_BELOW.search(plain)
    if found is None or _ANSWER_WANTED.match(found["said"]):
        return None
    if found[0][0] in "?？":
        return found
    announced = found["label"].lower() in plain[: found.start()].lower()
    return None if announced or not found["said"].rstrip().endswith((".", "!", "。", "！")) else found


def _is_field(plain: str) -> bool:
    """Return whether a role stands among two or more fields of another name, as in a configuration."""
    names = [name.strip(" \t\n\"':-").lower() for name in _FIELD.findall(plain)]
    return sum(name not in {"user", "assistant", "human", "system"} for name in names) > 1


_KANA = lazy_pattern(r"[ぁ-ゖァ-ヺー]")
_HIRAGANA = lazy_pattern(r"[ぁ-ゖ]")
_KANJI = lazy_pattern(r"[一-鿿㐀-䶿々]")
_HANGUL = lazy_pattern(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]+")
_HANGUL_IN_A_WORD = lazy_pattern(r"[A-Za-z][\uac00-\ud7a3]|[\uac00-\ud7a3][A-Za-z]")
_KOREAN = lazy_pattern(
    r"韓国|朝鮮|ハングル|翻訳|訳し|和訳|英訳|korea|hangul|k-?pop|translat|languages?\b|言語|外国語", re.IGNORECASE
)
_CHINESE = lazy_pattern(
    r"中国|中文|簡体|繁体|台湾|漢文|漢詩|漢字|ピンイン|北京|翻訳|訳し|和訳|英訳|言語|外国語|chinese|mandarin|translat|hanzi|pinyin",
    re.IGNORECASE,
)


def odd_script(text: str, kana_share: float) -> str | None:
    """Scripts that do not belong together: Chinese signs or Hangul in Japanese, or Japanese almost without kana.

    kana_share is the least share of kana among 20 or more Japanese letters. Quoted words and texts that name the
    other language hold.
    """
    if text.isascii():
        return None
    own = unquoted(text)
    kana, kanji = len(_KANA.findall(own)), len(_KANJI.findall(own))
    if (hangul := _stray_hangul(own, kana + kanji)) and not _KOREAN.search(text):
        return f"Hangul among other letters: {hangul}"
    if not kanji or _CHINESE.search(text):
        return None
    if _HIRAGANA.search(own) and (found := simplified_only().search(own)):
        return f"simplified Chinese among kana: {found[0]}"
    if kana + kanji >= ENOUGH_LETTERS and kana < kana_share * (kana + kanji):
        return f"{kana} kana among {kana + kanji} Japanese letters"
    return None


def _stray_hangul(own: str, japanese: int) -> str | None:
    """Return some Hangul in a text that is not mainly Korean."""
    found = _HANGUL.findall(own)
    letters = sum(map(len, found))
    if not letters:
        return None
    if japanese >= 2 * letters:
        return str(found[0])
    glued = _HANGUL_IN_A_WORD.search(own)
    return glued[0] if glued else None


_END_OF_TURN = lazy_pattern(r"\s*|\d+|</?s>|<[|｜]?[^<>\s]+[|｜]?>|\[/?INST\]")


def stopped_by(stop_reason: str, ends: Sequence[str]) -> str | None:
    """Require that the text ended with its turn: by no stop string, a control token, line breaks, or one of `ends`.

    A word as a stop string ("user") cuts whatever happens to hold it.
    """
    if stop_reason in ends or _END_OF_TURN.fullmatch(stop_reason):
        return None
    return f"cut at the stop string {stop_reason!r}"
