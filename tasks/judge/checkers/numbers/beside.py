"""Words beside a number that make another number of it: bounds, shares, powers and scales."""

import re

CHANGES = re.compile(
    r"\b(?:more|less|greater|fewer|change|counting|over|under|least|most|below|above|up\s+to|half|third|quarter|twice|double|triple|times"
    r"|dozens?|hundreds|thousands|millions|remainder|mod|modulo|ratio|base|squared|cubed|root|factorial|log|sin|cos|tan"
    r"|percentage|square\s+of|cube\s+of|negative\s+of|opposite|inverse|reciprocal|thrice|quadruple|too|short|away|off|multiples?|factors?"
    r"|divided|multiplied|adds?|subtracts?|multipl(?:y|ies)|divides?|minus|fold|before|without|excluding|so\s+far|never|st|nd|rd|th"
    r"|plus|powers?|than|when|assuming|nearly|almost|barely|hardly|loss|debt|deficit|owes?|lost|increase|decrease|no"
    r"|ahead|behind|pages?|sections?|steps?|questions?|problems?|chapters?|lines?|figures?|tables?|options?|choices?|parts?"
    r"|cases?|grades?|levels?|versions?|january|february|march|april|june|july|august|september|october|november|december"
    r"|every|each\s+of|first|second\s+(?:number|value)|to\s+the\s+power|repeating|recurring|periodic|bce?|ad|ce|ish"
    r"|hal(?:f|ves)|quarters?|(?:third|four(?:teen)?th|fif(?:teen)?th|six(?:teen)?th|seven(?:teen)?th|eigh(?:teen)?th|nin(?:e?teen)?th"
    r"|tenth|eleventh|twelfth|\w+tieth|hundredth|\w+illionth|thousandth)s?|pairs?|couples?|trios?|score|gross|lakhs?|crores?|mil|mln|mn|bn|tn"
    r"|\w+illions?|per\s?mill?e?|basis\s+points?|bps|pp[mb]|kilo|mega|giga)\b|\br\s*\d|[‰‱]"
    r"|小計|税抜|税別|税引|割引前|値引き?前|これまで|ここまで|途中|以上(?!(?:より|から)[、\s])|以下|未満|(?<!以上)より|超|倍|半|余り|あまり|ずつ|比|乗|の平方|逆数|符号|足す|引く|かける|割る|割った|足した|引いた|(?<!以上)から|ごと|前後|台|進法|桁|問|ページ|番目|回目|日目|年目|満点|第|年上|年下|ほど|ほぼ|令和|平成|昭和|大正|明治|紀元|西暦|世紀|氷点下|零下|借金|赤字|損|午前|午後|昨|翌|月\d",
    re.IGNORECASE,
)
"""Beside a number, in its sentence, these leave open what it says."""
SCALE_SIGNS = re.compile(r"\s?(?:[kKMBTG]|mio|mrd|lacs?|lakhs?|crores?|mill?|mln|mn|bn|tn|thou|grand|kilo)(?![A-Za-z])")
"""Signs of thousands and millions that are no plain words: a number with one of them is not decided."""
SCALES = re.compile(
    rf"(?:hundred|thousand|[a-z]+illion|dozen)s?(?![A-Za-z])|per\s?cent(?![A-Za-z])|{SCALE_SIGNS.pattern}"
    r"|[十百千万億兆割][^\s。、．.,!)]*|パーセント",
    re.IGNORECASE,
)
"""Behind a number: by how much it is multiplied."""
JAPANESE_CHANGES = re.compile(
    r"分の|乗|倍|半|余|強|弱|の(?![^\d]{1,8}(?:です|でし|だ|。|$))|以上|以下|未満|より|超|前後|ほど|ずつ|進法|を|足す|引く|掛ける"
)
"""Behind a number, in Japanese: what makes another number of it."""
