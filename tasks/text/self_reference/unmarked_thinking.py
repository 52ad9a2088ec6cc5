"""Find an answer that begins with its model's thinking in plain words: "Okay, the user is asking me to …"."""

import re

from kasasagi.tasks.text.languages import LANGUAGE_CHARS

_LOOKED_AT = 1200
_OPENS = (
    r"\A\s*(?:(?:Okay|OK|Alright|All right|Hmm+|Hm|So|Right|Well|First|Now|Let(?:'s|’s) (?:see|think)"
    r"|Let me (?:see|think|break)|Got it)(?: (?:about|through|this|it)\b[^.\n]{0,60})?(?:[,.!…—-]+|\.\.\.)?\s+)*"
    r"(?:so,?\s+)?"
)
_USER = (
    r"(?:the|this) user(?:'s|’s)?\s+(?:is\s+|was\s+|has\s+|just\s+|also\s+|really\s+|clearly\s+)*(?:ask(?:s|ed|ing)?"
    r"|wants?|wanted"
    r"|needs?|says?|said|requests?|requested|requesting|provided|gave|given|wrote|sent|greeted|looking|seems?"
    r"|would like|trying|query"
    r"|question|request|message|prompt)\b"
)
_TASK = (
    r"(?:I|we) (?:need|have|should|'ll need|must|are (?:asked|given|supposed)|am (?:asked|given"
    r"|supposed))\s+(?:to\s+)?(?:figure out"
    r"|respond|answer|write|produce|output|come up with|provide|create|generate|translate|explain|summari[sz]e|solve"
    r"|find|follow|help)\b"
)
_THINKS_ON = re.compile(
    r"\bthe user\b|\b(?:the|this) (?:prompt|instructions?|question|query|request) (?:says|is|asks|wants|seems"
    r"|mentions|requires)\b"
    r"|(?:^|[.!?]\s+|\n)(?:Wait|Hmm+|Hold on|Actually, wait|But wait|Let me (?:check|think|re-?read|verify|start"
    r"|recall|draft))\b"
    r"|\bpolicy\b.{0,30}\b(?:allow|disallow)|\bLet's (?:craft|draft|produce|write it)\b"
)
_PROCESS = re.compile(
    r"\A[\s*#]*(?:here(?:'s|’s| is) (?:a|my|the) )?(?:thinking|thought) process\b"
    r"(?: (?:that|to|for)\b[^\n]{0,80})?[*:\s]*\n"
    r"(?=.{0,200}(?:\bthe user\b|(?:analy[sz]e|understand|deconstruct)\W+the\W))",
    re.IGNORECASE | re.DOTALL,
)
_BY_USER = re.compile(_OPENS + _USER, re.IGNORECASE)
_BY_TASK = re.compile(_OPENS + _TASK, re.IGNORECASE)
_JAPANESE = re.compile(
    r"\A\s*(?:(?:はい|さて|では|まず|えーと|ええと|うーん|ふむ|なるほど|よし|了解)[、。…！]*\s*)*(?:この"
    r"|今回の)?ユーザー(?:さん|様)?(?:は|が|から|の(?:質問|要求|依頼"
    r"|リクエスト|指示|意図|入力|発言|メッセージ))[^\n]{0,100}?(?:求め|尋ね|聞い|聞か|質問|知りた|知りたが|依頼|頼ん"
    r"|要求|望ん|欲し|ほし|指示|意図|挨拶|必要がある|ようだ|らしい|についてだ|ことだ。)"
)
_OF_SOFTWARE = re.compile(
    r"\b(?:apps?|applications?|software|web ?(?:sites?|pages?|apps?)?|sites?|log(?:ging)?[ -]?in|sign[ -]?(?:in|up)"
    r"|\w*auth\w*|passwords?|accounts?|sessions?|cookies?|tokens?|api|servers?|browsers?|databases?|interfaces?|ui|ux|gui"
    r"|operating systems?|programs?|platforms?|design\w*|checkout|two-factor|2fa|captcha|search engines?|chatbots?"
    r"|recommend\w+|systems?)\b|アプリ|サイト|ウェブ|ログイン|認証|パスワード|アカウント|サーバ|ブラウザ|データベース|画面|システム|ソフト|設計|機能"
    r"|検索エンジン|チャットボット|インターフェ|登録",
    re.IGNORECASE,
)
"""What has users of its own, of whom an answer may speak."""
_ALOUD = re.compile(
    r"\A\s*(?:Okay|OK|Alright|All right|Hmm+|Hm|Let(?:'s|’s| me)|えーと|ええと|うーん|ふむ)\b"
    r"|\b(?:I|we) (?:should|need to|must|will|have to)\b|\bI(?:'|’)ll\b|\bLet me\b"
    r"|(?:答え|回答|返答|説明|紹介|提案|返信?)[^。\n]{0,8}?(?:よう。|必要がある|べき|かな)"
)
_MAY_BE_ANY_USER = re.compile(r"(?<!['’]s )\b(?:provided|gave|given|wrote|sent|request(?:s|ed|ing)?)\Z", re.IGNORECASE)
"""What users of a service do, too."""
_ASKS_FOR_A_PROCESS = re.compile(r"(?:thinking|thought) process", re.IGNORECASE)
_SPEAKS_OF_USERS = re.compile(r"\busers?\b|ユーザー|ユーザ|利用者", re.IGNORECASE)


def unmarked_thinking(instruction: str, content: str) -> str | None:
    """Return the words with which an answer begins to think aloud about its task; None where it does not.

    Marked thinking is split off or found by `no_template_leak`. An instruction that speaks of users excuses an answer
    that does, and so does one about software where the answer does not think aloud. A sentence such as "I need to
    find …" counts only where more of its kind follow.
    """
    head, instruction = content[:_LOOKED_AT], instruction[:LANGUAGE_CHARS]
    if _SPEAKS_OF_USERS.search(instruction) is None:
        found = _BY_USER.match(head) or _JAPANESE.match(head)
        is_doubtful = found and (_OF_SOFTWARE.search(instruction) or _MAY_BE_ANY_USER.search(found[0]))
        if found is not None and (not is_doubtful or _ALOUD.search(head)):
            return found[0].strip()
    if (process := _PROCESS.match(head)) and _ASKS_FOR_A_PROCESS.search(instruction) is None:
        return process[0].strip()
    found = _BY_TASK.match(head)
    return found[0].strip() if found and _THINKS_ON.search(head, found.end()) else None
