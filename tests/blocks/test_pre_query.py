"""The pre-query of a chat template: what a conversation would look like up to the user's words, whatever the family."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.engines.bundled import BundledEngine, shipped_model
from kasasagi.blocks.models.chat_template import (
    ChatTemplate,
    TemplateRefusedError,
    TokenizerUnusableError,
    chat_template,
)
from kasasagi.blocks.models.llm import Message
from kasasagi.blocks.models.pre_query import PreQueryUnknownError, TemplatePreQuery, own_pre_query
from tests import chat_templates as ours

TURNS: list[Message] = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi."}]
HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"


def pre_query(folder: Path, template: str, adds_bos: bool = True, **config: Any) -> TemplatePreQuery:
    return TemplatePreQuery(ChatTemplate.from_folder(ours.write_tokenizer(folder, template, adds_bos, **config)))


@pytest.mark.parametrize(
    ("template", "plain", "stop"),
    [
        (ours.LLAMA, "<s>" + HEADER.format("user"), "<|eot_id|>"),
        (ours.QWEN, "<|im_start|>system\nYou are a magpie.<|im_end|>\n<|im_start|>user\n", "<|im_end|>"),
        (ours.GEMMA, "<s><start_of_turn>user\n", "<end_of_turn>"),
        (ours.PHI, "<|user|>\n", "<|end|>"),
        (ours.MISTRAL, "<s>[INST] ", "[/INST]"),
        (ours.TANUKI, "<s>指示に答えてください。\n\n### 指示:\n", "### 応答:"),
        (ours.DEAF, "<s><|user|>", "<|end|>"),
        (ours.PARTS, "<|user|>", "<|end|>"),
        (ours.LISTS, "<|user|>", "<|end|>"),
        (ours.SUFFIXED, "<|im_start|>user\n", "<|im_end|>"),
        (ours.JSON, '<|tools|>[{"名": 1}]<|end|><s><|user|>', "<|end|>"),
    ],
)
def test_each_family_begins_and_ends_a_users_turn_in_its_way(
    tmp_path: Path, template: str, plain: str, stop: str
) -> None:
    found = pre_query(tmp_path, template)
    assert found.text() == plain
    assert found.stops()["stop"] == [stop]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (ours.LLAMA, f"<s>{HEADER.format('system')}Be kind.<|eot_id|>{HEADER.format('user')}"),
        (ours.QWEN, "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n"),
        (ours.GEMMA, "<s><start_of_turn>user\nBe kind.\n\n"),
        (ours.PHI, "<|system|>\nBe kind.<|end|>\n<|user|>\n"),
        (ours.MISTRAL, "<s>[INST] Be kind.\n\n"),
        (ours.TANUKI, "<s>Be kind.\n\n### 指示:\n"),
        (ours.DEAF, "<s><|user|>Be kind.\n\n"),
        (ours.PARTS, "<|system|>Be kind.<|end|><|user|>"),
        (ours.LISTS, "<|system|>Be kind.<|end|><|user|>"),
        (ours.SUFFIXED, "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n"),
    ],
)
def test_a_system_prompt_stands_in_its_block_or_in_front_of_the_first_words(
    tmp_path: Path, template: str, text: str
) -> None:
    assert pre_query(tmp_path, template).text("Be kind.") == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            ours.QWEN,
            "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello?<|im_end|>\n"
            "<|im_start|>assistant\nHi.<|im_end|>\n<|im_start|>user\n",
        ),
        (
            ours.GEMMA,
            "<s><start_of_turn>user\nBe kind.\n\nHello?<end_of_turn>\n<start_of_turn>model\nHi.<end_of_turn>\n"
            "<start_of_turn>user\n",
        ),
        (ours.MISTRAL, "<s>[INST] Hello? [/INST] Hi.</s>[INST] Be kind.\n\n"),
        (ours.PARTS, "<|system|>Be kind.<|end|><|user|>Hello?<|end|><|assistant|>Hi.<|end|><|user|>"),
        (ours.LISTS, "<|system|>Be kind.<|end|><|user|>Hello?<|end|><|assistant|>Hi.<|end|><|user|>"),
    ],
)
def test_earlier_turns_stand_before_the_next_one(tmp_path: Path, template: str, text: str) -> None:
    assert pre_query(tmp_path, template).text("Be kind.", TURNS) == text


def test_a_system_prompt_that_a_template_folds_into_one_line_stays_in_its_block(tmp_path: Path) -> None:
    text = pre_query(tmp_path, ours.SUFFIXED).text("Be kind.\n\nBe brief.")
    assert text == "<|im_start|>system\nBe kind.  Be brief.<|im_end|>\n<|im_start|>user\n"


def test_what_steers_follows_the_marker_as_it_is(tmp_path: Path) -> None:
    found = pre_query(tmp_path, ours.LLAMA)
    assert found.text(steer=" Write a poem ") == found.text() + " Write a poem "


def ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("template", [ours.LLAMA, ours.QWEN, ours.GEMMA, ours.PHI, ours.MISTRAL, ours.TANUKI])
@pytest.mark.parametrize("adds_bos", [True, False])
def test_an_engine_sees_exactly_one_bos_or_none_where_nobody_writes_one(
    tmp_path: Path, template: str, adds_bos: bool
) -> None:
    found = pre_query(tmp_path, template, adds_bos)
    tokenizer = found.template.tokenizer
    assert tokenizer is not None
    sent = found.prompt("Be kind.", TURNS)
    seen = tokenizer.encode(sent, add_special_tokens=True).ids if isinstance(sent, str) else sent
    bos = tokenizer.token_to_id("<s>")
    assert seen.count(bos) == int(adds_bos or found.text().startswith("<s>"))
    assert seen[0] == bos or not seen.count(bos)
    assert [one for one in seen if one != bos] == ids(
        tokenizer, found.text("Be kind.", TURNS).replace("<s>", "").rstrip(" ")
    )


@pytest.mark.parametrize(
    ("config", "sent"),
    [
        ({"tokenizer_class": "LlamaTokenizer"}, "[INST]"),
        ({"tokenizer_class": "LlamaTokenizer", "add_bos_token": False}, "<s>[INST]"),
        ({"tokenizer_class": "Other", "add_bos_token": True}, "[INST]"),
        ({}, "<s>[INST]"),
    ],
)
def test_an_engine_sees_one_bos_where_the_tokenizer_cannot_be_read_here(
    tmp_path: Path, config: dict[str, Any], sent: str
) -> None:
    folder = ours.write_tokenizer(tmp_path, ours.MISTRAL, **config)
    (folder / "tokenizer.json").unlink()
    assert TemplatePreQuery(ChatTemplate.from_folder(folder)).prompt() == sent


def test_a_text_is_sent_where_the_engine_makes_the_same_tokens_of_it(tmp_path: Path) -> None:
    assert isinstance(pre_query(tmp_path / "a", ours.QWEN, adds_bos=False).prompt(), str)
    assert isinstance(pre_query(tmp_path / "b", ours.QWEN, adds_bos=True).prompt(), str)
    assert isinstance(pre_query(tmp_path / "c", ours.LLAMA, adds_bos=False).prompt(), str)
    assert isinstance(pre_query(tmp_path / "d", ours.LLAMA, adds_bos=True).prompt(), list)


def test_a_blank_that_belongs_to_the_first_word_is_not_sent(tmp_path: Path) -> None:
    found = pre_query(tmp_path, ours.MISTRAL)
    tokenizer = found.template.tokenizer
    assert found.prompt() == ids(tokenizer, "<s>[INST]")
    assert found.prompt(steer="a ") == ids(tokenizer, "<s>[INST] a ")


def test_a_stop_that_engines_leave_out_of_their_text_is_also_a_token_unless_it_ends_by_itself(tmp_path: Path) -> None:
    found = pre_query(tmp_path / "a", ours.LLAMA)
    assert found.stops() == {
        "stop": ["<|eot_id|>"],
        "stop_token_ids": [found.template.special_token_id("<|eot_id|>")],
    }
    assert pre_query(tmp_path / "b", ours.LLAMA, eos_token="<|eot_id|>").stops() == {"stop": ["<|eot_id|>"]}
    assert pre_query(tmp_path / "c", ours.TANUKI).stops() == {"stop": ["### 応答:"]}


def test_a_template_that_writes_the_date_writes_the_same_one_every_day(tmp_path: Path) -> None:
    assert "Today: 26 Jul 2024\n" in pre_query(tmp_path, ours.DATED).text()


def test_the_default_of_several_templates_is_taken_and_a_file_of_its_own_outranks_all(tmp_path: Path) -> None:
    several: Any = [{"name": "tools", "template": "no"}, {"name": "default", "template": ours.PHI}]
    folder = ours.write_tokenizer(tmp_path, several)
    assert TemplatePreQuery(ChatTemplate.from_folder(folder)).text() == "<|user|>\n"
    (folder / "chat_template.jinja").write_text(ours.GEMMA, encoding="utf-8")
    assert TemplatePreQuery(ChatTemplate.from_folder(folder)).text() == "<s><start_of_turn>user\n"


def test_the_bundled_model_says_the_same_of_its_own_template() -> None:
    found = own_pre_query(ChatTemplate.from_folder(shipped_model()), "hina")
    engine = BundledEngine()
    cases: list[tuple[str | None, str, Sequence[Message]]] = [(None, "", ()), ("Be kind.", "Topic: animals\n", TURNS)]
    for system, steer, turns in cases:
        text = engine.pre_query_prefix(system, steer, turns)
        assert found.text(system, turns, steer) == text
        assert found.prompt(system, turns, steer) == text
    assert found.stops() == {"stop": ["<|end|>"]}


@pytest.mark.parametrize(
    "template",
    ["{{ bos_token }}", "{{ raise_exception('no') }}", "{{ messages[0].content * 2 }}", "{{ 1 / 0 }}", ours.CUT],
)
def test_a_template_that_cannot_be_used_is_said_to_be_so(template: str) -> None:
    with pytest.raises(PreQueryUnknownError, match=r"the chat template of 'odd'.*write the text that stands before"):
        own_pre_query(ChatTemplate(template), "odd")


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{% set _ = messages.append(1) %}{{ messages | length }}",
    ],
)
def test_a_template_is_data_and_runs_nothing(template: str) -> None:
    with pytest.raises(TemplateRefusedError):
        ChatTemplate(template).render([{"role": "user", "content": "x"}])


def test_a_tokenizer_that_is_not_there_or_has_no_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerUnusableError, match=r"there is no folder './none'"):
        chat_template("./none", tmp_path)
    with pytest.raises(TokenizerUnusableError, match="has no chat template"):
        chat_template("plain", ours.write_tokenizer(tmp_path / "plain", None).parent)
    with pytest.raises(TokenizerUnusableError, match="not a Jinja template"):
        chat_template("bad", ours.write_tokenizer(tmp_path / "bad", "{% if %}").parent)


@given(system=st.text(max_size=40), steer=st.text(max_size=40), words=st.text(max_size=40))
def test_whatever_is_said_the_prefix_ends_where_the_users_words_would_begin(
    system: str, steer: str, words: str
) -> None:
    template = ChatTemplate(ours.QWEN)
    turns: list[Message] = [{"role": "user", "content": words}, {"role": "assistant", "content": steer}]
    text = TemplatePreQuery(template).text(system, turns, steer)
    conversation = [{"role": "system", "content": system}, *turns, {"role": "user", "content": steer + "x"}]
    assert template.render(conversation).startswith(text)
