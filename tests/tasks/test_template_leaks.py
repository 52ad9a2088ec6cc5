"""What a chat template left in an answer or a prompt is found; texts that speak of templates, roles and calls hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.filter.rules.texts import template_leak
from kasasagi.tasks.text.response_rules import Answer, first_broken
from kasasagi.tasks.text.thoughts.thinking import split_thinking
from tests.tasks import leak_samples as samples

ANSWER = "The product of 17 and 23 is 391. You can check it as 17 times 20 plus 17 times 3."
LEAKS = [
    f"{ANSWER}<|im_end|>",
    f"{ANSWER}<|eot_id|>",
    f"{ANSWER}<｜end▁of▁sentence｜>",
    f"{ANSWER}<end_of_turn>\n<start_of_turn>user\nAnd 18?",
    f"{ANSWER}<turn|>",
    f"{ANSWER}</s>",
    f"{ANSWER} [/INST]",
    f"assistant\n\n{ANSWER}",
    f"model\n{ANSWER}",
    f"Assistant: {ANSWER}",
    f"{ANSWER}\n\nHuman: And what is 18 times 23?\n\nAssistant: 414.",
    f"{ANSWER}\n\nUser: And 18 times 23?",
    f"{ANSWER}\n\n### Instruction:\nMultiply 18 by 23.",
    f"{ANSWER}\nuser\nAnd what is 18 times 23?",
    "391です。\n\nユーザー：18かける23は？",
    '<tool_call>\n{"name": "mul", "arguments": {"a": 17, "b": 23}}\n</tool_call>',
    '[TOOL_CALLS][{"name": "mul", "arguments": {}}]',
    '{"name": "mul", "arguments": {"a": 17, "b": 23}}',
    "<|python_tag|>mul(17, 23)",
    '<function=mul>{"a": 17}</function>',
]
PLAIN = ANSWER.removesuffix(".")
CALL = '{"name": "mul", "arguments": {"a": 17, "b": 23}}'
LEAKS += [
    f"{ANSWER}assistant\n\nThe product again.",
    f"{PLAIN} and 17 times 3.user\n\nAnd what is 18 times 23?",
    f"{ANSWER}\nUSER: And 18?\nASSISTANT: It is 414.",
    f"{ANSWER}\nHuman: And what about 18?",
    "391です。\nユーザー：18は？\nアシスタント：414です。",
    f"{ANSWER}\n### Instruction:\nMultiply 18 by 23.",
    f"### Response:\n{ANSWER}",
    "### 応答:\n391です。",
    f"**Assistant:** {ANSWER}",
    f"I will compute it.\n<tool_call>\n{CALL}\n</tool_call>",
    '<function_calls>\n<invoke name="mul">\n</invoke>\n</function_calls>',
    'I will.\n<invoke name="mul">',
    '<minimax:tool_call>\n<invoke name="mul">',
    "I will. <seed:tool_call>",
    '<｜DSML｜function_calls>\n<｜DSML｜invoke name="mul">',
    f"[{CALL}]",
    '{"type": "function", "name": "mul", "parameters": {}}',
    f"```json\n{CALL}\n```",
    f"I will call it.\n\n```json\n{CALL}\n```",
    "I must multiply.\nAction: mul\nAction Input: 17, 23",
    f"{ANSWER}[|endofturn|]",
    f"[|assistant|]{ANSWER}",
    f"{ANSWER}[e~[",
    f"]~b]ai\n{ANSWER}",
    f"{ANSWER}<|plamo:op|>",
    f"{ANSWER}<seed:eos>",
    f"{ANSWER}[UNUSED_TOKEN_145]",
    f"{ANSWER}<eoa>",
    f"{ANSWER}<unused5>",
    f"{ANSWER}<reserved_106>",
    f"[SYSTEM_PROMPT]Be kind.[/SYSTEM_PROMPT]{ANSWER}",
    f"{ANSWER}</think>",
    f"{ANSWER}<|im_end",
    f"thought\nI must multiply.\n{ANSWER}",
    f"{ANSWER}\n<think>\nIs it?\n</think>\nIndeed.",
    f"{ANSWER}\n<think>\nIs it?\n</think>",
    f"{ANSWER}\n<thinking>\nIs it?\n</thinking>\nIndeed.",
    f"{ANSWER}\n\n<final_answer>391</final_answer>",
    f"<analysis>\nI multiply.\n{ANSWER}",
]
FINE = [
    ANSWER,
    "In ChatML every turn ends with the token `<|im_end|>`, and in Llama 3 with `<|eot_id|>`; Mistral writes [INST].",
    "Use `</s>` for the end.",
    "The user: a person who uses something.",
    "Users:\n\n- admin\n- guest",
    "Human rights are for all.\n\nHumans: everybody.",
    "A model\nneeds data.",
    "```\n<|im_start|>user\n```\nis how a turn begins.",
    "In HTML <s>this</s> is struck out.",
    "Assistants help people.",
    "x <| y |> z pipes twice.",
    "1. admin\n2. user\n\nThe admin may do all.",
    "admin\nuser\nguest",
    "model\nThe model holds data.",
    "氏名\n\nユーザー: 田中",
    "The framework keeps it in request.user\n\nThen the view reads it.",
    "The closing tag is </think>, which some models write.",
    'It ends with "</think>" or 「[/THINK]」.',
]


@pytest.mark.parametrize("content", LEAKS)
def test_what_a_template_left_in_an_answer_is_found(content: str) -> None:
    broken = first_broken(["no_template_leak"], Answer("What is 17 times 23?", content))
    assert broken is not None
    assert broken.reason == "template_leak"


@pytest.mark.parametrize("content", FINE)
def test_an_answer_about_templates_or_without_them_holds(content: str) -> None:
    assert first_broken(["no_template_leak", "decoded"], Answer("What is 17 times 23?", content)) is None


@pytest.mark.parametrize(
    ("instruction", "content"),
    [
        ("Write a dialogue between a user and a bot.", "User: Hi\n\nUser: Are you there?"),
        ("Call the tool mul with 17 and 23 in JSON.", '{"name": "mul", "arguments": {"a": 17}}'),
        ("How does a chat template end a turn?", "With <|im_end|> in ChatML and <|eot_id|> in Llama 3, as a rule"),
        ("What ends a Llama 3 message?", "<|eot_id|>"),
        ("Was bedeutet <unk>?", "<unk> steht für ein Wort, das fehlt"),
        ("How do I tell Mistral where my request is?", "Put it between [INST] and [/INST]."),
        ("Write an FAQ for a library.", "It is open daily.\nQ: On Sundays?\nA: No."),
        ("チャットの会話例を書いて。", "ユーザー：こんにちは\n\nユーザー：元気？"),
    ],
)
def test_roles_calls_and_marks_that_were_asked_for_hold(instruction: str, content: str) -> None:
    assert first_broken(["no_template_leak"], Answer(instruction, content)) is None


@pytest.mark.parametrize(
    "content", ["TheĠproductĠofĠ17ĠandĠ23ĠisĠ391.", "▁The▁product▁of▁17▁is▁391", "<0xE3><0x81><0x82>"]
)
def test_tokens_that_were_not_decoded_are_found(content: str) -> None:
    broken = first_broken(["decoded"], Answer("What is 17 times 23?", content))
    assert broken is not None
    assert broken.reason == "undecoded"


@pytest.mark.parametrize("content", ["Ġużpin is no word; Ġgantija is a temple in Malta, Ġorġ a name.", "a ▁ b"])
def test_letters_that_tokens_are_made_of_hold(content: str) -> None:
    assert first_broken(["decoded"], Answer("Name a temple.", content)) is None


def broken(instruction: str, content: str) -> str | None:
    found = first_broken(["no_template_leak", "decoded"], Answer(instruction, content))
    return found.detail if found else None


@pytest.mark.parametrize(
    ("instruction", "content"),
    [*samples.PLAIN_ANSWERS, *samples.HELD_OUT_PLAIN, *samples.LATER_PLAIN],
    ids=lambda text: text[:40],
)
def test_a_plain_answer_is_neither_cut_nor_lost(instruction: str, content: str) -> None:
    assert split_thinking(content, None) == (content, None)
    assert broken(instruction, content) is None


@pytest.mark.parametrize("text", samples.PLAIN_PROMPTS, ids=lambda text: text[:40])
def test_a_plain_prompt_holds(text: str) -> None:
    assert template_leak(text) is None


@pytest.mark.parametrize(
    "content", [*samples.LEAKED_ANSWERS, *samples.HELD_OUT_LEAKS, *samples.LATER_LEAKS], ids=lambda text: text[-40:]
)
def test_a_leak_of_another_form_is_cut_or_found(content: str) -> None:
    answer, thinking = split_thinking(content, None)
    assert thinking is not None or broken("Tell me of the river.", answer)


@pytest.mark.parametrize(
    "text",
    [
        *samples.LEAKED_PROMPTS,
        "[|user|]What is moss?",
        "]~b]user\nWhat is moss?",
        "What is moss?<think>\nOkay",
        "</think>\n\nWhat is moss?",
        "What is moss? ASSISTANT: Moss is a plant.",
        "What is moss?\n\nAnswer: A plant.",
        "苔とは？\n\n回答：植物です。",
        "ãģĵãĤĵãģ«ãģ¡ãģ¯",
        "What is moss?[/SYSTEM_PROMPT]",
    ],
)
def test_a_leak_in_a_prompt_is_found(text: str) -> None:
    assert template_leak(text)


TOKENS = ["<|im_end|>", "<｜end▁of▁sentence｜>", "<end_of_turn>", "[|endofturn|]", "[e~[", "<|plamo:op|>", "<seed:eos>"]
QUOTES = ["`{}`", "“{}”", '"{}"', "'{}'", "「{}」", "『{}』"]


@given(st.sampled_from(TOKENS), st.sampled_from(QUOTES), st.sampled_from(["The sea is wide.", "海は広い。"]))
def test_a_token_leaks_behind_a_sentence_and_not_in_quotes(token: str, quote: str, sentence: str) -> None:
    assert broken("Tell me of the sea.", sentence + token)
    assert template_leak(sentence + token)
    assert broken("Tell me of the sea.", f"{sentence} It says {quote.format(token)} there.") is None
    assert template_leak(f"{sentence} It says {quote.format(token)} there.") is None
    assert broken(f"What does {token} mean?", f"{token} ends a turn") is None


def byte_level(text: str) -> str:
    """Return a text as GPT-2's vocabulary writes its bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    signs = {byte: chr(byte) for byte in plain}
    signs |= {byte: chr(256 + place) for place, byte in enumerate(byte for byte in range(256) if byte not in signs)}
    return "".join(signs[byte] for byte in text.encode())


@given(st.text(st.characters(min_codepoint=0x3041, max_codepoint=0x9FFF, codec="utf-8"), min_size=3))
def test_undecoded_japanese_is_found_and_decoded_japanese_holds(text: str) -> None:
    assert first_broken(["decoded"], Answer("", byte_level(text)))
    assert first_broken(["decoded"], Answer("", text)) is None
