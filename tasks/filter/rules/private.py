"""The rule on questions about the life of whoever answers: a model has no home, no family and no weekend."""

import re

from kasasagi.tasks.filter.rules.private_japanese import private_in_japanese
from kasasagi.tasks.filter.rules.texts import unquoted
from kasasagi.tasks.text.leaks.template_marks import LOOKED_AT
from kasasagi.tasks.text.patterns import lazy_pattern

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
    rf"\bdid you (?:{_DID})\b(?! (?:know|(?:get |hear |see |read |learn )?(?:that|this|the (?:idea|impression|notion"
    rf"|answer"
    r"|number|information|facts?)|it|these|those)\b))",
    r"\bare you (?:currently |now |still )?(?:reading|wearing|watching|eating|studying|cooking|living|dating)\b",
    r"\bhow old were you\b|\bwhat (?:is|was|are|were) [^?.\n]{2,40} like for you\b|\bwho (?:usually )?\w+s your"
    r" (?:hair|meals?|dinner|house|kids|children|room|clothes|bills)\b",
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
_HABITUAL = (
    r"(?:(?:usually|normally|typically|generally|often|always|ever|still|currently|personally|really|mostly"
    r"|like to) )*"
)
_WHEN = (
    r"(?:(?:on|at|in|during|after|before|over|every|most|for) (?:(?:a|an|the|your|typical|normal|average|free|rainy"
    r"|lazy) )*"
    r"(?:weekends?|weekdays?|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|evenings?|nights?|mornings?|afternoons?|day"
    r"|days? off|free time|spare time|leisure time|holidays?|vacations?|summers?|winters?|work|school|dinner|bed"
    r"|lunch"
    r"|breakfast|birthdays?|christmas|relax|fun|exercise|stress)|to (?:relax|unwind|stay (?:fit|in shape|healthy)"
    r"|have fun|exercise))"
)
_END = r"(?= *(?:[?!.,;]|\Z|and\b|or\b|these days|nowadays|lately))"
_LIVED = (
    r"(?:exercis|work out|go (?:to (?!the (?:url|page|site|settings|menu))|out|for|shopping|running|swimming|hiking"
    r"|jogging"
    r"|fishing|camping|dancing|on vacation|abroad|there by)|eat|cook|travel|see your|visit your|call your|watch|drink"
    r"|sleep|shop|commute|get up|wake up|get to (?:work|school)|hang out|meet (?:up|your)|take (?:a (?:walk|nap|bath"
    r"|shower|vacation)|the (?:bus|train))|spend|listen|read (?:books|a book|the news(?:paper)?|novels|for)|play|walk"
    r"|relax|unwind|dream|smoke|earn|weigh|drive to|ride|party|celebrate|pray|meditate|laugh|cry|volunteer|move"
    r"|clean your|do (?:yoga|sports|laundry|the dishes|housework))"
)
_KIND = r"(?:what|which)(?:'s| is| are)? ?(?:kind|type|sort|genre|style|brand|flavou?r|make)?s?(?: of)?"
_OWNED = (
    r"(?:driver'?s? licen[cs]e|car|bike|bicycle|motorcycle|job|tattoos?|allerg(?:y|ies)|room-?mates?|nickname"
    r"|siblings?"
    r"|plans (?:for|this|tonight|tomorrow)|hobb(?:y|ies)|pets?|dogs?|cats?|kids|children|girlfriend|boyfriend|partner"
    r"|wife|husband|family|garden|house|balcony|passport|degree|accent|phobias?|fears?|piercings?|middle name"
    r"|grandchildren|cousins?|twin|close friends|best friend|favou?rite|role models?|bad habits?|insurance"
    r"|smartphone)"
)
_LEARNT = (
    r"(?:drive|swim|cook|ski|skate|surf|dance|whistle|sing|draw|knit|ride (?:a|the) (?:bike|bicycle|horse|motorcycle)"
    r"|play (?:the|any|an?) \w+(?: instrument)?|drive (?:a )?(?:car|stick|manual))"
)
_PERSONAL = (
    rf"\b(?:what|where|who|whom|how) do you (?:{_HABITUAL})(?:do|go|eat|cook|wear|drink|hang out|relax|unwind|spend"
    rf"|read|watch|listen to|have|meet|call|see)(?: (?:with|to|for|it))? {_WHEN}{_END}",
    r"\bhow (?:long does it take you|do you (?:\w+ )?(?:get|commute|travel|go)) to (?:get to )?(?:your )?(?:work"
    r"|school"
    r"|campus|university|(?:the|your) (?:office|job))\b",
    rf"\bhow (?:often|much time|many (?:hours|times|days|minutes)|late|early"
    rf"|long)\b[^?.\n]{{0,24}}? do you {_HABITUAL}"
    rf"{_LIVED}",
    rf"\bhow much (?:money |coffee |alcohol |sleep |time )?do you {_HABITUAL}(?:spend|earn|make|save|weigh|sleep"
    rf"|drink"
    r"|get|pay|exercise)\b(?! (?:for|when|if|per))",
    rf"\b{_KIND} (?:[\w-]+ ){{0,4}}?do you {_HABITUAL}(?:like|enjoy|love|prefer|listen|watch|read|play|eat|wear|drink"
    r"|drive|cook|own|live in|hate|dislike|collect|work (?:in|for)|go to|belong|study|speak at home|have at home"
    rf"|have as a)\b(?! (?:about this|about the (?:\w+ )?(?:above|below)|more:))",
    rf"\bwho (?:do|did) you {_HABITUAL}(?:live|work|hang|spend|talk|go|look up|admire|travel|eat|play|trust|miss|call"
    r"|see|date|marry|vote|resemble|take after|grow up)\b",
    r"\bwho (?:taught|raised|inspired|influenced|introduced|named|brought) you\b|\bwho (?:is|was"
    r"|are) (?:the )?(?:your"
    r"|\w+ (?:person|people) in your) (?!audience|target|customer|hero in)\b",
    r"\b(?:when|where|how|what|which|who|why) (?:\w+ ){0,2}?did you (?:graduate|want to (?:be|become)|first meet|meet"
    r"|move|get (?:married|engaged|your|into|up|to know|hired)|become|quit|choose your|decide to (?:become|study"
    r"|move)"
    r"|have for|wear|dream|propose|spend your|celebrate|grow up|go to (?:school|college|university)|receive"
    r"|learn to (?:swim|drive|cook|ride|play)|fall in love)\b",
    rf"\A(?:so,? |and |hi[,!.]* |hello[,!.]* )?do you {_HABITUAL}(?:like|love|enjoy|hate|dislike)"
    r" (?!my |this |these |the (?:idea|following|above|text|poem|way)|it\b|that\b|to (?:know|hear|see) )",
    rf"\A(?:so,? |and )?(?:do you {_HABITUAL}(?:have|own)|have you(?: got)?) (?:a |an |any |your own |many )?"
    rf"(?:\w+ )?{_OWNED}\b(?! (?:ideas?|tips?|recipes?|names?|recommend|suggest|policy))",
    r"\A(?:so,? |and )?do you (?:get along|get on|keep in touch|remember your|miss your|believe in (?:ghosts|god"
    r"|aliens"
    r"|love|fate|luck|astrology|miracles)|speak (?!to)|wear glasses|snore|go to (?:the )?(?:gym|church|school|work"
    r"|college)"
    r"|eat (?:meat|breakfast|fish|out)|watch (?:tv|television|movies|sports|anime)|read (?:books|novels|manga|comics"
    r"|the news)|listen to|collect|sing|dance|swim|ski|know how to (?:swim|drive|cook|ride|dance)|prefer (?:coffee"
    r"|tea"
    r"|cats|dogs|summer|winter|the (?:city|country|beach|mountains|sea)))\b",
    rf"\A(?:so,? |and )?can you {_LEARNT}(?: well| fast)?{_END}",
    r"\A(?:so,? |and )?are you (?:an? (?:\w+ )?(?:morning person|night owl|early bird|cat person|dog person"
    r"|coffee person"
    r"|vegetarian|vegan|student|parent|smoker|introvert|extrovert|only child|good cook|good (?:driver|swimmer"
    r"|dancer))"
    r"|left-handed|right-handed|vegan|vegetarian|religious|tall|afraid of|scared of|allergic|close to your|good at"
    r"|interested in (?!learning|hearing)|in a relationship|retired|employed|from|originally|the (?:oldest|youngest"
    r"|eldest)"
    r"|happy with your|into)\b",
    r"\bwhat are you (?:going to|planning to|doing|up to|having|eating|wearing|looking forward|reading|watching"
    r"|studying)\b"
    r"(?![^?]*\bif\b)|\bwhat are your plans\b(?! (?:to|regarding))|\bwhat will you (?:do|eat|have"
    r"|wear)\b[^?.\n]{0,12}\b"
    r"(?:tonight|tomorrow|this|next|weekend|for (?:dinner|lunch))\b|\bwhere are you (?:going|living|staying|travel"
    r"|spending)\b",
    r"\b(?:what|which|who|where|how)\b[^?.\n]{0,50}\b(?:best|worst|most \w+|favou?rite|biggest|craziest|scariest"
    r"|strangest|funniest|nicest|last|first|longest) [^?.\n]{1,40}?\b(?:that )?you(?:'ve"
    r"| have)? (?:ever )?(?:received|got"
    r"|visited|eaten|seen|read|watched|been|had|done|bought|met|made|owned|traveled|travelled|experienced|learned"
    r"|given)\b",
    r"\b(?:which|what|how many) [^?.\n]{1,30} have you (?:ever )?(?:lived|visited|been|travel\w*|read|owned|worked"
    r"|had|seen|watched)\b|\bhave you (?:got )?(?:any |a )?(?:brothers|sisters|siblings|pets|kids|children"
    r"|tattoos)\b",
    r"\bwhat(?:'s| is| are| was| were)(?: the)? [^?.\n]{0,24}\b(?:on|in|under|next to|of"
    r"|above) your (?:own )?(?:desk|room"
    r"|fridge|bag|pockets?|bedside|wall|street|cat|dog|pet|pets|wife|husband|school|class|boss|parents|mother|father"
    r"|son"
    r"|daughter|best friend|hometown|town|village|playlist|closet)\b(?= *[?.,]|[^?]{0,12} (?:like|now|called)\b)",
    r"\b(?:do|does|did|are|is|were|was) your (?:parents|mother|father|mom|dad|neighbou?rs?|friends|best friend"
    r"|co-?workers?"
    r"|colleagues|siblings|brother|sister|grandparents|kids|children|husband|wife|family|boss|cat|dog|roommates?)\b"
    r"(?= (?:\w+ )*(?:do|live|work|like|think|called|still|alive|married|get|speak|come|cook|from|older|younger"
    r"|nice)\b"
    r"|[^?.,]{0,12}\?)(?! (?:need|refuse|have to|ask|bother|bark|act))",
    r"\bwhat (?:is|was|'s) your (?:relationship with|(?:blood type|zodiac|star sign|height|weight|shoe size"
    r"|phone number"
    r"|address|nationality|religion|native language|mother tongue|major|marital status|middle name|last name|surname"
    r"|dream (?:job|house|car|vacation)|commute|bedtime|morning|diet|workout|biggest (?:fear|regret|dream)))\b",
)
_OPINIONS = (
    r"(?:home (?:directory|folder|page|screen|network|button)|opinions?|advice|recommendations?|views?|take"
    r"|thoughts?|definition|interpretation|understanding"
    r"|suggestions?|tips?"
    r"|guess|ideas?|assessment|analysis|response|reply|answers?|explanation|sources?|reasoning|conclusion|name|model"
    r"|version"
    r"|purpose|function|training|knowledge|cut-?off|position|stance|predictions?|estimate|approach|strateg(?:y|ies)"
    r"|plans?|rating"
    r"|target|budget|audience|goals?|questions?|point|message|options?|rights?|body|heart|brain|blood|credit|data"
    r"|code|essay"
    r"|story|poem|company|business|team|product|project|system|computer|phone|website|account|password|address|state"
    r"|country"
    r"|server|network|device|browser|favou?rite (?:tips?|ways?|methods?)|chances?|priorit(?:y|ies)|capabilit(?:y"
    r"|ies)|limits?"
    r"|limitations?|instructions|problem|argument|thesis|hypothesis|source|perspective|evaluation|criteria|standard"
    r"|policy)"
)
_TOLD = (
    r"(?:call|think|recommend|suggest|need|use|say|know|mean|expect|believe|understand|make of|have to|want me|put"
    r"|write|add"
    r"|look|find|see|notice|observe|conclude|infer|propose|advise|consider|define|describe|explain|get (?:if|when"
    r"|from|by|rid)"
    r"|plant|prune|apply|install|run|click|type|measure|calculate|start|begin|do (?:if|when|with|about|to|first"
    r"|in an)|go (?:if|to)"
    r"|have (?:if|when|in mind)|prefer to use|base|stand for|come up|arrive|choose (?:this|that|between)|offer"
    r"|support|require"
    r"|spell|pronounce|translate|store|save|open|enter|submit|report|pay|file|check|change|turn|set|place|hold|cut"
    r"|cook (?:a|the)"
    r"|feed|treat|clean|wash|remove|replace|learn (?:from|that|in)|get (?!up\b|home\b|your\b|to work|to school))"
)
_GENERIC = lazy_pattern(
    r"\b(?:if|when (?:you|a|an|the)|in order to|should|for (?:a|an) \w+ (?:class|party|beginner)|as a (?:beginner"
    r"|tourist))\b",
    re.IGNORECASE,
)
_ASKED = (
    rf"(?:\A|(?<=[.!?] ))(?:(?:so|and|hi|hello|hey)[,!.]? )?(?:what|which|who|whom|where|when)(?:'s"
    rf"|\b)[^?.\n]{{0,40}}?"
    rf"\b(?:do|did|are|were|will) you (?:{_TIMES} )?(?!{_TOLD}\b)[a-z]+[^?.\n]{{0,40}}\?\s*\Z",
    rf"(?:\A|(?<=[.!?] ))(?:(?:so|and|hi|hello|hey)[,!.]? )?do you (?!(?:{_TIMES} )?(?:{_TOLD}|agree|mind|accept"
    rf"|want|feel (?:that|like)"
    r"|remember the|have (?:any |a |an |some |the )?(?:\w+ )?(?:ideas?|tips?|advice|recipes?|suggestions?"
    r"|recommendations?|examples?|info"
    r"|thoughts?|opinions?|access|data|knowledge|feelings?|time to|questions?|consciousness|memory|emotions?"
    r"|sources?|names?|list))\b)"
    r"[a-z]+[^?.\n]{0,50}\?\s*\Z",
    r"(?:\A|(?<=[.!?] ))(?:(?:so|and|hi|hello|hey)[,!.]? )?are you (?!able|sure|familiar|aware|ready|an? (?:ai|bot"
    r"|language|chatbot|robot"
    r"|machine|human|real|computer|program|llm)|chatgpt|human|sentient|conscious|trained|designed|allowed|saying"
    r"|suggesting|there|gpt"
    r"|claude|based|using|open|connected|available|capable|programmed|alive|self|better|smarter|faster|still there"
    r"|certain|biased)"
    r"[a-z][^?.\n]{2,50}\?\s*\Z",
    r"(?:\A|(?<=[.!?] ))have you (?:ever |already |recently )?(?!heard|wondered|thought|considered|noticed|read the"
    r"|got an? (?:idea|tip)|any"
    r"|been (?:trained|programmed|updated)|asked yourself|come across|encountered|learned|seen (?:the|any"
    r"|this))[a-z]+[^?.\n]{2,50}\?\s*\Z",
    rf"(?:\A|(?<=[.!?] ))(?:what|who|where|how)(?:'s| is| was| are"
    rf"| were) your (?!(?:\w+ ){{0,3}}?{_OPINIONS}\b)[a-z][^?.\n]{{0,40}}\?\s*\Z",
    r"\bwhat (?:makes|made|keeps|motivates|motivated|scares|inspires|inspired) you\b"
    r"|\bhow many \w+(?: \w+)?"
    r" (?:do|did|have) you (?:own|have|speak|drink|eat|read|watch|live|visited|sleep|buy"
    r"|know personally)\b(?! in your body)",
)
_OWN = (
    rf"(?:{_HOME}|family|wife|husband|spouse|partner|children|kids|son|daughter|parents|mother|father|mom|dad"
    rf"|siblings?"
    r"|brother|sister|childhood|birthday|birthplace|weekend|vacation|holidays?|pets?|dog|cat|boyfriend|girlfriend"
    r"|best friend|hobby|hobbies|salary|age|job|occupation|school days|daily routine|morning routine|personal life)"
)
_NOT_OWN = (
    r"(?! (?:director|page|screen|network|wi-?fi|button|assistant|office|server|state|team|automation|address bar))"
)
_PRIVATE = lazy_pattern(
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
    + "".join(f"|{pattern}" for pattern in (*_HABITS, *_PERSONAL))
    + r"|\btell (?:me|us) about a time (?:when |that )?you\b|\b(?:weather|climate) like where you live\b",
    re.IGNORECASE,
)
_ASKED_OF_YOU = lazy_pattern("|".join(f"(?:{pattern})" for pattern in _ASKED), re.IGNORECASE)
_ADVICE = lazy_pattern(r"\b(?:how (?:do|can|should) you|how to|ways? to) \Z", re.IGNORECASE)
WRITES = lazy_pattern(
    r"\b(?:write|essay|story|poem|article|blog|script|role-?play|imagine|pretend|character|interview|survey"
    r"|questionnaire"
    r"|translat|quiz|dialog|title|slogan|e-?mail|letter|rewrite|paraphrase|suppose|you are an?\b|act as"
    r"|as an? (?!(?:\w+ )?(?:child|kid|teenager|student|boy|girl)\b)(?:[\w-]+ ){0,5}[\w-]+,"
    r"|lyrics|caption|speech|conversation|reply to|respond to|answer to|questions?\b|persona)"
    r"|小説|物語|歌詞|記事|エッセイ|作文|ブログ|台本|翻訳|訳し|英訳|和訳|英語|キャッチコピー|メール|手紙"
    r"|ロールプレイ|なりきって|仮定|想像"
    r"|設定|あなたは[^。、？?]{1,20}(?:として|(?:です|だ|である)。)|として(?:振る舞|ふるま|回答|答え|演じ|書い|話し"
    r"|自己紹介|返答)|役を|面接"
    r"|アンケート|会話|質問を|セリフ|スピーチ|文章を|詩を",
    re.IGNORECASE,
)


def private_life(text: str) -> str | None:
    """The instruction asks after the life of whoever answers, who has none: a home, a family, a childhood.

    The "you" of advice ("ways to save energy in your home"), quoted questions, and tasks of writing or role play hold.
    """
    own = unquoted(text)
    found = _asked_of_you(own.strip()) if "you" in own.lower() else None
    found = found or (None if own.isascii() else private_in_japanese(own))
    if found is None or _ADVICE.search(own[: found.start()]) or WRITES.search(text[:LOOKED_AT]):
        return None
    return f"asks after a private life: {found[0].strip()}"


def _asked_of_you(own: str) -> re.Match[str] | None:
    """Return a question that is private for its wording, or for its form where it is about no case or purpose."""
    return _PRIVATE.search(own) or (None if _GENERIC.search(own) else _ASKED_OF_YOU.search(own))
