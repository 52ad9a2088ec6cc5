"""English mentions of things that a prompt must hold, as patterns for a text without capitals."""

from collections.abc import Sequence

_PICTURE = r"(?:picture|photo(?:graph)?|image|graph|chart|diagram|figure|map|screenshot|drawing|cartoon)"
_READING = (
    r"(?:passage|article|excerpt|text|paragraph|poem|story|dialogue|conversation|transcript|lecture|report|essay"
    r"|letter)"
)
_SHEET = r"(?:table|spreadsheet|worksheet|dataset|data)"
_CODE = r"(?:code|program|snippet|function|script|query|regex|loop)"
_SPEAKER = r"(?:author|narrator|speaker|writer|poet)"
_ORDINAL = r"(?:first|second|third|fourth|fifth|last|\d+(?:st|nd|rd|th))"
_ENDS = r"(?= *(?:[.?!,;]|\Z))"
_NAMED = r"(?! (?:of|by|from|on|about|in|for|named|called|titled|that|which|who) )"
_CHANGED = (
    r"(?:rewrite|rephrase|translate|summari[sz]e|edit|proofread|correct|analy[sz]e|read|convert|simplify|shorten"
    r"|paraphrase"
    r"|explain|sort|fix|complete|check|improve|format|punctuate|annotate|refactor|debug|review|continue)"
)
_SENT = r"(?:sent|gave|showed|shared|pasted|posted|uploaded|attached|provided|mentioned|wrote|submitted|forwarded)"
_PAGES = (
    r"(?:pdf|docx?|csv|xlsx?|zip|json|log|slides?|presentation|proposal|contract|invoice|memo|cv|paper|notes"
    r"|manuscript|screenshots?)"
)
_ATTACHED = (
    r"\b(?:the|this|my|these) (?:attached|enclosed|uploaded|linked|accompanying) (?:\w+ ){0,2}?"
    rf"(?:{_PICTURE}|{_READING}|{_SHEET}|{_CODE}|{_PAGES}|documents?|files?|photos?|images?|pictures?|charts?|tables?"
    r"|resume|e-?mails?|list|recipe|receipt|video|audio|clip|diagrams?|reports?|letters?)\b(?! (?:attribute|feature"
    r"|option"
    r"|button|field|type|property))",
    rf"\b(?:the|this|that|these|those|my) (?:\w+ ){{1,2}}?(?:that |which )?(?:i|we)(?:'ve| have)? (?:just )?{_SENT}\b"
    rf"(?: (?:to )?you)?(?= *(?:[.?!,;]|\Z|earlier|above|below|yesterday|before|last|into|in|so|and|for|to))",
    rf"\b(?:the|that|this) (?:\w+ ){{1,2}}?(?:that |which )?you(?:'ve| have)? (?:just )?(?:{_SENT}|suggested"
    rf"|generated|made"
    r"|created|drafted|told me|recommended) (?:earlier|above|before|previously|last time|yesterday|me|just now)\b",
    r"\bwhere (?:we|you|i) (?:left off|stopped|ended|finished)\b|\b(?:our|from|since|like) last (?:time|session"
    r"|chat)\b",
)
_SHOWN = (
    rf"\b(?:in|from|of|on|with|about|by|to) (?:the|this|these|that) (?:(?:given|provided|above|bar|line|pie|scatter"
    rf"|flow"
    rf"|reading|following|first|second|third|last|final|opening|short|audio|video) )*(?:{_PICTURE}s?|passage|excerpt"
    rf"|text|article|paragraph|stanza|audio clip|clip|recording|transcript|reading|spreadsheet|worksheet|dialogue"
    rf"|flowchart|infographic|comic|meme|painting|extract|lecture|advertisement|dataset|flyer|poster)"
    r"(?= *(?:[.?!,;:]|\Z)| (?:above|below|have|has|had|is|are|was|were|do|does|did|show|and|about|that (?:show"
    r"|support)"
    r"|to (?:answer|find|support|describe|explain|calculate|determine)))",
    rf"\b(?:based on|according to|referring to|refer to|looking at|look at|using|study|examine|consider|consult"
    rf"|given)"
    rf" (?:the|this|these|that) (?:(?:[\w-]+) ){{0,2}}?(?:{_PICTURE}s?|passage|excerpt|text|article|paragraph|table"
    rf"|data"
    rf"|reading|spreadsheet|dataset|transcript|dialogue|recording|infographic|poem|story|survey results){_ENDS}",
    r"\b(?:the )?(?:figure|fig\.|table|exhibit|diagram|chart|appendix|map|graph|document|source|passage|image"
    r"|picture)"
    r" (?:\d{1,2}|[a-h]|i{1,3}|one|two|three)\b(?= *(?:[.?!,;]|\Z)| (?:above|below|and|to|is|shows?|shown|depicts?))",
    r"\b(?:translate|summari[sz]e|rewrite|paraphrase|explain|correct|answer|solve|calculate|convert|simplify|consider"
    r"|review|analy[sz]e|read|using|from|on|of|proofread|edit) (?:all )?(?:of )?(?:the above|the below|the following)"
    r"(?: (?:sentences?|passages?|texts?|questions?|paragraphs?|problems?|exercises?|expressions?|equations?|words?"
    r"|code"
    r"|function|information|poem)\b|(?= *(?:[.?!,;:]|\Z)| (?:in|into|to|for|so|as|by|with|using|please)\b))",
    rf"\b(?:wrong with|(?:errors?|mistakes?|bugs?|problems?|issues?) (?:in|with)|think (?:of|about)|feedback on"
    rf"|happens? in"
    rf"|improve|comment on|look at|review|critique|understand|explain|summari[sz]e|rewrite|shorten|translate) my"
    rf" (?:\w+ )?(?:{_CODE}|essay|resume|cv|cover letter|paragraph|draft|poem|story|writing|e-?mail|letter|homework"
    rf"|thesis"
    rf"|report|article|text|sentences?|answers?|solution){_ENDS}",
    r"\b(?:happens?|happen|occurs?|comes|going on) (?:next |then |at the end |first )?in (?:the|this) (?:story|text"
    r"|passage"
    rf"|poem|dialogue|scene|play|extract){_ENDS}|\bwould happen next\b",
    r"\b(?:joke|humou?r|message|irony|symbolism|meaning|mood|action|people|person|man|woman|girl|boy|animal|animals"
    rf"|object|objects|labels?|word|phrase|line) (?:in|of|on) (?:this|the) (?:{_PICTURE}|{_READING}|sign|ad|comic"
    rf"|meme|clip"
    rf"|video|sentence){_ENDS}",
    rf"\b(?:who (?:is|are|was)|what is the name of) the (?:narrator|speaker|protagonist|main characters?|author|poet"
    rf"|hero)"
    rf"(?: (?:in|of) (?:the|this) (?:{_READING}|novel|book|play|scene))?{_ENDS}",
    rf"\bthe {_ORDINAL} (?:paragraph|stanza|sentence|line|section|row|column|picture|image|slide|verse|scene) (?:say"
    rf"|mean"
    r"|describe|suggest|show|tell|add|state|explain|mention|begin|end|about|start|imply|refer|focus|contain)",
    rf"\bthe (?:{_SPEAKER}|man|woman|boy|girl|people|person|students?|characters?|speakers) (?:in|of|on) (?:the|this)"
    rf" (?:\w+ )?(?:clip|recording|passage|dialogue|conversation|audio|video|excerpt|text|article|lecture"
    rf"|{_PICTURE})\b{_NAMED}",
    rf"\bthe (?:{_ORDINAL}|other|main|female|male) speaker\b",
    rf"\b(?:the|each|this) (?:\w+ ){{1,3}}?(?:shown|pictured|depicted|highlighted|underlined|circled|labell?ed"
    rf"|illustrated)(?: here)?{_ENDS}",
    rf"\b(?:does|do|did|can) the (?:\w+ )?(?:{_PICTURE}|{_SHEET}|passage|excerpt|text|article|paragraph|poem"
    rf"|dialogue) (?:illustrate|show|say"
    rf"|tell|suggest|mean|imply|indicate|depict|describe|reveal|compare|represent|display|present|argue|state"
    rf"|mention)\b",
    rf"\b(?:title|topic|subject|source|trend|scale|legend|x-axis|y-axis|setting|plot|moral|theme|conflict|mood"
    rf"|summary|conclusion|main idea) (?:of|in|on)"
    rf" (?:the|this) (?:\w+ )?(?:{_PICTURE}|{_SHEET}|passage|excerpt|text|article|paragraph|poem|story|dialogue"
    rf"|letter|speech){_ENDS}",
    rf"\b(?:in|of|from|with) (?:the|this) (?:story|poem|play|scene|letter|report|speech|chapter|conversation"
    rf"|interview|lyrics|e-?mail"
    rf"|advertisement|play){_ENDS}|\b(?:summary|translation|analysis|review) of this (?:{_READING}|paper|book"
    rf"|document|page){_ENDS}",
    r"\byour (?:last|previous|earlier|first|second|third) (?:point|answer|question|sentence|statement|comment"
    r"|paragraph|example|idea|suggestion)\b",
    rf"\A(?:please |can you |could you )*(?:correct|fix|find|identify|spot) (?:the|any|all)(?: \w+)? (?:mistakes?"
    rf"|errors?|bugs?|typos?) in"
    rf" (?:this|the|these|my) (?:\w+ )?(?:sentences?|{_READING}|{_CODE}|e-?mail|document){_ENDS}",
    rf"\b(?:use|using|study|examine|read|consult) (?:the|this) (?:\w+ )?(?:{_PICTURE}|passage|excerpt|table|article"
    rf"|text) to\b",
    r"\bthe following (?!is\b|are\b|was\b|were\b|can\b|do\b|does\b|has\b|have\b|would\b|best\b|could\b|day|week"
    r"|month|year|morning|evening|night|season|decade|century|summer|winter|spring|autumn"
    r"|generation|sunday|monday)"
    r"(?:\w+ ){0,2}\w+(?= *(?:[?!]|\.?\s*\Z)| (?:valid|correct|true|false|right|wrong|grammatical|into)\b)",
    r"\A(?:please |can you |could you )*(?:read|summari[sz]e|translate|explain|fix|solve|answer|check|rewrite"
    r"|proofread|edit|analy[sz]e|improve) (?:this|these)"
    r"(?= *(?:[.!?]|\Z)| (?:and|for me|into|in (?:english|japanese|french|german|spanish|\w+ (?:words"
    r"|sentences)))\b)",
    r"\bwhy (?:did|does|do) the (?:author|narrator|speaker|writer|poet)\b|\bthe (?:author|narrator|speaker|writer"
    r"|poet)"
    r"(?:'s)? (?:main |central |primary |overall )?(?:argument|claim|point|purpose|attitude|tone|view|opinion|use of"
    r"|intention|message|thesis)\b(?! (?:of|in) [a-z]+ing)|\bin (?:lines?|paragraphs?|stanzas?) \d+\b",
    r"\A(?:please )?(?:continue|finish|complete|resume) (?:the|this|our|your|that) (?:story|poem|conversation|essay"
    r"|list"
    r"|code|chapter|article|tale|text|discussion|dialogue)(?= *(?:[.!?,;]|\Z)| (?:from|where|until|in the same|and))",
    r"\b(?:here|below) (?:is|are) (?:my|the|a|an|some)(?: \w+){1,3}?[.:]\s*(?:please|can|could|what|how|is|help"
    r"|give)\b"
    r"[^.?!]{0,60}[.?!]?\Z",
    r"\b(?:choose|select|pick|find|identify|circle|underline) (?:the|each|all|every|any) (?:\w+ )?(?:words?|phrases?"
    r"|verbs?"
    r"|nouns?|adjectives?|adverbs?|pronouns?|options?|answers?|sentences?|errors?|mistakes?|subjects?|statements?"
    r"|clauses?)"
    r" (?:that|which) (?:best |correctly |most )*(?:completes?|fits?|means?|describes?|matches|answers?|does not"
    r"|doesn't|is)\b",
    r"\b(?:options|choices|statements|sentences|words|questions|numbers|problems|lists?|terms|phrases) (?:given "
    r"|listed "
    r"|shown |provided )?(?:below|above)(?= *(?:[.?!,;]|\Z)| (?:best|is|are|in|to|with|by|using|that|correctly))",
    r"\b(?:your|the) (?:previous|earlier|last|prior|first) (?:answer|response|reply|message|explanation|suggestion"
    r"|poem|story"
    r"|essay|draft|version|output|e-?mail|code|summary|list)\b(?= *(?:[.?!,;]|\Z)| (?:as|in|into|to|so|and|with|but"
    r"|by|again"
    r"|more|was|about|you)\b)",
)
THINGS: Sequence[str] = (
    *_ATTACHED,
    *_SHOWN,
    rf"\bwhat (?:does|did|do|can|could) (?:the|this) (?:{_PICTURE}|{_SHEET}|{_READING}|{_SPEAKER}|sign)s?\b{_NAMED} ?"
    r"(?:show|say|tell|suggest|mean|imply|indicate|depict|describe|reveal|think|argue|believe|want|compare)",
    rf"\A(?:in|from|looking at|based on|using) (?:the|this) (?:{_PICTURE}|{_SHEET}|{_READING})(?: above| below)?,",
    rf"\b(?:is|are|was|were|appears?|shown|see|seen|depicted|standing|sitting|written|mentioned|described|stated"
    rf"|there|happening"
    rf"|find) (?:in|on|from) (?:the|this) (?:{_PICTURE}|{_READING}){_ENDS}",
    rf"\b(?:in|of) the {_ORDINAL} (?:row|column|paragraph|stanza|picture|image|line)\b(?: (?:of"
    rf"|in) the {_SHEET})?{_ENDS}",
    rf"\bthe {_ORDINAL} (?:row|column) (?:in|of) the {_SHEET}{_ENDS}",
    rf"\baccording to the (?:{_SPEAKER}|{_READING}|{_PICTURE}|{_SHEET}|survey|recording|video)\b{_NAMED}",
    r"\b(?:underlined|highlighted|bold(?:ed|faced)?|italici[sz]ed) (?:word|phrase|part|sentence|section|text)s?\b"
    r"|\b(?:word|phrase|part)s? in (?:bold|italics)\b|\bin this (?:sentence|paragraph|passage|excerpt)\b",
    rf"\A(?:please |can you |could you |now )*{_CHANGED} (?:the|this|these|my) (?:following )?(?:{_READING}"
    rf"|{_CODE}|{_PICTURE}"
    rf"|sentences?|words?|list|table|numbers|phrases?|statements?|e-?mail|equation|document|expression)"
    rf"(?= *(?:[.?!,;]|\Z)| (?:in|into|to|for|so|alphabetically|by|using|and|as|with|please)\b)",
    r"\b(?:check|grade|correct|review|proofread|edit|improve|mark|evaluate|look (?:at|over)|fix|polish"
    r"|debug) my (?:\w+ )?"
    r"(?:answers?|essay|code|translation|solution|grammar|writing|work|letter|resume|cv|paragraph|sentences?"
    r"|email|draft|homework"
    rf"|script|function|program|poem|story){_ENDS}",
    rf"\b(?:of|does|is|will|can|about|why|what|with|in|on|for|did) this {_CODE}\b"
    rf"|\b(?:describe|explain|about|with|in|of|from) this {_PICTURE}\b",
    r"\blisten to (?:the|this) (?:recording|audio|conversation|dialogue|lecture|passage|speaker|clip)\b"
    r"|\bwatch (?:the|this) (?:video|clip"
    r"|film)\b(?! (?:of|by|about))|\blook (?:carefully )?at (?:the|this|these) (?:\w+ )?(?:maps?|pictures?"
    r"|photos?|images?|graphs?|charts?"
    rf"|tables?|diagrams?)\b{_NAMED}|\b(?:information|data|words|facts) (?:in|from|given in"
    rf"|shown in) the (?:{_SHEET}|{_READING}"
    rf"|{_PICTURE}|box)\b{_NAMED}",
    r"\b(?:the|this) following (?:json|xml|yaml|csv|html|sql|schema|statements?|options|questions?|numbers"
    r"|phrases?|terms|problems?"
    r"|exercises?|dialogue|log|config(?:uration)?)\b",
)
CHOICES = (
    r"\Awhich (?:answer|option|statement|choice|sentence|word|phrase)s? (?:is|are|best|fits|completes"
    r"|correctly)[^:?,]{0,40}\?\s*\Z",
    r"\bwhich (?:one )?of (?:the following|these|the above|the options)\b",
    r"\b(?:choose|select|pick|circle|underline|mark|tick) (?:the|one|an?) (?:\w+ )?(?:answer|option|word|form"
    r"|verb|choice"
    r"|alternative|response|preposition|tense|statement)\b",
    r"\bfill (?:in|out) (?:the|each) (?:missing |empty )?(?:blanks?|gaps?|words?|spaces?)\b|\bmatch (?:the"
    r"|each) (?:\w+ )?(?:words?|items?"
    r"|terms?|columns?|pictures?|sentences?|halves|definitions?)\b|\b(?:true or false|put|arrange|order) (?:the"
    r"|these) (?:words|sentences"
    r"|events|statements)\b",
)
EARLIER = (
    r"\b(?:our|the|this) (?:discussion|conversation|chat) (?:so far|above|until now)\b|\bwhat did you mean (?:by"
    r"|when)\b"
    r"|\bas you (?:just )?(?:said|mentioned|suggested)\b|\byou just (?:said|mentioned|gave|wrote)\b"
    r"|\A(?:thanks|thank you|great|ok(?:ay)?|perfect|nice)?[!.,]? ?(?:now |please |can you "
    r"|could you )*(?:make it|rewrite it|translate it"
    r"|shorten it|summarize it|explain it|say it) ?(?:a (?:bit|little) )?(?:\w+er|more|less|again|in|into|to|for"
    r"|as|using|better|and)?\b"
    r"|\b(?:explain|elaborate on|expand on|repeat|clarify|rewrite|revise) (?:step|point|item|part|number"
    r"|question|section|option|tip)"
    r" (?:\d+|one|two|three|four|five)\b"
    r"|\A(?:please )?(?:continue|go on|keep going|try again|more|another one|one more)(?: please)?[.!]?\Z"
)
PROJECTS = (
    r"\b(?:the|our|your|this) (?:\w+ )?(?:ongoing|current|present) (?:\w+ )?projects?\b(?! manag)"
    r"|\bprojects? (?:that |which )?(?:you(?:'re| are| have been)|we(?:'re| are)) (?:currently |now )?(?:working"
    r"|involved|engaged|doing)"
)
