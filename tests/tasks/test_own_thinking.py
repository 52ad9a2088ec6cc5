"""Thinking as a single model marks it: from the recipe, or from the chat template of its tokenizer."""

import json
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import BundledModel, OpenAIModel
from kasasagi.blocks.models.llm import Completion
from kasasagi.tasks.asking import ask, call_row, known_answers
from kasasagi.tasks.text.thoughts.own_thinking import forms_of, marks_in, split_own
from kasasagi.tasks.text.thoughts.thinking_forms import own_form
from tests.tasks import helpers

PLAN = own_form("<plan>", "</plan>")
CHAT, RAW = "0a" * 16, "0b" * 16

TEMPLATES: dict[str, tuple[str, set[tuple[str, str]]]] = {
    "splits_off_twice": (
        "{% if '</plan>' in message.content %}{% set old = message.content.split('</plan>')[0].rstrip('\\n')"
        ".split('<plan>')[-1].lstrip('\\n') %}{% set content = message.content.split('</plan>')[-1] %}{% endif %}",
        {("<plan>", "</plan>")},
    ),
    "splits_off_the_end": (
        "{{ '<muse>' }}{% if '</muse>' in text %}{% set text = text.split(\"</muse>\")[-1] %}{% endif %}",
        {("<muse>", "</muse>")},
    ),
    "writes_in_code": (
        "{{- '[PLAN]\\n' + message.reasoning_content.strip('\\n') + '\\n[/PLAN]\\n\\n' + content }}",
        {("[PLAN]", "[/PLAN]")},
    ),
    "writes_in_text": (
        "{% if message.thinking %}<|ponder|>{{ message.thinking }}<|pondered|>{% endif %}{{ message.content }}",
        {("<|ponder|>", "<|pondered|>")},
    ),
    "cuts_out_the_answer": (
        "{% set content = content.split('</answer>')[0].split('<answer>')[-1] %}"
        "{{ '<answer>' + content }}{% set content = content.split('</answer>')[-1] %}",
        set(),
    ),
    "cuts_off_a_call_or_the_end": (
        "{{ '<s><tool_call>' }}{% set rest = text.split('</tool_call>')[-1] %}{% set rest = text.split('</s>')[-1] %}",
        set(),
    ),
    "partitions": (
        "{{ '<muse>' }}{% set content = message.content.partition('</muse>')[2].lstrip() %}",
        {("<muse>", "</muse>")},
    ),
    "splits_once_from_the_right": (
        "{{ '<muse>' }}{% set content = message.content.rsplit('</muse>', 1)[-1].strip() %}",
        {("<muse>", "</muse>")},
    ),
    "partitions_twice": (
        "{% set old = content.partition('[/my plan]')[0].partition('[my plan]')[2] %}",
        {("[my plan]", "[/my plan]")},
    ),
    "cuts_off_all_before_the_answer": (
        "{% set content = content.split('[BEGIN FINAL RESPONSE]')[-1].strip() %}{{ 'Here are my steps:\\n' }}",
        {("", "[BEGIN FINAL RESPONSE]")},
    ),
    "names_none": ("{% for m in messages %}{{ m.role + ': ' + m.content.split('\\n')[-1] }}{% endfor %}", set()),
    "ends_with_a_word": ("{% set content = content.split('assistant')[-1] %}", set()),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_chat_template_tells_the_marks_that_it_cuts_off_or_writes(name: str) -> None:
    text, marks = TEMPLATES[name]
    assert marks_in(text) == marks


def model(**fields: Any) -> OpenAIModel:
    return OpenAIModel(kind="openai", model="m", base_url="http://127.0.0.1:9/v1", **fields)


@pytest.mark.parametrize("own_file", [True, False])
def test_the_template_of_the_models_tokenizer_is_read(tmp_path: Path, own_file: bool) -> None:
    folder = tmp_path / f"tokenizer-{own_file}"
    folder.mkdir()
    text = TEMPLATES["splits_off_the_end"][0]
    if own_file:
        (folder / "chat_template.jinja").write_text(text)
    else:
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": text}))
    [form] = forms_of(model(tokenizer=folder.name), tmp_path)
    assert split_own(Completion("<muse>Hm.</muse>So."), (form,)) == Completion("So.", "Hm.")


def test_what_the_recipe_says_stands_before_the_template(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(TEMPLATES["splits_off_the_end"][0])
    config = model(tokenizer=str(tmp_path), thinking=[{"begin": "<plan>", "end": "</plan>"}])
    assert forms_of(config, tmp_path) == (PLAN,)


def test_models_without_a_known_template_have_no_form_of_their_own(tmp_path: Path) -> None:
    assert forms_of(model(), tmp_path) == ()
    assert forms_of(model(tokenizer=str(tmp_path / "nowhere")), tmp_path) == ()
    assert forms_of(BundledModel(kind="bundled"), tmp_path) == ()


@pytest.mark.parametrize(
    ("reply", "content", "thinking"),
    [
        ("<plan>First this.</plan>\nThen that.", "Then that.", "First this."),
        ("First this.</plan>\nThen that.", "Then that.", "First this."),
        ("<plan>First this, and", "", "First this, and"),
        ("Then that.", "Then that.", None),
        ("Write `<plan>` and `</plan>` around it.", "Write `<plan>` and `</plan>` around it.", None),
        ("Wrap it: <plan>x</plan>", "Wrap it: <plan>x</plan>", None),
        ("<think>Hm.</think>So.", "So.", "Hm."),
    ],
)
def test_own_thinking_is_split_off_where_a_reply_has_it(reply: str, content: str, thinking: str | None) -> None:
    found = split_own(Completion(reply), (PLAN,))
    assert (found.text, found.reasoning) == (content, thinking)


def test_all_before_a_beginning_of_the_answer_is_thinking() -> None:
    forms = (own_form("", "[BEGIN FINAL RESPONSE]"),)
    found = split_own(Completion("1. Add.\n[BEGIN FINAL RESPONSE]\nIt is 4.\n[END FINAL RESPONSE]"), forms)
    assert (found.text, found.reasoning) == ("It is 4.", "1. Add.")
    plain = Completion("It is 4.")
    assert split_own(plain, forms) is plain


def test_answers_come_without_it_and_the_calls_table_keeps_the_reply(tmp_path: Path) -> None:
    reply = "<plan>First this.</plan>Then that."
    models = {"small": helpers.model("small", thinking=[{"begin": "<plan>", "end": "</plan>"}])}
    session = helpers.session(tmp_path, models, lambda question: Completion(reply))
    chat = Question("small", CHAT, {"messages": [{"role": "user", "content": "How?"}]})
    raw = Question("small", RAW, {"prompt": "<user>"})
    answered = ask(session, [chat, raw], "respond", 0)
    assert [one.completion.text for one in answered] == ["Then that.", reply]
    assert call_row(models, "respond", answered[0])["reply"] == reply
    assert known_answers(session, [chat, raw])[CHAT].text == "Then that."
    again = ask(session, [chat], "respond", 0)[0]
    assert (again.completion.text, again.completion.reasoning, again.reused) == ("Then that.", "First this.", True)


def test_a_failure_has_no_thinking() -> None:
    failed = Completion(error="context_too_long", detail="<plan>too long</plan>")
    assert split_own(failed, (PLAN,)) is failed
