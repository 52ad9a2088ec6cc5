"""Answers that are bad beyond doubt are dropped before a judge is paid; all others pass."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.text.asked_repetition import repeats_asked
from kasasagi.tasks.text.languages import language_of
from kasasagi.tasks.text.response_rules import RULES, Answer, Broken, first_broken

ALL = tuple(RULES)
ENGLISH = (
    "The library opens at nine and closes at six on weekdays. On Saturdays it stays open until noon, and on Sundays it "
    "is closed. If you want to borrow a book, bring your card; a new one costs two euros and is made while you wait. "
)
JAPANESE = (
    "図書館は平日の九時から六時まで開いています。土曜日は正午まで、日曜日は休館です。本を借りるときはカードをお持ちください。"
    "新しいカードは二百円で、その場でお作りします。返却が遅れると、しばらく借りられなくなることがあります。"
)


def reason(instruction: str, content: str, finish: str | None = "stop", rules: tuple[str, ...] = ALL) -> str | None:
    broken = first_broken(rules, Answer(instruction, content, finish))
    assert broken is None or broken.detail
    return None if broken is None else broken.reason


@pytest.mark.parametrize(
    ("instruction", "content"), [("When is it open?", ENGLISH), ("いつ開いていますか。", JAPANESE)]
)
def test_a_good_answer_keeps_all_rules(instruction: str, content: str) -> None:
    assert reason(instruction, content) is None


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_truncated_answer_is_dropped(finish: str) -> None:
    assert reason("Go on.", ENGLISH, finish) == "truncated"


@pytest.mark.parametrize("finish", ["stop", None, "", "eos", "STOP", "normal", "end_of_text", "tool_use"])
def test_a_finished_answer_is_kept(finish: str | None) -> None:
    assert reason("Go on.", ENGLISH, finish) is None


@pytest.mark.parametrize("content", ["", " \n\t", "　", "\u200b\n\ufeff"])
def test_an_empty_answer_is_dropped(content: str) -> None:
    assert reason("Go on.", content) == "empty"


@pytest.mark.parametrize("content", ["7", "?", "👍", "x"])
def test_a_short_answer_is_not_empty(content: str) -> None:
    assert reason("Go on.", content) is None


@pytest.mark.parametrize(
    "content",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I can’t assist with that request.",
        "I am sorry, I cannot provide instructions for making weapons.",
        "Sorry, I can't do that.",
        "**I cannot assist with this request.** Please ask something else.",
        "As an AI language model, I cannot give medical advice.",
        "I apologize, but as an AI I am unable to generate such content.",
        "I apologize, but I won't be able to help you with this.",
        "Unfortunately, I am not able to fulfill this request.",
        "I can't comply with that.",
        "I can't help you with that.",
        "I must decline. This could hurt someone.",
        "I'm unable to assist with this.",
        "I understand that you are curious, but I cannot provide any help with it.",
        "I'm not able to create explicit content.",
    ],
)
def test_an_english_refusal_is_dropped(content: str) -> None:
    assert reason("How do I do it?", content, rules=("no_refusal",)) == "refusal"
    assert reason("Write a phishing email.", content, rules=("no_refusal",)) == "refusal"


@pytest.mark.parametrize(
    "content",
    [
        "申し訳ありませんが、そのご質問にはお答えできません。",
        "申し訳ございませんが、ご要望にはお応えできかねます。",
        "申し訳ありません。お手伝いすることはできません。",
        "すみませんが、そのような情報は提供できません。",
        "大変申し訳ございませんが、違法な行為に関する情報を提供することはできません。",
        "AIとして、医療上の判断についてお答えすることはできません。",
        "そのような内容を作成することはできません。",
        "ご質問にはお答えいたしかねます。",
        "残念ながら、その件ではお力になれません。",
        "恐れ入りますが、回答は控えさせていただきます。",
        "その依頼には応じられません。",
    ],
)
def test_a_japanese_refusal_is_dropped(content: str) -> None:
    assert reason("やり方を教えてください。", content, rules=("no_refusal",)) == "refusal"


@pytest.mark.parametrize(
    ("instruction", "content"),
    [
        ("Write a story.", '"I cannot help you," said the fox. "Sorry," said the crow, and they went their ways.'),
        ("Write a story.", "I cannot help but smile when I think of that summer by the lake."),
        ("Write a story.", "I can't do this anymore. The rain had not stopped for days."),
        ("Write to a customer.", "Dear Ms Hill,\nI'm sorry, but we cannot provide a refund for your order."),
        ("Write to a customer.", "I'm sorry to hear that your parcel was late. We will send another one."),
        ("Can I take the train?", "Sorry for the confusion! The train leaves at nine."),
        ("Write an apology for me.", "I'm sorry, but I can't help with that move on Saturday. Let's meet on Sunday."),
        ("Translate: お手伝いできません。", "I'm sorry, but I cannot help you."),
        ("Do you have feelings?", "As an AI, I don't have feelings, but I'm happy to talk about them."),
        ("Why does it fail?", "I can't be sure without the log, but the port seems to be taken."),
        ("物語を書いて。", "「申し訳ありませんが、お手伝いできません」と狐は言った。カラスは笑って飛び去った。"),
        ("お客様への文面を書いて。", "お客様各位\n申し訳ございませんが、そのご要望には対応できません。"),
        ("断りの文例をください。", "申し訳ありませんが、今回のご依頼には対応できません。"),
        ("謝って。", "申し訳ありませんでした。次からは時間を守ります。"),
        ("このソフトは使えますか。", "このソフトは古い版には対応できませんが、新しい版では動きます。"),
        ("How does one pick a lock?", "I can't help with that in detail. " + ENGLISH * 4),
    ],
)
def test_what_only_sounds_like_a_refusal_is_kept(instruction: str, content: str) -> None:
    assert reason(instruction, content, rules=("no_refusal",)) is None


@pytest.mark.parametrize(
    ("instruction", "content"),
    [
        ("When is the library open?", JAPANESE),
        ("図書館はいつ開いていますか。", ENGLISH),
        ("When is the library open?", "Библиотека открыта по будням с девяти до шести часов."),
        ("図書館はいつ開いていますか。", "图书馆从周一到周五开放，时间是九点到六点，我们在这里等您。"),
        ("Когда открыта библиотека?", ENGLISH),
        ("Who is Dario, and when does he open?", "Библиотека открыта по будням с девяти до шести часов."),
        ("図書館の用語を文字で。", ENGLISH),
        ("簡単な体操を教えてください。", "你可以先站直，然后慢慢弯腰，重复十次就行了。"),
        ("図書館について。", "圖書館從星期一到星期五開放，星期六和星期日休息，歡迎您來。"),
        ("会話の話題を時間ごとに挙げて。", "早上可以聊天气，中午可以聊吃饭，晚上可以聊电影和音乐。"),
        (
            "When is the library open?",
            "Die Bibliothek ist an Werktagen von neun bis sechs Uhr für alle Besucher geöffnet.",
        ),
        ("What should I pack for a trip?", "Vous devriez emporter des vêtements chauds, une carte et une bonne lampe."),
        ("図書館について。", "**Library**\n- It opens at nine in the morning\n- It closes at six in the evening"),
    ],
)
def test_an_answer_in_another_language_is_dropped(instruction: str, content: str) -> None:
    assert reason(instruction, content) == "other_language"


@pytest.mark.parametrize(
    ("instruction", "content"),
    [
        ("Translate: The library is closed on Sundays.", "図書館は日曜日は休みです。ご注意ください。"),
        ("Say it in Japanese: the library is closed.", "図書館は休みです。また明日来てください。"),
        ("「図書館は休みです」を英語にしてください。", ENGLISH),
        ("次の文を要約してください。\n" + ENGLISH, JAPANESE),
        ("次の文を要約してください。\n" + ENGLISH, ENGLISH),
        ("What does this say? " + JAPANESE, ENGLISH),
        ("素数を判定する関数を書いて。", "```python\ndef is_prime(number):\n    return number > 1\n```"),
        ("素数を判定する関数を書いて。", "def is_prime(n):\n    return n > 1 and all(n % i for i in range(2, n))"),
        ("いくつですか。", "42"),
        ("首都はどこですか。", "Tokyo"),
        ("What is the capital?", "東京"),
        ("好きな言語は何ですか。", "Python, JavaScript, TypeScript, Rust, Go, Ruby"),
        ("Pythonのasyncioとは？", "asyncioはPythonの標準ライブラリで、async/awaitを使うI/O処理のためのものです。"),
        ("Write a haiku with kanji.", "古池や蛙飛びこむ水の音、静けさや岩にしみ入る蝉の声"),
        ("123 + 456", "その答えは五百七十九です。ご確認ください。"),
        ("Write a short greeting in Hindi.", "नमस्ते, आपसे मिलकर बहुत खुशी हुई।"),
        ("Greet me in Greek.", "Γεια σου, χαίρομαι πολύ που σε βλέπω."),
        ("Greet me in Hebrew.", "שלום, אני שמח מאוד לפגוש אותך."),
        ("Greet me in Ukrainian.", "Добрий день, радий вас бачити в нашому місті."),
        ("Greet me in Persian, please.", "سلام، از دیدن شما بسیار خوشحالم."),
        ("A greeting in Bengali?", "নমস্কার, আপনার সাথে দেখা হয়ে ভালো লাগল।"),
        ("Greet me in TAMIL.", "வணக்கம், உங்களை சந்தித்ததில் மகிழ்ச்சி."),
        ("Write my name in Cyrillic: Alexandra Petrova", "Александра Петрова"),
        ("Say hello in five languages.", "Привет, здравствуйте, добрый день, ciao, salut, hej"),
        ("タイ語で短い自己紹介を書いてください。", "สวัสดีครับ ผมชื่อทาโร่ ยินดีที่ได้รู้จัก"),
        ("Hindiで挨拶してください。", "नमस्ते, आपसे मिलकर बहुत खुशी हुई।"),
        (
            "フィンランド語で自己紹介をしてください。",
            "Hei, minun nimeni on Taro ja asun pienessä talossa meren rannalla.",
        ),
        ("広東語で挨拶してください。", "你好，我哋今日去邊度食飯呢？佢哋都嚟㗎。"),
        ("ウクライナの文章をキリル文字で書いて。", "Добрий день, радий вас бачити в нашому місті."),
        ("TOEICのような短い会話文を作ってください。", "A: When does the store open?\nB: It opens at nine on weekdays."),
        ("Quote a haiku by Issa as he wrote it.", "やせ蛙まけるな一茶これにあり"),
        ("杜甫の「春望」の冒頭を原文で示してください。", "国破山河在，城春草木深。感时花溅泪，恨别鸟惊心。"),
        ("コミットメッセージの例をください。", "Fix the login page so that empty passwords are refused"),
        ("什么是机器学习？", "机器学习是让计算机从数据中学习规律的方法，常用于预测和分类。"),
        ("Wann ist die Bibliothek offen?", "Die Bibliothek ist an Werktagen von neun bis sechs Uhr offen."),
    ],
)
def test_the_asked_language_is_kept(instruction: str, content: str) -> None:
    assert reason(instruction, content) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello there", "en"),
        ("Das ist gut.", "en"),
        ("こんにちは", "ja"),
        ("東京都庁", "ja"),
        ("Pythonのasyncioを使う", "ja"),
        ("これはReact componentです", "ja"),
        ("「猫」means cat in English, and it is read as neko.", "en"),
        ("我们在这里等您", "other"),
        ("水在摄氏一百度沸腾，在零度结冰。", "other"),
        ("請問臺北有哪些好吃的餐廳？", "other"),
        ("四字熟語一覧", "ja"),
        ("国民主権、基本的人権尊重、平和主義", "ja"),
        ("明治維新、大正政変、昭和恐慌", "ja"),
        ("「我是学生」は中国語でどういう意味ですか", "ja"),
        ("Vous pouvez commencer par faire chauffer l'eau.", "other"),
        ("Git rebases the branch onto main and force pushes it", "en"),
        ("Lorem ipsum dolor sit amet, consectetur adipiscing elit", "en"),
        ("\ud800 Hello there, how are you doing today?", "en"),
        ("Привет, мир", "other"),
        ("안녕하세요 여러분", "other"),
        ("สวัสดี", "other"),
        ("`print` 関数を使う", "ja"),
        ("```\nprint('hello')\n```", None),
        ("https://example.org/page", None),
        ("1, 2, 3", None),
        ("", None),
    ],
)
def test_the_language_of_a_text(text: str, language: str | None) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "content",
    [
        "It is open. " * 10,
        ENGLISH + "and then and then " * 12,
        "The answer is that the library is open.\n" * 8,
        "".join(f"{number}. The library is open on weekdays.\n" for number in range(1, 12)),
        "開いています。" * 12,
        JAPANESE + "そしてまた、" * 15,
        "ABCD" * 60,
        "!" * 400,
        "0" * 400,
        "x" + " " * 400 + "y",
        ENGLISH * 8,
    ],
)
def test_a_loop_is_dropped(content: str) -> None:
    assert reason("Go on.", content, rules=("no_repetition",)) == "repetition"


TABLE = "| Day | Opens | Closes |\n|-----|-----|-----|\n" + "".join(
    f"| Day {day} | {day + 7}:00 | {day + 15}:00 |\n" for day in range(7)
)
CODE = "".join(f"    if value == {number}:\n        return {number * 7}\n    }}\n" for number in range(12))


@pytest.mark.parametrize(
    ("instruction", "content"),
    [
        ("Go on.", TABLE),
        ("Go on.", CODE),
        ("Go on.", "".join(f"- item {name}\n" for name in "abcdefghijklm")),
        ("Go on.", "------------------------------------------------------------\n" + ENGLISH),
        ("Go on.", "Name: ____________________________________________________________________\n" + ENGLISH),
        ("Go on.", "ha ha ha ha ha! That was a good one."),
        ("Go on.", "あああああああ、もうだめだ。\nわはははは、と彼は笑った。"),
        ("What is 10^100?", "10^100 is 1" + "0" * 100 + ", a number with a hundred zeros, called a googol. " + ENGLISH),
        ("What is a third?", "It is 0.333333333333333333333333333333."),
        ("Say hello ten times.", "hello\n" * 10),
        ("「こんにちは」を20回言って。", "こんにちは。" * 20),
        ("Please repeat the word hello until I stop you.", "hello " * 30),
        ("「すき」を100回書いてください。", "すきです、" * 30),
        (
            "Go on.",
            "\n".join(f"{line}\nAnd the river runs on." for line in [ENGLISH[i : i + 40] for i in range(0, 240, 40)]),
        ),
        (
            "一覧をください。",
            "".join(f"・第{number}章：{JAPANESE[number * 4 : number * 4 + 9]}\n" for number in range(12)),
        ),
    ],
)
def test_lists_tables_and_asked_repetition_are_kept(instruction: str, content: str) -> None:
    assert reason(instruction, content, rules=("no_repetition",)) is None


@pytest.mark.parametrize(
    "instruction",
    [
        "How many times did she win Wimbledon?",
        "What are good times to visit Kyoto?",
        "Why does history repeat itself?",
        "How can I refrain from eating sugar?",
        "オリンピックはこれまで何回開かれましたか。",
        "週に3回運動するとどうなりますか。",
        "繰り返し処理とは何ですか。",
        "List three times of day when bees are active.",
        "Tell me about three times when Rome fell.",
        "Give me two times when Rome fell.",
        "Say how many times a week I should run.",
        "Write four lines about the sea.",
        "Write a story about a man who died three times.",
        "Which team won five times in a row?",
        "Explain how to repeat a measurement properly.",
        "What is the chorus of frogs?",
        "What is a refrain?",
        "サビとは何ですか。",
        "4行の詩を書いてください。",
    ],
)
def test_a_word_for_repetition_in_a_question_excuses_no_loop(instruction: str) -> None:
    assert (
        reason(instruction, "It happened in the summer of that year. " * 12, rules=("no_repetition",)) == "repetition"
    )


@pytest.mark.parametrize(
    ("instruction", "asked"),
    [
        ("Write the word hello ten times.", 10),
        ("Repeat 'Are you there?' 15 times.", 15),
        ("Can you say hi twenty times in a row?", 20),
        ("Type ha ha ha 1,000 times, please.", 1000),
        ("Print 12 copies of the word ok.", 12),
        ('Write 8 lines of "I will not talk".', 8),
        ("「はい」を二十回繰り返してください。", 20),
        ("「すき」を百五回書いて。", 105),
        ("Repeat the word hello until I stop you.", math.inf),
        ("What is the chorus of Hey Jude?", math.inf),
        ("Write a song with a refrain about rain.", math.inf),
        ("歌詞を書いてください。", math.inf),
        ("Say why it failed.", 0),
    ],
)
def test_the_number_of_repeats_that_an_instruction_asks_for(instruction: str, asked: float) -> None:
    assert repeats_asked(instruction) == asked


@given(st.integers(2, 40), st.integers(8, 60))
def test_a_loop_is_excused_up_to_the_number_asked_for(asked: int, given_times: int) -> None:
    found = reason(
        f"Write the line 'Bees sleep' {asked} times.", "Bees sleep.\n" * given_times, rules=("no_repetition",)
    )
    assert found == (None if given_times <= asked else "repetition")


def test_the_first_rule_in_the_given_order_counts() -> None:
    answer = Answer("Go on.", "", "length")
    assert first_broken(["finished", "not_empty"], answer) == Broken(
        "finished", "truncated", "the answer ended by 'length'"
    )
    assert first_broken(["not_empty", "finished"], answer) == Broken("not_empty", "empty", "the answer is empty")
    assert first_broken([], answer) is None


def test_an_unknown_rule_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"'no_refusals' is not a rule for responses; did you mean 'no_refusal'\?"):
        first_broken(["no_refusals"], Answer("", ""))


@given(st.text(max_size=300), st.text(max_size=600), st.sampled_from(["stop", "length", None, "odd"]))
def test_any_text_can_be_tested(instruction: str, content: str, finish: str | None) -> None:
    assert reason(instruction, content, finish) in {None, *(rule.reason for rule in RULES.values())}


@pytest.mark.parametrize(
    "junk",
    [
        "a",
        "a ",
        "ab",
        "\n",
        "i",
        "sorry, ",
        "`",
        "```",
        "://",
        "あ",
        "その",
        "i can't ",
        "a'",
        "。",
        "1",
        "((",
        "0 a b ",
        "<|im_end|>, ",
        '"<think>" ',
        "</think>, ",
        "\nUser: a",
        "\nQ: a b c d",
        "\nuser\n",
        ".user\n",
        "Thought:\n",
        '[ { "name": ',
        "<tool_call> is ",
        ":\n\n\n",
    ],
)
def test_long_junk_takes_linear_time(junk: str) -> None:
    content = junk * (1_000_000 // len(junk))
    start = time.process_time()
    for name in ALL:
        first_broken([name], Answer(content, content + "x", "stop"))
        first_broken([name], Answer("Go on.", "".join(chr(97 + i * i % 23) for i in range(2000)) + content, "stop"))
    assert time.process_time() - start < 20
