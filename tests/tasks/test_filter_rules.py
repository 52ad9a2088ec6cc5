"""The rules on texts: what each rejects, and the legitimate tasks beside it that it must leave alone."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from kasasagi.tasks.filter import FilterConfig, filter_digest
from tests.tasks.test_filter import held, reasons, run, table

NAMES = (
    "repetition",
    "template_leak",
    "answer_inside",
    "private_life",
    "missing_context",
    "odd_script",
    "personal_data",
)
EVERY: list[Any] = [{"language": ["en", "ja"]}, *NAMES]


def broken(folder: Path, rule: Any, texts: list[str]) -> list[str]:
    """The texts that a rule, named as in a recipe, rejects; each for the reason of that name."""
    found = reasons(run(folder, table(folder, texts), rules=[rule], dedup={"exact": False}))
    assert set(found.values()) <= {rule if isinstance(rule, str) else next(iter(rule))}
    return [text for position, text in enumerate(texts) if position in found]


def check(folder: Path, rule: Any, breaks: list[str], holds: list[str]) -> None:
    assert broken(folder, rule, [*breaks, *holds]) == breaks


LEGITIMATE = [
    "Can you help me? I have a list of numbers and want to sort it by size without a library.",
    "Create a user story for a login page.",
    "Write a Python function that removes duplicates from a list while keeping its order.",
    "What are the best ways to save energy in your home?",
    "How do you clean your house before a party?",
    "Write an essay about your family's influence on your life.",
    "Explain the difference between the table and the bar chart in statistics.",
    "What is the answer to life, the universe and everything?",
    "Summarize the following text: The cat sat on the mat and watched the rain fall on the garden.",
    "Fix this code:\n```python\ndef user(assistant):\n    return assistant\n```",
    'Translate the following sentence into Japanese: "I will meet you at the station tomorrow."',
    "Solve 3x + 5 = 20 for x.",
    "List 12 months and the number of days in each.",
    "What does the special token <|im_end|> mean in the ChatML format?",
    "以下の文章を要約してください。\n\n昨日、東京で大きな花火大会が開かれ、多くの人が集まりました。天気にも恵まれました。",
    "次の英文を日本語に訳してください。\nThe quick brown fox jumps over the lazy dog and runs away into the forest.",
    "日本国憲法第九条の意味を、中学生にもわかるように説明してください。",
    "Pythonでリストの重複を取り除く方法を教えてください。",
    "東京都渋谷区でおすすめのカフェを三つ挙げてください。",
    "自宅でできる簡単な運動を五つ教えてください。",
    "あなたは優秀な料理人です。夕食の献立を考えてください。",
    "家庭用の電気代を節約する方法を教えてください。",
    "韓国語の「안녕하세요」はどういう意味ですか？",
    "中国語で「谢谢」と言われたら、どう返せばよいですか？",
    "ユーザー体験を改善するために、アプリの設計で気をつけることは何ですか？",
    "次の数列の規則を見つけてください：2、4、8、16、32",
    "1万人規模のイベントの予算を立てる手順を教えてください。",
    "敬語の「承知しました」と「了解しました」の違いは何ですか？",
]


def test_legitimate_tasks_break_no_rule(tmp_path: Path) -> None:
    result = run(tmp_path, table(tmp_path, LEGITIMATE), rules=EVERY)
    assert [(row["reason"], row["detail"], LEGITIMATE[row["position"]]) for row in held(result)] == []


def test_language_is_that_of_the_words_and_not_of_the_passage_to_work_on(tmp_path: Path) -> None:
    english = ["Why is the sky blue during the day?", "Write a haiku.\nIt should be about the sea."]
    japanese = [
        "空はなぜ青いのですか？",
        "次の英文を訳してください：The sky is blue because of the light that it scatters.",
    ]
    both = [
        "Translate into English: 今日は天気がいいので、公園まで散歩に行きました。とても楽しかったです。",
        "1 + 1 = ?",
    ]
    foreign = ["Почему небо голубое днём?", "하늘은 왜 파란색인가요?", "为什么天空是蓝色的呢？请说明原因。"]
    check(tmp_path, {"language": "ja"}, english, [*japanese, *both])
    check(tmp_path, {"language": "en"}, [japanese[0]], [*english, *both])
    check(tmp_path, {"language": ["en", "ja"]}, foreign, [*english, *japanese, *both])
    check(tmp_path, {"language": {"languages": "other"}}, [*english, japanese[0]], [*foreign, both[1]])


def test_repetition_is_a_loop_and_not_a_likeness(tmp_path: Path) -> None:
    breaks = [
        "Write a story about a dog. " * 8,
        "Please explain the the the the the the the the the the the the the the the the the the the the the.",
        "日本の首都を教えてください。" * 8,
        "美味しいラーメンの作り方を" + "教えて" * 30,
    ]
    holds = [
        "Count how often each word is repeated:\n" + "red red red red red red " * 6,
        "List ten fruits, ten vegetables, ten animals, ten colours and ten countries of the world.",
        "生麦生米生卵、生麦生米生卵、生麦生米生卵。この早口言葉の意味を教えてください。",
    ]
    check(tmp_path, "repetition", breaks, holds)


def test_template_leak_is_a_marker_and_not_a_question_about_one(tmp_path: Path) -> None:
    breaks = [
        "What is the capital of France?<|im_end|>",
        "How do I bake bread? [/INST] You need flour.",
        "Explain how tokenizers work.<|eot_id|>",
        "Name a river.</s>",
        "<s>Name a river.",
        "Name a river.<end_of_turn>",
        "パンの焼き方を教えてください。<|im_start|>assistant",
        "日本の川を一つ挙げてください。\n\n### 応答:\n信濃川です。",
        "### 指示:\n日本の川を一つ挙げてください。",
        "What is 2 + 2?\n### Response:\n4",
        "user: what is the tallest mountain?",
        "What is the tallest mountain?\nassistant: Mount Everest.",
        "ユーザー：一番高い山は何ですか？",
        "一番高い山は何ですか？\nアシスタント: 富士山です。",
        "What is the tallest mountain?\nassistant\nMount Everest.",
        "Name a mountain.\nuser",
        "一番高い山は何ですか。\n\n### 応答",
        "What is the tallest mountain?\n### Response",
        "一番高い山は何ですか。</s><s>",
    ]
    holds = [
        "What does `<|im_start|>` do?",
        "How do I write [INST] in a Llama 2 chat template?",
        "チャットテンプレートの<|im_end|>というトークンは何を意味しますか？",
        "In HTML, is <s>old price</s> still allowed?",
        "In F#, what does x <| y |> z do?",
        "Continue this conversation:\nUser: Hello!\nAssistant: Hi, how are you?\nUser: Fine.",
        "次の会話を要約してください。\nユーザー：こんにちは。\nアシスタント：こんにちは。",
        "Why does this fail?\nuser: root\nhost: localhost\nport: 5432",
        "Why does this fail?\n```\nuser: root\n```",
        "### Task\nWrite a haiku.\n### Rules\nNo rhymes.",
        "The roles are user, assistant and system: explain each.",
    ]
    check(tmp_path, "template_leak", breaks, holds)


def test_answer_inside_is_given_away_and_not_shown_for_review(tmp_path: Path) -> None:
    breaks = [
        "What is the capital of France?\nAnswer: Paris.",
        "What is 2 + 2? (Answer: 4)",
        "What is the largest planet? The correct answer is Jupiter.",
        "How can I sleep better?\nSure! Here are some tips for you:",
        "Can you plan a trip to Rome for three days? Certainly! Here is a plan.",
        "フランスの首都はどこですか？\n答え：パリです。",
        "一番大きい惑星は何ですか？（答え：木星）",
        "日本の首都はどこですか？正解は東京です。",
        "よく眠る方法を教えてください。もちろんです。まず、早く起きましょう。",
        "議事録の書き方を教えてください。\n承知いたしました。以下に示します。",
        "Q: What is the capital of Japan?\nA: Tokyo.",
        "問：日本の首都はどこですか。\n答：東京です。",
        "At how many degrees does water boil? The answer is 100.",
    ]
    holds = [
        "What is the capital of France?\nAnswer:",
        "Grade this.\nQuestion: What is 2 + 2?\nAnswer: 5",
        "Q: 2 + 2?\nAnswer: 4\nQ: 3 + 3?\nAnswer: 6\nQ: 4 + 4?\nAnswer:",
        "Can you recommend a laptop? Of course, I would like it to be cheap.",
        "Which is right?\nA: Paris\nB: Rome",
        "Why do people say that the answer is always in the question?",
        "フランスの首都はどこですか？\n答え：",
        "次の解答を採点してください。\n問題：2＋2は？\n解答：5",
        "「かしこまりました。」と「承知しました。」のどちらが丁寧ですか？",
        "答えを一つだけ選んでください。",
        "Q: What is the capital of Japan?\nA:",
        "問：日本の首都はどこですか。\n答：",
        "Why do some people say that the answer is 42?",
        "日本の首都はどこですか？\n答え：も付けてください。",
    ]
    check(tmp_path, "answer_inside", breaks, holds)


def test_private_life_is_the_answerers_and_not_anybodys(tmp_path: Path) -> None:
    breaks = [
        "Describe your home.",
        "How many rooms are in your house?",
        "Tell me about your childhood.",
        "What is your favorite food and why?",
        "Where did you grow up?",
        "What did you do last weekend?",
        "Do you have any pets?",
        "あなたの自宅はどんな間取りですか？",
        "あなたの家族について教えてください。",
        "あなたの趣味は何ですか？",
        "どこに住んでいますか？",
        "休日は何をして過ごしますか？",
        "What does your typical morning look like?",
        "What is your earliest memory?",
        "Tell me about a time when you failed.",
        "あなたが最近読んだ本は何ですか？",
        "昨日の夕食は何を食べましたか？",
        "How do you spend your weekends?",
        "How do you usually celebrate your birthday?",
    ]
    holds = [
        "What are some tips to make your home safer?",
        "How do I find your home directory in Linux?",
        "What is your home directory on a Mac?",
        'Write a story that begins with "Tell me about your childhood".',
        'How should I reply to "Where did you grow up?" in Spanish?',
        "You are a pirate. Tell me about your childhood.",
        "What are the duties of a family doctor?",
        "What are your favorite tips for learning the guitar?",
        "Give me five interview questions such as: what is your favorite book?",
        "あなたは探偵です。あなたの家族を紹介する小説の冒頭を書いてください。",
        "「あなたの趣味は何ですか」を英語で言うと？",
        "家族で楽しめるゲームを教えてください。",
        "一人暮らしの自宅で火事を防ぐには？",
        "趣味を見つける方法を教えてください。",
        "How do you introduce your family in French?",
        "What are good ways to share your weekend with friends abroad?",
        "What should a typical morning routine look like?",
        "昨日の夕食の残りを使った料理を教えてください。",
        "最近読んだ本を紹介する記事の書き方を教えてください。",
        "How do you spend your money wisely when prices rise?",
    ]
    check(tmp_path, "private_life", breaks, holds)


def test_missing_context_is_a_thing_that_is_not_there(tmp_path: Path) -> None:
    breaks = [
        "Summarize the text below.",
        "Which city has the most people, based on the table below?",
        "Describe what you see in the attached image.",
        "Read the following passage and find the main idea.",
        "What is wrong with the code above?",
        "Describe this image.",
        "Describe the goals of your current project.",
        "Can you expand on your previous answer?",
        "As we discussed earlier, how does the engine work?",
        "以下の文章を要約してください。",
        "次の表を見て、最も人口の多い都市を答えなさい。",
        "添付のファイルを確認してください。",
        "この画像について説明してください。",
        "上記のコードの誤りを指摘してください。",
        "先ほどの回答をもっと詳しく説明してください。",
        "あなたの現在のプロジェクトについて教えてください。",
        "According to the passage, why did John leave?",
        "Refer to the diagram and name the parts.",
        "Fix the bug in my code.",
        "下の図を見て答えてください。",
        "添付ファイルを要約して。",
        "前の質問の続きを教えてください。",
        "本文の内容に合うものを選びなさい。",
        "What is the main idea of the passage?",
        "Please continue the story.",
    ]
    holds = [
        "Summarize the text below.\n\nThe sun rose over the quiet hills while the farmers went to work.",
        "Based on the table below, which city is larger?\n| city | people |\n| --- | --- |\n| A | 3 |\n| B | 5 |",
        "The sun rose over the quiet hills while the farmers went to work.\n\nTranslate the text above into French.",
        "Translate the following sentence: I am tired.",
        "Sort the following list: 3, 1, 2",
        "Use the following steps to explain how a plant makes sugar from light.",
        "How do I add a table to a document in Word?",
        "How do I caption an image in LaTeX?",
        "Write a resume line about your current role as a nurse.",
        "What happens to water below 0 degrees?",
        "以下の文章を要約してください：昨日、東京で花火大会がありました。",
        "「昨日は雨でした」という次の文を英語にしてください。",
        "次の文化祭で出す料理を考えてください。",
        "次の文が正しいか判定してください。地球は太陽の周りを回っている。",
        "次のデータベースの正規化を説明してください。",
        "この表現は正しいですか？",
        "この図書館の歴史を教えてください。",
        "次の条件で献立を考えてください。",
        "表計算ソフトで表を作る方法を教えてください。",
        "この写真集の感想文を書くコツは何ですか？",
        "次の単語を使って文を作ってください。\n犬\n猫",
        "John left since the house was cold and nobody cooked. According to the passage, why did John leave?",
        "According to the passage, why did John leave?\nJohn left since the house was cold and nobody cooked.",
        "Based on the diagram of a cell in most textbooks, what does the nucleus do?",
        "Fix the bug in my code:\nfor i in range(3)\n    print(i)",
        "How can I check my code style in Python?",
        "How do I make the text below an image smaller in CSS?",
        "次の文章題の解き方のコツを教えてください。",
        "下の階の騒音への対処法を教えてください。",
        "次の表現を敬語に直す方法を教えてください。",
        "目の前の質問に集中する方法を教えてください。",
        "メールの本文の内容に合う件名の付け方を教えてください。",
        "What is the main idea of the passage? The river had risen all night, and by dawn the mill was gone.",
        "Continue the story. Once there was a miller who could not sleep because of the wind.",
        "What is the main idea of the text of the Magna Carta?",
    ]
    check(tmp_path, "missing_context", breaks, holds)


def test_a_later_turn_may_speak_of_an_earlier_one(tmp_path: Path) -> None:
    text = "Can you expand on your previous answer?"
    turns = [("user", "Why is the sky blue?"), ("assistant", "Because of scattering."), ("user", text)]
    messages = [[{"role": role, "content": content} for role, content in turns], [{"role": "user", "content": text}]]
    prompts = table(tmp_path, [text] * 2, messages=messages)
    assert reasons(run(tmp_path, prompts, rules=["missing_context"])) == {1: "missing_context"}


def test_odd_script_is_a_mixture_and_not_a_foreign_word(tmp_path: Path) -> None:
    breaks = [
        "この问题の解き方を教えてください。",
        "美味しい음식の作り方を教えてください。",
        "What is the best way to learn프로그래밍 quickly?",
        "東京都知事選挙候補者一覧表作成依頼書類提出期限確認連絡担当者名簿",
    ]
    holds = [
        "この問題の解き方を教えてください。",
        "中国語の「问题」は日本語で何と言いますか？",
        "韓国語の「음식」の読み方を教えてください。",
        "이 문장을 고쳐 주세요.",
        "What does 사랑 mean in Korean?",
        "日本国憲法",
        "次の漢詩を現代語に訳してください。\n国破山河在 城春草木深 感時花濺涙 恨別鳥驚心",
        "請用中文回答這個問題",
        "体育の授業で国語力を伸ばす学習法を教えて。",
        "What is a naïve approach, and what is a café?",
    ]
    check(tmp_path, "odd_script", breaks, holds)
    check(tmp_path, {"odd_script": 0.7}, ["日本国憲法の前文の要点を簡潔に説明してください。"], [])


def test_a_stop_string_is_told_from_the_end_of_a_turn(tmp_path: Path) -> None:
    ends = [None, "<|im_end|>", "<EOD>", "</s>", "128009", "\n\n", "[/INST]", "<end_of_turn>", ""]
    cuts = ["user", "assistant", "###", "。"]
    prompts = table(tmp_path, ["Create a "] * 13, stop_reason=[*ends, *cuts])
    found = run(tmp_path, prompts, rules=["stopped_by"], dedup={"exact": False})
    assert reasons(found) == dict.fromkeys(range(9, 13), "stopped_by")
    assert held(found)[0]["detail"] == "cut at the stop string 'user'"
    looser = run(tmp_path, prompts, rules=[{"stopped_by": ["###", "。"]}], dedup={"exact": False})
    assert set(reasons(looser)) == {9, 10}
    assert reasons(run(tmp_path, table(tmp_path, ["Create a "]), rules=["stopped_by"])) == {}


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ("language", "en, ja or other"),
        ({"language": "de"}, "en, ja or other"),
        ({"language": []}, "en, ja or other"),
        ({"odd_script": 3}, "share"),
        ({"stopped_by": "user"}, "list of stop strings"),
        ({"personal_data": ["telephone"]}, "email, phone, address, my_number"),
        ({"repetition": 3}, "no parameter"),
    ],
)
def test_a_parameter_that_does_not_fit_says_what_would(rule: Any, word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        FilterConfig(rules=[rule])


def test_a_rule_is_not_asked_about_what_a_row_does_not_have(tmp_path: Path) -> None:
    prompts = table(tmp_path, ["", "x"], stop_reason=[None, "user"])
    assert reasons(run(tmp_path, prompts, rules=[*EVERY, "stopped_by"])) == {1: "stopped_by"}


def test_parameters_are_part_of_the_digest(tmp_path: Path) -> None:
    rules: list[Any] = [{"language": "en"}, {"language": "ja"}, "odd_script", {"odd_script": 0.2}, "repetition"]
    digests = {filter_digest(FilterConfig(rules=[rule]), tmp_path) for rule in rules}
    assert len(digests) == len(rules)
    same = filter_digest(FilterConfig(rules=[{"odd_script": {"kana_share": 0.1}}]), tmp_path)
    assert same == filter_digest(FilterConfig(rules=["odd_script"]), tmp_path)


WHOLE = [
    "Can you help me? I have a list of numbers...",
    "Can you help me? I have a list:\n1. pears\n2. apples\n\nSort it, please.",
    "What is wrong here?\n```python\nfor i in range(3)\n    print(i)\n```\nIt raises a SyntaxError.",
    "  Two blanks  in the middle stay,\tand so does a tab.",
    "手伝ってもらえますか？　買い物のリストがあります。\n・りんご\n・卵\n安い順に並べてください。",
    "次の表の合計はいくらですか。\n| 品 | 値段 |\n| --- | --- |\n| 卵 | 240 |\n合計だけ答えてください。",
]


def test_what_survives_is_whole_to_the_last_sign(tmp_path: Path) -> None:
    rules = ["finished", {"min_chars": 10}, "ends_as_a_sentence", *EVERY]
    result = run(tmp_path, table(tmp_path, WHOLE), rules=rules, dedup={"near": True})
    rows = pq.read_table(result.prompts).to_pylist()
    assert [row["instruction"] for row in rows] == WHOLE
    assert [row["messages"][0]["content"] for row in rows] == WHOLE


def test_an_answer_may_also_stand_behind_the_question_on_its_line(tmp_path: Path) -> None:
    breaks = [
        "What is the capital of France? Answer: Paris.",
        "日本の首都はどこですか？ 答え：東京。",
        "日本の首都はどこですか？　正解: 東京",
    ]
    holds = [
        "Is it raining? Answer: yes or no.",
        "Which is larger, 3 or 4? Answer:",
        "Is this right? Answer: the sum is 4. Explain why.",
        "これは正しいですか？ 答え：はい、または、いいえ。",
        "What is 2+2? Answer: 4. What is 3+3?",
    ]
    check(tmp_path, "answer_inside", breaks, holds)
