"""Which pre-query a recipe means: the tokenizer's, a family's of the registry, or the text that it writes."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kasasagi.blocks.canonical import ledger_key
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.models.llm import Message
from kasasagi.blocks.models.pre_query import PreQueryUnknownError
from kasasagi.tasks.asking import Session
from kasasagi.tasks.pre_query import LiteralTemplate, families, family_of, pre_query
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.draws import draws_for
from kasasagi.tasks.synthesize.steering import Steering
from kasasagi.tasks.synthesize.templates import template_key
from tests import chat_templates as ours
from tests.tasks.helpers import session

TURNS: list[Message] = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi."}]
EXPECTED = {
    "llama-3": "<|start_header_id|>user<|end_header_id|>\n\n",
    "llama-3.1": "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
    "Today Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n",
    "chatml": "<|im_start|>user\n",
    "qwen-2": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
    "qwen-2.5": "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n",
    "qwen-3": "<|im_start|>user\n",
    "gemma-2": "<start_of_turn>user\n",
    "gemma-3": "<start_of_turn>user\n",
    "phi-3": "<|user|>\n",
    "phi-4": "<|im_start|>user<|im_sep|>",
    "phi-4-mini": "<|user|>",
    "mistral": "[INST]",
    "mistral-nemo": "[INST]",
    "mistral-small": "[INST]",
    "olmo-2": "<|endoftext|><|user|>\n",
    "tanuki": "以下は、タスクを説明する指示です。要求を適切に満たす応答を書きなさい。\n\n### 指示:\n",
    "llm-jp": "以下は、タスクを説明する指示です。要求を適切に満たす応答を書きなさい。\n\n### 指示:\n",
    "alpaca": "Below is an instruction that describes a task. Write a response that appropriately completes the "
    "request.\n\n### Instruction:\n",
}


def model(**fields: Any) -> OpenAIModel:
    return OpenAIModel.model_validate(
        {"kind": "openai", "model": "small", "base_url": "http://127.0.0.1:1/v1", **fields}
    )


def source(template: Any, **fields: Any) -> MagpieSource:
    wanted = {"kind": "magpie", "model": "small", "template": template, "samples": 9, **fields}
    return MagpieSource.model_validate(wanted)


def first(one: Session, magpie: MagpieSource) -> Question:
    return draws_for(one, Steering.read(magpie, Path()), 0, 1)[0].question


def test_every_family_begins_a_users_turn_as_its_models_do() -> None:
    assert {name: pre_query(name, model()).prompt() for name in families()} == EXPECTED
    assert all(pre_query(name, model()).stops()["stop"] for name in families())


@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_family_has_a_place_for_a_system_prompt_and_earlier_turns(name: str) -> None:
    text = pre_query(name, model()).text("Be kind.", TURNS, steer="Why")
    assert text.count("Be kind.") == text.count("Hello?") == text.count("Hi.") == 1
    assert text.index("Be kind.") < text.index("Hello?") < text.index("Hi.")
    assert text.endswith("Why")
    default = families()[name].default_system
    assert not default or default not in text


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama-3"),
        ("Qwen/Qwen2.5-7B-Instruct", "qwen-2.5"),
        ("google/gemma-3-4b-it", "gemma-3"),
        ("microsoft/Phi-4-mini-instruct", "phi-4-mini"),
        ("weblab-GENIAC/Tanuki-8B-dpo-v1.0", "tanuki"),
        ("llm-jp/llm-jp-3-13b-instruct", "llm-jp"),
        ("nobody/knows", None),
    ],
)
def test_a_models_name_suggests_its_family(name: str, family: str | None) -> None:
    assert family_of(name) == family


def test_auto_without_a_tokenizer_says_what_to_write() -> None:
    with pytest.raises(PreQueryUnknownError, match=r"as the model's tokenizer, or else source.template: qwen-2.5"):
        pre_query("auto", model(model="Qwen/Qwen2.5-7B-Instruct"))
    with pytest.raises(PreQueryUnknownError, match="or else the name of a family"):
        pre_query("auto", model())


def test_the_tokenizer_of_a_model_is_found_beside_the_recipe(tmp_path: Path) -> None:
    ours.write_tokenizer(tmp_path / "mine", ours.QWEN)
    found = pre_query("auto", model(tokenizer="mine"), base=tmp_path)
    assert found.text().endswith("<|im_start|>user\n")
    with pytest.raises(PreQueryUnknownError, match=r"source.model: there is no folder '\./other'"):
        pre_query("auto", model(tokenizer="./other"), base=tmp_path)


def test_a_tokenizer_that_cannot_be_fetched_is_said_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, **options: Any) -> str:
        raise OSError("no route to the Hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    unknown = model(tokenizer="nobody/offline")
    with pytest.raises(PreQueryUnknownError, match=r"\(no route to the Hub\).*or write.* as source.template$"):
        pre_query("auto", unknown)
    named = pre_query("qwen-3", unknown)
    assert named.text() == "<|im_start|>user\n"
    with pytest.raises(PreQueryUnknownError, match=r"fetch it where the Hub can be reached$"):
        named.prompt()


@pytest.mark.parametrize("template", ["llama-3", LiteralTemplate(literal="<s>User:"), "User:"])
def test_with_a_tokenizer_any_template_is_sent_with_one_bos(tmp_path: Path, template: str | LiteralTemplate) -> None:
    ours.write_tokenizer(tmp_path / "plain", None)
    sent = pre_query(template, model(tokenizer="plain"), base=tmp_path).prompt()
    made = ours.tokenizer(adds_bos=True)
    ids = made.encode(sent).ids if isinstance(sent, str) else sent
    assert ids.count(made.token_to_id("<s>")) == 1


def test_a_name_that_no_family_has_gets_the_nearest_and_a_text_stays_a_text() -> None:
    with pytest.raises(ValidationError, match=r"did you mean 'qwen-2.5'"):
        source("qwen-2.4")
    with pytest.raises(ValidationError, match=r"use one of auto, llama-3.*\{literal: …\}"):
        source("Zzyzx")
    for text in ("<|user|>", "### 指示:\n", "User: ", "<s>[INST]"):
        assert pre_query(source(text).template, model()).prompt(steer="a") == text + "a"
    named = source({"literal": "User"})
    assert pre_query(named.template, model()).prompt() == "User" == named.template_text


def test_a_text_takes_a_system_prompt_only_where_it_has_a_place_for_it() -> None:
    assert pre_query("<|s|>{system}<|u|>", model()).text("Be kind.") == "<|s|>Be kind.<|u|>"
    with pytest.raises(PreQueryUnknownError, match="no place for a system prompt"):
        pre_query("<|u|>", model()).text("Be kind.")
    with pytest.raises(PreQueryUnknownError, match="no place for earlier turns"):
        pre_query("<|u|>", model()).text(None, TURNS)


def test_stops_of_the_template_join_those_of_the_recipe(tmp_path: Path) -> None:
    one = session(tmp_path, {"small": model()})
    question = first(one, source("alpaca", sampling={"stop": ["###", "### Response"]}))
    assert question.request["stop"] == ["###", "### Response", "### Instruction"]
    question = first(one, source("alpaca", sampling={"stop": None}))
    assert question.request["stop"] == ["### Response", "### Instruction"]


def test_a_literal_template_is_asked_for_under_the_key_that_it_always_had(tmp_path: Path) -> None:
    one = session(tmp_path, {"small": model()})
    literal = source("<user>")
    question = first(one, literal)
    body = {"prompt": "<user>", "temperature": 1.0, "top_p": 1.0, "max_tokens": 1024, "stop": ("\n\n",)}
    assert question.key == ledger_key("small", body, 0)
    assert template_key(one, literal) == []
    assert template_key(one, source("qwen-3")) != template_key(one, source("qwen-2.5"))
