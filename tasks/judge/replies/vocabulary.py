"""The words that stand behind a rating: how good a text is to which each of them fits, and which numbers they fit.

Grades go from 1, the worst, to 5, the best, whatever the scale is. A band is the lowest and the highest grade.
"""

from typing import Literal

Band = tuple[float, float]
Kind = Literal["praise", "middle", "blame", "flaw"]
Part = Literal["not", "very", "mostly", "partly", "slightly", "greatly", "neutral", "break", "doubt"]

_TOP, _GREAT, _GOOD = (4.5, 5.0), (4.25, 5.0), (3.5, 4.5)
_WELL, _FAIR, _MEAGRE = (3.25, 5.0), (2.75, 3.25), (2.0, 2.75)
_FLAW, _POOR, _BAD = (1.5, 2.9), (1.0, 1.9), (1.0, 1.5)

GRADED: dict[tuple[Kind, Band], str] = {
    ("praise", _TOP): """
        excellent|perfect|flawless|outstanding|exceptional|superb|best|highest|maximum|brilliant|exemplary
        |impeccable|ideal|error-free|faultless|wonderful|amazing|fantastic|top quality|full marks
        |as good as it could be|exceeds expectations|correct|right|accurate|true|truthful|precise|factual
        |誤りなし|誤りのない|誤りがない|誤りはない|間違いなし|間違いのない|間違いがない|ミスなし|欠点なし
        |文句なし|優秀|優|完璧|最高|最良|満点|申し分ない|申し分のない|申し分がない|申し分無い
        |申し分なく|申し分なし|非の打ち所がない|非の打ちどころがない|文句のつけようがない|素晴らし|すばらし|秀逸|抜群
        |完全|正し|正解|正確|正答|真実""",
    (
        "praise",
        _GREAT,
    ): """
        great|strong|comprehensive|thorough|complete|insightful|compliant|compliance|卓越|優れ|見事|網羅""",
    ("praise", _GOOD): """
        good|nice|solid|well done|decent|commendable|above average|良好|問題なし|問題ない|問題なく|良|よい|よく
        |よかっ|いい|十分|満足|上出来|無難""",
    ("praise", _WELL): """
        helpful|useful|clear|clearly|concise|informative|relevant|detailed|honest|polite|fluent|coherent
        |consistent|appropriate|suitable|satisfactory|satisfying|valid|sound|faithful|reliable|readable|natural
        |easy|engaging|safe|well|well-written|well-structured|well-organized|organized|structured|correctly
        |accurately|effectively|on point|to the point|on topic|proper|properly|logical|creative|practical|direct
        |fully compliant|sufficient|answers|addresses|follows|satisfies|meets|covers|explains|solves|fulfills
        |fulfils|helps|follow|address|satisfy|meet|cover|explain|solve|fulfill|役に立|役立|有用|有益|明確|明快
        |分かりやす|わかりやす|読みやす|丁寧|詳し|詳細|簡潔|適切|的確|妥当|自然|具体的|誠実|忠実|答えて|答えら
        |に答え|回答し|応え|従っ|従い|守っ|満たし|論理的|精度が高い|正確性が高い|正確さが高い|完成度が高い
        |質が高い|説得力|参考に""",
    ("middle", _FAIR): """
        fair|adequate|some help|average|acceptable|moderate|ok|okay|passable|medium|intermediate|so-so|mixed
        |neutral|meets expectations|普通|ふつう|平均的|平均|まあまあ|人並|可もなく不可もなく|可|中程度|及第""",
    (
        "middle",
        _MEAGRE,
    ): """
        mediocre|below average|limited|lacking|subpar|sub-par|平凡|物足り|いまひとつ|今ひとつ|いまいち""",
    ("flaw", _FLAW): """
        error|errors|mistake|mistakes|flaw|flaws|gap|gaps|omission|omissions|issue|issues|problem|problems
        |inaccuracy|inaccuracies|slip|slips|fault|faults|weakness|weaknesses|shortcoming|shortcomings|typo|typos
        |departure|ambiguity|誤りが|誤りは|誤りも|誤りを|間違いが|間違いは
        |間違いも|まちがいが|まちがいは|ミス|誤字|欠点|欠陥|難点|問題が
        |問題は|問題も|問題点|不足|欠け|欠い|欠く|抜け|漏れ|もれ|不備|誤記|脱字|弱点|難が""",
    ("flaw", _BAD): """
        hallucination|hallucinations|contradiction|contradictions|fabrication|fabrications|falsehood|falsehoods""",
    ("blame", _FLAW): """
        misses|missed|missing|lacks|omits|omitted|omit|incomplete|vague|imprecise|unclear|verbose|wordy
        |repetitive|awkward|confusing|skips|overlooks|too short|too long|too brief|too vague|too general|brief
        |superficial|shallow|generic|leaves out|needs improvement|needs work|room for improvement|could be
        |could have|would benefit|inconsistent|misspelled|weak|insufficient|inadequate|flawed|unsourced|曖昧
        |あいまい|冗長|不十分|不明確|不明瞭|足りな|足りず|分かりにく|わかりにく|読みにく|浅い|乏し|省い|省か
        |短すぎ|長すぎ|弱い|不自然|改善""",
    ("blame", _POOR): """
        poor|poorly|no help|little help|not help|not help the|bad|badly|unsatisfactory|substandard|inaccurate
        |unhelpful|dishonest|disappointing|deficient|unacceptable|low quality|劣っ|劣る|劣|悪い|悪く|不良|低品質
        |質が低い|精度が低い|正確性が低い|完成度が低い|不可|不適切|不親切|不満|粗末|不誠実|いい加減|いいかげん""",
    ("blame", _BAD): """
        wrong|incorrect|false|untrue|terrible|awful|horrible|worst|useless|worthless|harmful|dangerous|unsafe
        |irrelevant|nonsense|nonsensical|gibberish|garbage|rubbish|trash|lowest|minimum|failure|fail|fails
        |failed|failing|unusable|meaningless|misleading|off-topic|off topic|clearly wrong|clearly false
        |clearly incorrect|toxic|offensive|invented|fabricated
        |fabricates|hallucinated|hallucinates|refuses|refused|refusal|ignores|ignored|contradicts|contradictory
        |unrelated|lies|lie|not answer|not answered|unanswered|misses the point|beside the point|broken|empty
        |blank|illegible|unreadable|invalid|misunderstands|misunderstood|間違|間違い|まちがい|まちがっ|誤り|誤っ
        |誤答|誤解|不正解|不正確|最悪|最低|ひどい|ひどく|酷い|酷く|無関係|関係な|関係の|無意味|意味不明|的外れ
        |的はずれ|つまらな|くだらな|まずい|まずく|わるい|ばかげ|役立たず|嘘|うそ|虚偽|捏造|でたらめ|危険|有害
        |不適|無視|失敗|だめ|ダメ|駄目|拒否|無用|無価値|矛盾|論外|おかしい|おかしな|使えな|違う|違っ|ずれ""",
}
"""Words by their kind and band. A Japanese one may be the stem of a word."""

PARTS: dict[Part, str] = {
    "not": """
        not|no|never|n't|cannot|neither|nor|without|free of|hardly|barely|nothing|none|isn't|doesn't|don't
        |didn't|wasn't|aren't|can't|won't|zero|devoid of|far from""",
    "very": """
        very|highly|outstandingly|exceptionally|remarkably|incredibly|notably|extremely|really|fully|completely
        |totally|entirely|thoroughly|perfectly|absolutely|utterly|extraordinarily|truly|quite|always|throughout
        |とても|非常に|大変|たいへん|極めて|きわめて|完全に|全面的に|すべて|全て|まったく|全く|全体的に|大いに
        |実に""",
    "mostly": """
        mostly|largely|generally|nearly|overall|mainly|ほぼ|おおむね|概ね|大部分|大部分が|ほとんど|大半|大半が
        |大体|だいたい|主に""",
    "partly": """
        partly|partially|somewhat|fairly|moderately|reasonably|rather|some|in part|in parts|一部|一部が|一部に
        |部分的に
        |部分的な|ある程度|いくらか|いくつか|半ば""",
    "slightly": """
        slightly|slight|small|minor|a few|tiny|trivial|negligible|marginal|a bit|a little|occasional|occasionally
        |やや|少し|若干|多少|わずかに|わずかな|小さな|軽微な|軽微|細かな|細かい|ちょっと""",
    "greatly": """
        major|severe|serious|critical|significant|big|large|many|several|numerous|glaring|fatal|grave
        |substantial|key|important|fundamental|gross|blatant|obvious|essential|too many|main|重大な|深刻な
        |大きな|大きく|多くの|多い|多く|多数の|致命的な|致命的|明らかな|明らかに|重要な|著しく|根本的な|はっきり""",
    "doubt": """
        or|than|between|only|just|few|fewer|little|merely|nobody|no one|sometimes|rarely|seldom|scarcely|once
        |seem|seems|seemingly|appear|appears|apparently|look|looks|start|starts|beginning|begins|end|ends|all but
        |anything but|another|other|short of|at best|at least|in theory|in name|by chance|by accident|maybe|perhaps
        |almost|one|two|three|four|five|six|seven|eight|nine|ten|half|would|should
        |might|may|could|can|unless|if|instead|actually|initially|previously|originally|formerly|revised|revise
        |revision|change|changed|corrected|correction|adjusted|adjust|raised|raise|lowered|upgraded|downgraded
        |increased|decreased|reduced|up|down|upward|upwards|downward|downwards|too|scale|reverse|reversed
        |inverted|inverse|opposite|example|examples|instance|e.g|i.e|sample|placeholder|template|place|placed
        |rank|ranks|ranked|ranking|first|second|third|fourth|fifth|top|bottom|position|better|worse|higher|lower
        |said|says|say|claims|claimed|requested|told|quote|quoted|quotes|as asked|wants|wanted|according
        |supposedly|allegedly|pretends|sarcasm|not rated|unrated|n/a|unsure|uncertain|guess|rating|rated|rate
        |score|scored|scores|stars|star|vote|so-called|as|depending|except|until|before|after|still|yet|whatever
        |ignore|disregard|cancel|deleted|withdrawn|void|零|一|二|三|四|五|六|七|八|九|十|半|または|もしくは
        |ではな|より|から|例|順|位|番|修正|訂正|変更|逆|反対|尺度|高すぎ|低すぎ|上げ|下げ|仮|暫定|予定|希望|要求
        |自称|引用|指示さ|書かれた|言わ|本来|当初|本当は|実は|なら|べき|はず|かも|だろう|でしょう|評価|評点|点数
        |得点|スコア|採点|撤回|取り消|無効|ほど|取消|冗談|ふり|フリ|よくも|だけ|のみ|つもり|らしい|らしく
        |見え|見せ|装っ|装う|疑わ|疑い|怪し|っぽ|一見|どころ|ほど遠|程遠|思え|思わ|到底|ようだ|ようで|気がす|気はす
        |難い|難く|がたい|言っ|自分|主張|称し|もう少し|もっと|低い|低く|高い|高く|嘘では|いいえ|どちら|これ以下""",
    "break": """
        but|however|although|though|yet it|while|except that|and|which|that|because|since|so|with|ものの|一方|しかし
        |ただし|けれど|けど""",
    "neutral": """
        a|an|the|it|its|is|are|be|was|were|been|has|have|had|having|in|on|of|to|for|as well|as well as
        |such as|at|by|from|this|these|those|all|any|also|does|do|did|there|what|how|every|each|both
        |very much|who|where|when|about|into|within|them|they|their|he|she|answer|answers the|response|reply
        |text|output|explanation|information|question|instruction|instructions|request|prompt|task|content|facts
        |fact|detail|details|language|format|style|form|tone|wording|grammar|spelling|work|job|quality|reasoning
        |logic|example code|code|sentence|sentences|list|topic|subject|step|steps|point|points|part|parts|thing
        |source|sources|context|use|asked|needed|given|gives|provides|provided|contains|includes|shows|writes
        |written|understand|read|reader|states|mentions|describes|文章|回答|応答|質問|指示|内容|説明|情報|要求
        |形式|文法|表現|言語|日本語|事実|点|部分|構成|文|文体|計算|結論|理由|根拠|観点|箇所|所|こと|もの|ため
        |として|について|である|です|ます|した|して|され|書かれ|書い|述べ|示し|示さ|含ま|含み|見られ|見当たら
        |ある|あり|おり|いる|いて|求め|必要|記述|理解|提供|答え|一つ|一点|ひとつ|一貫|一般|一致|統一|手順|単位
        |可能|優先""",
}
"""Words that change the grade of those behind them, that end a clause, or that make a label doubtful."""
