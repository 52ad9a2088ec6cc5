"""Chat templates of our own in the style of several families, and small tokenizers that carry them."""

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

LLAMA = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
DATED = (
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\nToday: {{ strftime_now('%d %b %Y') }}\n"
    "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}<|eot_id|>"
    "{% for m in messages if m.role != 'system' %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content }}<|eot_id|>{% endfor %}"
)
QWEN = """{%- if messages[0]['role'] == 'system' -%}
<|im_start|>system
{{ messages[0]['content'] }}<|im_end|>
{% else -%}
<|im_start|>system
You are a magpie.<|im_end|>
{% endif -%}
{%- for m in messages -%}
{%- if m.role == 'system' -%}{%- continue -%}{%- endif -%}
{{ '<|im_start|>' + m.role + '\n' }}
{%- if m.role == 'assistant' and '</think>' in m.content -%}
{{ m.content.split('</think>')[-1].lstrip('\n') }}
{%- else -%}
{{ m.content }}
{%- endif -%}
{{ '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"""
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('There is no system role') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must take turns') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
PHI = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] "
    "{% if loop.last and messages[0].role == 'system' %}{{ messages[0].content }}\n\n{% endif %}{{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
TANUKI = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% else %}"
    "{% if loop.first %}指示に答えてください。{% endif %}"
    "{{ '\n\n' }}### {{ '指示' if m.role == 'user' else '応答' }}:\n{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n\n' }}### 応答:\n{% endif %}"
)
DEAF = "{{ bos_token }}{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
PARTS = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.content is string %}{{ raise_exception('parts, please') }}{% endif %}"
    "{% for part in m.content %}{{ part.text }}{% endfor %}<|end|>{% endfor %}"
)
LISTS = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% for part in m.content if part.type == 'text' %}{{ part.text }}{% endfor %}<|end|>{% endfor %}"
)
SUFFIXED = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | replace('\n', ' ') }}"
    "{{ ' /no_think' if m.role == 'user' else '' }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CUT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content[:3] }}<|end|>{% endfor %}"
JSON = "<|tools|>{{ [{'名': 1}] | tojson(ensure_ascii=False, sort_keys=True) }}<|end|>" + DEAF
SPECIAL = (
    "<s>",
    "</s>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|im_start|>",
    "<|im_end|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "[INST]",
    "[/INST]",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
)


def tokenizer(adds_bos: bool, special: tuple[str, ...] = SPECIAL) -> Tokenizer:
    """A tokenizer of bytes and some special tokens, which puts `<s>` in front of every text or does not."""
    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(vocab=letters, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    if adds_bos:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", made.token_to_id("<s>"))]
        )
    return made


def write_tokenizer(folder: Path, template: str | None, adds_bos: bool = True, **config: Any) -> Path:
    """Write a tokenizer's folder with that chat template; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, **config}
    if template is not None:
        fields["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(fields), encoding="utf-8")
    tokenizer(adds_bos).save(str(folder / "tokenizer.json"))
    return folder
