"""English words of a refusal, as whole and as patterns: what an assistant says that it cannot or will not do.

Behind a lead ("I'm sorry, but", "As an AI,") many verbs tell a refusal; without one only those that a person or a
figure in a story hardly uses of themselves.
"""

from kasasagi.tasks.text.patterns import lazy_pattern

MORE_THAN_A_REFUSAL = 300

_NOT = (
    r"(?:can ?not (?:and|or) will not|can't (?:and|or) won't|will not (?:and|or) can ?not|can ?not|can't|could not"
    r"|couldn't|won't|will not|will never|can never|shouldn't|should not)"
)
_LACKS = (
    r"(?:(?:do not|don't) (?:currently )?(?:have|possess) (?:the (?:ability|capability|capacity|means|tools) to"
    r"|any way to"
    r"|(?:a )?way to|permission to))"
)
_UNABLE = (
    rf"(?:i (?:really |simply |just |also |sadly |personally |currently |therefore |unfortunately "
    rf"|absolutely |definitely )*(?:{_NOT}|{_LACKS}"
    r"|(?:must|have to|need to|am going to have to|'ll have to|will have to) (?:respectfully )?(?:decline|refuse) to"
    r"|(?:do not|don't) (?:feel comfortable|think i (?:should|can)|want to))"
    r"|(?:i am|i'm) (?:really |simply |also |sadly |currently |just )*(?:not (?:currently )?(?:able to|going to"
    r"|willing to"
    r"|allowed to|permitted to|programmed to|designed to|equipped to|capable of|comfortable(?: with)?"
    r"|in a position to)"
    r"|unable to|incapable of)"
    r"|(?:i'd|i would) (?:prefer|rather) not(?: to)?|i refuse to)"
    r" (?:(?:be able to|be|in good conscience|directly|actually|really|ethically|knowingly) )*"
)
_SERVES = (
    r"(?:(?:help|assist)(?:ing)?(?: (?:you|anyone|anybody))? (?:with|in|to|by|on|harm|hurt|write|make|create|do"
    r"|plan)\b"
    r"|(?:provid|fulfil|creat|generat|produc|reproduc|display|brows|facilitat|condon|endors)"
    r"(?:e|l|ll|ing)? (?!for my|a life|the life)"
    r"|(?:comply|assist)\b(?! each| her| him)|(?:participat|engag)(?:e|ing) in\b|access(?:ing)? (?:the internet"
    r"|external|links?|urls?"
    r"|websites?|files?|real|current|your|live|any)|(?:give|offer|giving|offering)(?: you)? (?:\w+ )?(?:advice"
    r"|diagnos|guidance"
    r"|instructions|opinion|recommendations?|information|personal)|(?:writ|mak|rank|rat|compos)(?:e"
    r"|ing)? (?:\w+ ){0,2}(?:threat"
    r"|joke|insult|hate|content|something|racis|sexis|explicit|slur|people|that|this|such)"
    r"|pretend(?:ing)? to (?:have no|be "
    r"without|not have)|(?:help|assist)(?:ing)?(?: you)?(?= *[.!?]|\Z)|respond to (?:that|this)"
    r"|(?:discuss|support|encourag|promot)(?:e|ing)? (?:that|this|such|harmful|illegal|violen|any|content|hat)"
    r"|(?:answer|do) (?:that|this|your) (?:request|question|prompt|task)|view(?:ing)? (?:images?|attachments?"
    r"|files?|photos?"
    r"|pictures?)|see(?:ing)? (?:images?|attachments?|the (?:image|photo|picture|attachment)))"
)
_ACT = (
    r"(?:help|assist|provid|fulfil|comply|answer|respond|writ|creat|generat|produc|reproduc|do|support|engag"
    r"|discuss|giv"
    r"|shar|offer|complet|continu|participat|recommend|promot|encourag|condon|facilitat|advis|tell|predict|access"
    r"|brows"
    r"|view|display|see|show|draw|sing|play|feel|love|diagnos|prescrib|make|making|hold|express|form|pretend|reveal"
    r"|disclos|endors|take sides|look up|open|speculat|say who|state|describ|explain|translat|know|choos|vot"
    r"|experienc"
    r"|physically|process|listen|watch|hear audio)(?:l|e|l?ing)?\b"
)
_REGRET = (
    r"(?:(?:i'm|i am) (?:very |so |really |truly |deeply )*(?:sorry|afraid)(?: that| to hear| you)?\b[^.,;!?—-]{0,60}"
    r"|sorry(?: about (?:that|this))?|(?:my )?apologies|i (?:sincerely |do )?apologi[sz]e\b[^.,;!?]{0,60}"
    r"|regrettably|sadly|unfortunately|no|nope|absolutely not"
    r"|let me be (?:very |perfectly )?(?:clear|honest|upfront)|to be (?:clear|honest)|hmm|oh"
    r"|thank you for (?:asking|reaching out|your \w+)|thanks for [^.,;!?]{0,40})"
)
_IDENTITY = (
    r"(?:(?:as|being) (?:an? |your )?(?:\w+[- ]){0,3}?(?:ai|artificial intelligence|language model|assistant"
    r"|(?:based|only|trained) (?:model|system|program)"
    r"|chatbot)\b[^.,;!?]{0,60}"
    r"|(?:i am|i'm) (?:just |only |simply )*an? (?:\w+[- ]){0,3}?(?:ai|artificial intelligence|language model"
    r"|chatbot|chat ?bot|assistant|program|bot|model|system)\b"
    r"[^.,;!?]{0,40}?"
    r"|(?:i am|i'm) not an? (?:\w+ )?(?:doctor|physician|lawyer|attorney|professional|therapist|expert"
    r"|financial advis[oe]r"
    r"|medical professional|human|person)\b[^.,;!?]{0,40})"
)
_REASON = (
    r"(?:(?:for|due to|because of|out of respect for|in order to|to) (?:\w+ )?(?:privacy|safety|legal|ethical"
    r"|copyright|security"
    r"|protect|respect|avoid|prevent|policy)\b[^.,;!?]{0,60}"
    r"|(?:while |although |though |even though )?i (?:do )?(?:understand|appreciate|realize|recognize|respect"
    r"|know|see why)\b"
    r"[^.;!?]{0,100}?)"
)
_LEAD = rf"(?:{_REGRET}|{_IDENTITY}|{_REASON})"
_LINK = r"\s?[,.:;!—–-]*\s+(?:(?:but|however|so|and|yet|that|therefore|unfortunately|i'm afraid|as such),?\s+)*"
_PLAIN_REFUSAL = (
    rf"{_UNABLE}{_SERVES}"
    r"|i(?: (?:must|have to|need to|will have to|am going to have to)|'m going to have to"
    r"|'ll have to) (?:respectfully |politely )?(?:decline"
    r"|refuse)\b(?! the (?:invitation|offer))"
    r"|(?:this|that|your|the) request (?:goes against|violates|is against|conflicts with)\b"
    r"|(?:\w+ ){0,6}(?:goes?|would go|is|are|would be|violates?|would violate) (?:against )?my (?:guidelines"
    r"|principles|policy|policies"
    r"|programming|values)\b"
    r"|(?:my|openai's|our) (?:\w+ )?(?:guidelines|principles|programming|policy|policies) (?:do not|don't"
    r"|does not|doesn't|prohibit"
    r"|prevent|forbid|won't|will not)\b"
    r"|it (?:would be|is|isn't|is not|would not be|wouldn't be) (?:inappropriate|unethical|appropriate|ethical"
    r"|irresponsible"
    r"|responsible|right|wrong) for me to\b"
    r"|(?:that|this)(?:'s| is| isn't|'s not| is not) (?:not )?(?:something|a (?:request|topic|task"
    r"|question)) (?:that |which )?i"
    r"(?:'m not|'m unable| am not| am unable| can ?not| can't| won't| will not)"
    rf"|{_IDENTITY},? (?:and |so )?(?:i )?(?:therefore )?(?:do not|don't|can ?not|can't|am not|have no|lack)\b"
    r"(?! have feelings[^.]{0,20}, but)"
    r"|i (?:do not|don't) (?:currently )?have (?:real-time|access to|up-to-date|live|personal (?:opinions?"
    r"|beliefs?|experiences?"
    r"|preferences|views|feelings)|(?:the )?ability to (?:access|browse|view|predict|see|open|look))"
    r"|i (?:do not|don't) (?:hold|have|form|possess) (?:any )?(?:personal|political) (?:opinions?|beliefs?"
    r"|views?|preferences)"
    r"|i have no (?:access to|way (?:of|to) (?:access|know|see|view))"
)
_THEMES = (
    r"(?:threat|joke|insult|hate|hateful|content|something|anything|racis|sexis|sexual|erotic|explicit|graphic|slur"
    r"|that|this|such|essays?\b|assignment|homework|malware|virus|reviews?\b|fake|fals|mislead|defam|harm|illegal"
    r"|phish|spam|propaganda|rumou?r|for you\b|on your behalf)"
)
_ADVISED = (
    r"(?:advice|guidance|instructions?|information|details|opinions?|recommendations?|tips|diagnos\w+|steps|lyrics"
    r"|tutorials?|assistance|legal|medical|financial|specific)"
)
_STRONG = (
    r"(?:(?:help|assist)(?:ing)?(?: (?:you|anyone|anybody|someone|people|others|users?)(?: to)?)?"
    r"(?= *(?:[.!?,;]|\Z)| (?:with|in|by|on|track|find|plan|create|write|make|do|harm|hurt|get|hide|steal|hack|spy"
    r"|cheat|build|break|access|obtain|buy|bypass|evade|avoid|deceive|manipulate|trick)\b)"
    r"|(?:provid|suppl|generat|creat|produc|reproduc|fulfil|facilitat|condon|endors|promot|assist|divulg|disclos"
    r"|predict|forecast|impersonat|diagnos|prescrib|retriev)(?:e|l|ll|s|y)?(?:ing)? (?!for my|a life|the life)"
    rf"|(?:giv|offer|shar)(?:e|ing)? (?:you |out |any |the )*(?:\w+[- ]){{0,2}}?{_ADVISED}"
    r"|(?:writ|creat|compos|draft|craft|mak|develop|design|build|complet)(?:e|ing)? (?:you )?(?:\w+[- ]){0,3}?"
    rf"{_THEMES}"
    r"|(?:brows|search|surf)(?:e|ing)? (?:the|online|through|for)\b|access(?:ing)? (?:the|any|your|external|real|live"
    r"|current|files?|links?|urls?|websites?|private)\b"
    r"|set(?:ting)? (?:up )?(?:an? |any |the |your )?(?:reminders?|alarms?|timers?)\b|send(?:ing)? (?:an? |any "
    r"|out )?"
    r"(?:notifications?|reminders?|e-?mails?|messages?|texts?)\b|(?:mak|plac)(?:e|ing) (?:any |a )?(?:phone |video )?"
    r"calls?\b|(?:play|stream)(?:ing)? (?:any )?(?:music|audio|songs?|sounds?|videos?)\b"
    r"|(?:recall|remember)(?:ing)? (?:what you|our|previous|past|earlier|your)\b"
    r"|(?:answer|respond to|continue with|comply with|process|discuss|support|take part in) (?:that|this|it|your"
    r"|such|so|these|those)\b|(?:engag|participat|partak)(?:e|ing) in\b|take (?:sides|a (?:side|stance|position))\b"
    r"|(?:recommend|suggest)(?:ing)? (?:any|specific|individual|particular|which)\b"
    r"|(?:guid(?:e|ing) (?:you|anyone)\b|(?:describ|explain|teach|tell|show|walk|instruct|advis)(?:e|ing)? (?:you "
    r"|anyone )?(?:how to|on how|through)\b)"
    r"|(?:speculat|comment)(?:e|ing)? (?:on|about)\b|confirm or deny\b)"
)
_WEAK = (
    r"(?:(?:tell|give|show|teach|advise) you\b|make (?:that|this|such|an?|the) (?:\w+ )?(?:decision|choice|call"
    r"|judgment|determination)|judge\b|verify\b|determine\b|describe\b|explain\b|recommend\b(?![^.!?]*\benough)"
    r"|answer\b|discuss\b|decide\b|choose\b|say (?:who|which|whether|what)\b|do (?:that|this|it|so)\b"
    r"|open\b|read\b|see\b|view\b|check\b|hear\b|draw\b|sing\b|play\b|translate\b|share\b|write\b"
    r"|support\b|encourage\b|know\b|look (?:up|at)\b|offer\b)"
)
_HARD_TO_SAY = r"(?! (?:you )?(?:how (?:much|happy|grateful|sorry)|enough|for (?:sure|certain)))"
_THEREFORE = (
    r"[^.!?\n\"“:]{3,180}?(?:[,;—–-]| ) ?(?:so|and so|and|therefore|thus|hence|which is why|but|which means)[, ]+"
    r"(?:unfortunately,? |therefore,? |sadly,? |that )?"
)
_SOMETHING = (
    r"[^.!?\n\"“]{0,120}?(?:\b(?:is|are|it's|that's|this is)(?: not|n't)?|[a-z]'s(?: not)?) (?:something|anything"
    r"|a (?:request|topic|task|question|thing|subject)|[^.!?\n,\"“]{0,30}(?:choice|decision))"
    r" (?:that |which )?i(?:'m|'ll| am)? (?:\w+ )?(?:not|can|can't|cannot|will|won't|unable|able|comfortable|willing"
    r"|would|must)\b (?:\w+ )?(?:to |be able to )?(?:able to )?(?:help|assist|do|provide|support|create|write"
    r"|generate|engage|discuss|make|answer|decide|offer|share|with|comfortable|decline)"
)
_BEYOND = (
    r"[^.!?\n\"“]{0,80}?\b(?:beyond|outside(?: of)?) (?:my (?:\w+ )?(?:capabilit|abilit|scope|expertise|remit"
    r"|guideline"
    r"|training|knowledge)|the scope of (?:my|what i)|what i (?:can|am able))"
    r"|[^.!?\n\"“]{0,60}?\b(?:isn't|is not|not) my place to\b"
    r"|(?:there is|there's) no way (?:for me to|i can)\b|i have no (?:way|means) (?:of|to)\b"
    r"|i (?:do not|don't) (?:currently )?(?:have|retain|keep|store) (?:any )?(?:memory|memories|records?) of\b"
    r"|[^.!?\n\"“]{0,60}?\b(?:off the table|not an option for me)\b|[^.!?\n\"“]{0,60}?\bagainst (?:what i stand"
    r"|everything i)\b"
    r"|i (?:would not|wouldn't|do not|don't) feel (?:right|comfortable|okay|good) (?:about |with )?\w+ing\b"
    r"|i (?:do not|don't) (?:currently )?have (?:any )?(?:real|live|current|up|recent|the latest"
    r"|today)[\w-]* (?:\w+ )?(?:information|data|news|access|updates|prices|results|figures)\b"
    r"|i lack (?:the|any) (?:ability|capability|access|means)\b"
)
_OPENLY = (
    rf"(?:{_LEAD}{_LINK}){{0,2}}(?:{_UNABLE}{_STRONG}|{_SOMETHING}|{_BEYOND}|{_THEREFORE}{_UNABLE}(?:{_STRONG}"
    r"|(?:do|support|condone) (?:so|it|that|this)\b))"
)
_REFUSAL = lazy_pattern(
    rf"(?:{_LEAD}{_LINK}){{0,2}}(?:{_PLAIN_REFUSAL})"
    rf"|{_OPENLY}"
    rf"|(?:{_LEAD}{_LINK}){{1,2}}{_UNABLE}{_ACT}(?! but\b)"
    rf"|(?:{_LEAD}{_LINK}){{1,2}}(?:that|this)(?:'s| is)(?: not|n't)? (?:something|anything) (?:that )?i\b"
)
_UNVOICED = lazy_pattern(
    rf"(?:{_THEREFORE})?{_UNABLE}{_WEAK}{_HARD_TO_SAY}(?![^.!?\n]{{0,80}}[,;—–] (?:but|however)\b)"
)
_DENIES = lazy_pattern(
    r"n't|not|no |never|unable|incapable|lack|declin|refus|against|violat|conflict|prohibit|prevent|forbid"
    r"|inappropriate"
    r"|unethical|irresponsible|wrong|beyond|outside"
)
_LED_UNVOICED = lazy_pattern(
    rf"(?:{_LEAD}{_LINK}){{1,2}}{_UNABLE}(?!help but|wait|imagine|stress|overstate|agree|hear you)[a-z]+"
    r"(?![^.!?\n]{0,80}[,;—–] (?:but|however)\b)"
)
_SENTENCES = lazy_pattern(r"(?<=[.!?])\s+")
_OPENS_SOFTLY = lazy_pattern(
    r"\A(?:i understand|i'm (?:so |really |very |truly )*sorry|i am (?:so |really |very |truly )*sorry|while i "
    r"|it sounds like|i know )"
)
_GOES_ON = lazy_pattern(
    r"\A[^.\n]{0,160}[,;] (?:but|however,?) (?:here|i can|i could|i'd be happy|i'm happy|i am happy|let me)\b"
)


def refuses(opening: str, length: int, voiced: bool) -> bool:
    """Return whether an answer that opens with this text refuses, in its first sentence or in its second.

    "I don't have opinions, but here is what both sides say" is no refusal where an answer follows.

    Args:
        opening: The beginning of the answer in small letters.
        length: The number of characters of the whole answer.
        voiced: Whether the answer may speak as somebody else, for example in a story or a letter.
    """
    if not _DENIES.search(opening) or (length > MORE_THAN_A_REFUSAL and _GOES_ON.search(opening)):
        return False
    if _REFUSAL.match(opening):
        return True
    first, *rest = _SENTENCES.split(opening, maxsplit=1)
    if not voiced and length <= MORE_THAN_A_REFUSAL and (_UNVOICED.match(first) or _LED_UNVOICED.match(first)):
        return True
    second = rest[0] if rest and (_OPENS_SOFTLY.match(first) or not voiced) else ""
    return _REFUSAL.match(second) is not None
