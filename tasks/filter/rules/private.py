"""The rule on questions about the life of whoever answers: a model has no home, no family and no weekend."""

import re

from kasasagi.tasks.filter.rules.texts import unquoted
from kasasagi.tasks.text.template_marks import LOOKED_AT

_HOME = r"(?:home|house|apartment|flat|bedroom|living room|kitchen|garden|neighbou?rhood|hometown)"
_TIMES = r"(?:usually|normally|typically|generally|often|always|ever|still|currently|personally)"
_FELT = r"(?:like|love|enjoy|prefer|want|hate|miss)"
_DID = (
    r"(?:sleep|enjoy|go|eat|have|watch|play|study|grow|get|learn|do|visit|travel|dream|cook|buy|meet|spend|wake"
    r"|read|see"
    r"|celebrate|major|marry|move|live|stay|wear)"
)
_HABITS = (
    rf"\b(?:what|when|where|which|how (?:often|early|late|far|much"
    rf"|many))\b[^?.\n]{{0,40}}\bdo you {_TIMES} (?!need|have to|use\b|see\b"
    r"|find\b|call\b|get\b(?! up)|charge|recommend|say\b|write\b|hear\b)",
    rf"\bwhat (?:time |kind of \w+ |sort of \w+ |type of \w+ )?do you (?:{_FELT}) (?:to )?(?:do|eat|watch|read"
    rf"|play|listen|cook|wear|drink)\b",
    r"\bwhat time do you (?:\w+ )?(?:wake|get up|go to|leave|start work|finish|eat|have (?:breakfast|lunch|dinner))",
    rf"\A(?:so,? |and )?do you (?:{_TIMES} )?(?:{_FELT} (?:to )?(?:\w+ing|cook|eat|read|watch|travel|live|work"
    rf"|play|go|stay|be)\b"
    r"|live\b|play (?:any|a|an|the|sports?|video)\b|own\b|smoke\b|drink\b|exercise\b|cook\b|work (?:from|in|at"
    r"|for)\b|drive\b"
    r"|commute|speak (?:any|another)|have (?:a |an |any )?(?:job|car|garden|partner|girlfriend|boyfriend|husband"
    r"|wife|family|child"
    r"|children|favou?rite))",
    r"\bhave you (?:ever|recently|already) (?:been|broken|had|tried|seen|eaten|visited|met|lost|travel|lived|won"
    r"|read|watched|ridden"
    r"|gone|worked|owned|cooked|fallen|played|flown|climbed|driven|swum|slept|felt)\b",
    rf"\bdid you (?:{_DID})\b(?! (?:know|that answer|this answer))",
    r"\bare you (?:currently |now |still )?(?:reading|wearing|watching|eating|studying|cooking|living|dating)\b",
    r"\bhow long have you (?:been|lived|worked|played|studied|known|had|owned)\b",
    r"\bhow many (?:siblings|brothers|sisters|children|kids|pets|cats|dogs|languages|countries|cousins|friends"
    r"|books)\b[^?.\n]{0,20}"
    r"\b(?:do|have|did) you\b",
    r"\bhow far (?:do you|is your)\b|\bwhen(?:\'s| is| was) your (?:birthday|wedding|anniversary)\b|\b(?:last"
    r"|first|best|favou?rite) (?:movie|film|book|show|concert|meal) (?:that )?you(?:\'ve)? (?:ever )?(?:watched"
    r"|saw|seen|read|had|went)|\bwhen was the last time (?:that )?you\b|\bwhen did you (?:last|first|start)\b",
    r"\b(?:what|which|where) (?:\w+ ){0,2}(?:is|was|were|are) your (?:very )?(?:first|last|worst|proudest"
    r"|happiest|dream|current|own)"
    r" (?!name|step|resort|line|question|choice|option|impression|thought|estimate|advice)\w+",
    r"\b(?:what|which|how|where) (?:\w+ )?(?:do|does|did) your (?:father|mother|parents|wife|husband|brother"
    r"|sister|son|daughter|family"
    r"|children|kids|partner|spouse|grandparents|grandmother|grandfather)\b",
    rf"\b(?:what|which)\b(?:(?!\b(?:can|could|should|to|best|safe|help|prevent|ways?"
    rf"|tips?)\b)[^?.\n]){{0,70}}\b(?:around|near|outside) "
    rf"your (?:own )?{_HOME}\b",
    r"\bthe view from your\b|\b(?:outside|from|in) your (?:window|bedroom|room|fridge|closet"
    r"|wardrobe)\b(?=[^.?]{0,20}\?)",
)
_OWN = (
    rf"(?:{_HOME}|family|wife|husband|spouse|partner|children|kids|son|daughter|parents|mother|father|mom|dad|siblings?"
    r"|brother|sister|childhood|birthday|birthplace|weekend|vacation|holidays?|pets?|dog|cat|boyfriend|girlfriend"
    r"|best friend|hobby|hobbies|salary|age|job|occupation|school days|daily routine|morning routine|personal life)"
)
_NOT_OWN = (
    r"(?! (?:director|page|screen|network|wi-?fi|button|assistant|office|server|state|team|automation|address bar))"
)
_PRIVATE = re.compile(
    rf"\b(?:describe|tell (?:me|us) (?:more |a (?:little|bit) )?about|talk about|introduce|share)"
    rf"(?: (?:a|the|your)(?: \w+){{1,3}} (?:of|in|from|with|about))? your (?:own |current )?{_OWN}\b{_NOT_OWN}"
    rf"|\b(?:what|where|who|how old|how big|how large)(?:'s| is| was| are| were) (?:the \w+ of )?"
    rf"your (?:own )?{_OWN}\b{_NOT_OWN}(?! for )"
    rf"|\b(?:how many|what (?:kind|type|sort|colou?r)s?|which|is there|are there|do you have)\b[^?.\n]{{0,60}}"
    rf"\b(?:in|at|around|near|outside|of) your (?:own )?{_HOME}\b{_NOT_OWN}"
    r"|\bwhat(?:'s| is| are| was| were) your (?:all-time )?favou?rite\b"
    r"(?! (?:tips?|ways?|methods?|strateg|resources?|tools?)\b)"
    r"|\bwhere (?:do you live|are you from|were you born|did you grow up|do you work)\b|\bhow old are you\b"
    r"|\bare you (?:married|single|divorced)\b|\bwhat do you do for (?:a living|fun|work)\b"
    r"|\bdo you have (?:any |a )?(?:kids|children|pets?|siblings|brothers|sisters|dog|cat|boyfriend|girlfriend"
    r"|hobbies)\b"
    r"|\bwhat did you (?:do|eat|have)\b[^?.\n]{0,30}\b(?:yesterday|today|last (?:night|week|weekend|summer|year))\b"
    r"|\bhow was your (?:day|weekend|vacation|holiday|trip)\b"
    r"|\bhow do you (?:usually |normally |typically )?(?:spend|celebrate|enjoy) your (?:own )?(?:weekends?|evenings?"
    r"|mornings?|free time|spare time|days? off|holidays?|vacations?|birthdays?|sundays?)\b"
    r"|\bwhat does your (?:typical |usual |average )?(?:day|morning|evening|weekend|week) look like\b"
    r"|\bwhat(?:'s| is| was) your (?:earliest|first|fondest|happiest) (?:childhood )?memor(?:y|ies)\b"
    + "".join(f"|{pattern}" for pattern in _HABITS)
    + r"|\btell (?:me|us) about a time (?:when |that )?you\b|\b(?:weather|climate) like where you live\b",
    re.IGNORECASE,
)
_ADVICE = re.compile(r"\b(?:how (?:do|can|should) you|how to|ways? to) \Z", re.IGNORECASE)
_ASKED_JAPANESE = (
    r"何時(?:に|ごろに?|頃に?)(?:起き|寝|家を出|帰|出勤|夕食|朝食)(?:(?!べき|のが|と良|とよ"
    r"|と体)[^。？?\n]){0,8}(?:ます|ました|です)か",
    r"(?:最近|これまで|今まで|昨年|去年|昨日|一昨日|昨夜|昨晩|今朝|今日|先週|先月|夏休み|冬休み|連休|お休み|休み"
    r"|休日|週末|普段|ふだん)"
    r"(?:(?!(?:人|者|さん|氏|選手|首相|大統領|日本|政府|会社)(?:は|が))[^。？?\n]){0,25}"
    r"(?:行き|食べ|飲み|読み|観|見|買い|し|会い|作り|過ごし|過ごして|寝|眠れ|泣き|笑い|て|で)(?:ました|いました"
    r"|います|い?らっしゃいます|おられます)か",
    r"(?:最近|これまで(?:に)?|今まで(?:に)?)(?:旅行し|訪れ|行っ|読ん|観|見|食べ|買っ|住ん|会っ)(?:た"
    r"|だ)[^。？?\n]{0,16}(?:どこ|何|どれ|誰|一番)",
    r"(?:子ども|子供|こども|幼い|小さい|学生)(?:の)?(?:頃|ころ|時|とき)(?:の|に)?(?:一番の?|最も)?(?:楽しかった"
    r"|好きだった)?"
    r"(?:思い出|夢|遊び|趣味|あだ名)は",
    r"(?:子ども|子供|こども|小さい)(?:の)?(?:頃|ころ|時|とき)[はに、]{1,2}[^。？?\n]{0,20}(?:ました|でした)か",
    r"(?:学生時代|高校時代|大学時代|大学で|大学では|高校では)[はにで、]{0,2}[^。？?\n]{0,20}(?:ました|でした)か",
    r"お住まいは|ご家族は(?:何人|どんな|いら)|(?:ご)?(?:兄弟|姉妹|兄弟姉妹|お子さん|お子様|子ども|彼氏|彼女|恋人"
    r"|ペット)(?:は|が)(?:い(?:ます|らっしゃ)|何人|何匹)"
    r"|(?:犬|猫|ペット)(?:を|は)飼って(?:い)?(?:ます|らっしゃ)|(?:ご)?結婚して(?:い)?(?:ます|らっしゃ)[^。]{0,4}か"
    r"|(?:一人|ひとり|実家)暮らしですか|(?:お|ご)(?:仕事|職業|勤務先|出身校|誕生日|年齢)は(?:何|どこ|どちら|いつ"
    r"|どの|おいくつ)"
    r"|(?:通勤|通学)(?:時間)?(?:に|は|には)[^。？?\n]{0,12}(?:かかり(?:ます|ました)か|ですか|していますか)",
    r"(?:\A|[。！？?!\s、]|一番|最も|あなたの|あなたが)(?:好きな|嫌いな|苦手な"
    r"|得意な)[^。、？?\n人]{1,10}は(?:何|どれ|どこ|誰|だれ|なん)",
    r"(?:どんな|何の|どのような)(?:音楽|映画|本|料理|スポーツ|食べ物|番組)(?:が|を)(?:好き"
    r"|よく)[^。？?\n]{0,8}(?:です|ます)か",
)
_PRIVATE_JAPANESE = re.compile(
    r"あなた(?:自身)?の(?:ご|お)?(?:自宅|家族|家(?!電|計簿)|宅|部屋|住まい|住んで|両親|父|母|兄弟|姉妹|夫|妻"
    r"|配偶者|子供|子ども|息子|娘"
    r"|恋人|彼氏|彼女|友人|友達|趣味|出身|故郷|地元|職業|仕事|職場|学校|年齢|誕生日|休日|週末|ペット|飼って"
    r"|幼少期|子供時代|学生時代"
    r"|思い出|日課|(?:一番)?好きな)"
    r"|(?:あなたは|あなたが|普段)[^。？?\n]{0,15}(?:住んで(?:い)?ます|結婚してい|飼ってい|生まれまし)"
    r"|(?:どこ|どちら)に(?:お)?住(?:んで(?:い)?ますか|まいですか)|(?:ご)?出身(?:地)?は(?:どこ|どちら)ですか"
    r"|おいくつですか"
    r"|あなたは(?:今)?何歳|(?:昨日|休日|週末)は(?:何を|どう|どのように)[^。？?\n]{0,12}(?:しましたか"
    r"|過ごしましたか|過ごしますか)"
    r"|(?:ご)?趣味は何ですか|あなたが(?:最近|これまでに|今までに)[^。？?\n]{0,10}(?:読んだ|見た|観た|食べた"
    r"|訪れた|買った)"
    r"|(?:昨日|昨夜|今朝)の?(?:朝食|昼食|夕食|夕飯|朝ご飯|昼ご飯|晩ご飯|お昼)は何"
    + "".join(f"|{pattern}" for pattern in _ASKED_JAPANESE)
)
WRITES = re.compile(
    r"\b(?:write|essay|story|poem|article|blog|script|role-?play|imagine|pretend|character|interview|survey"
    r"|questionnaire"
    r"|translat|quiz|dialog|title|slogan|e-?mail|letter|rewrite|paraphrase|suppose|you are an?\b|act as|as an? \w+,"
    r"|lyrics|caption|speech|conversation|reply to|respond to|answer to|questions?\b|persona)"
    r"|小説|物語|歌詞|記事|エッセイ|作文|ブログ|台本|翻訳|訳し|英訳|和訳|英語|キャッチコピー|メール|手紙"
    r"|ロールプレイ|なりきって|仮定|想像"
    r"|設定|あなたは[^。、]{1,20}として|として(?:振る舞|ふるま|回答|答え|演じ|書い|話し|自己紹介|返答)|役を|面接"
    r"|アンケート|会話|質問を|セリフ|スピーチ|文章を|詩を",
    re.IGNORECASE,
)


def private_life(text: str) -> str | None:
    """The instruction asks after the life of whoever answers, who has none: a home, a family, a childhood.

    The "you" of advice ("ways to save energy in your home"), quoted questions, and tasks of writing or role play hold.
    """
    own = unquoted(text)
    found = _PRIVATE.search(own) if "you" in own.lower() else None
    found = found or (None if own.isascii() else _PRIVATE_JAPANESE.search(own))
    if found is None or _ADVICE.search(own[: found.start()]) or WRITES.search(text[:LOOKED_AT]):
        return None
    return f"asks after a private life: {found[0].strip()}"
