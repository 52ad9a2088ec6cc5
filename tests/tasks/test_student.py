"""The student's tokens: by its own tokenizer and chat template, from a folder or the Hub, or one sentence why not."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tokenizers import Tokenizer, models, pre_tokenizers

from kasasagi.tasks.token_counts import TokenCounter, TokenizerError, TokenLimits, token_counter

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a magpie ?"}]
TEMPLATE = (
    "{% for m in messages %}\n    {{ bos_token + ' ' + m['role'] + ' ' + m['content'] + ' end ' }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant{% endif %}"
)


def student(folder: Path, **config: Any) -> Path:
    """A tokenizer of words, saved as transformers saves one."""
    folder.mkdir(parents=True, exist_ok=True)
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(folder / "tokenizer.json"))
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def counter(name: str, base: Path, **limits: Any) -> TokenCounter:
    return token_counter(TokenLimits.model_validate({"tokenizer": name, "total": 9, **limits}), base)


def test_without_a_chat_template_the_texts_count(tmp_path: Path) -> None:
    student(tmp_path / "plain")
    counts = counter("plain", tmp_path)
    assert not counts.has_template
    assert counts.prompt(ASKED) == 7
    assert counts.total(ASKED, "A black and white bird.") == 12


@pytest.mark.parametrize("where", ["config", "named", "file"])
def test_a_chat_template_counts_what_it_writes_around_the_texts(tmp_path: Path, where: str) -> None:
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": TEMPLATE}]
    config = {"config": {"chat_template": TEMPLATE}, "named": {"chat_template": named}, "file": {}}[where]
    folder = student(tmp_path / "chat", bos_token={"content": "<s>"}, **config)
    if where == "file":
        (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    counts = counter("chat", tmp_path)
    assert counts.has_template
    assert counts.prompt(ASKED) == 7 + 2 * 3 + 1
    assert counts.total(ASKED, "A bird.") == 7 + 2 + 3 * 3


def test_what_the_template_refuses_has_no_count(tmp_path: Path) -> None:
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}x"
    student(tmp_path / "strict", chat_template=strict)
    counts = counter("strict", tmp_path)
    assert counts.prompt(ASKED) is None
    assert counts.total(ASKED[1:], "A bird.") == 1


def test_a_template_stays_in_its_sandbox(tmp_path: Path) -> None:
    student(tmp_path / "sly", chat_template="{{ messages.__class__.__mro__[1].__subclasses__() }}")
    assert counter("sly", tmp_path).prompt(ASKED) is None


def test_another_template_is_another_student(tmp_path: Path) -> None:
    student(tmp_path / "one", chat_template="a")
    student(tmp_path / "two", chat_template="b")
    digests = [counter(name, tmp_path).digest for name in ("one", "two", "one")]
    assert digests[0] == digests[2] != digests[1]


def test_a_folder_without_a_tokenizer_or_with_a_broken_one_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TokenizerError, match=r"the folder 'empty' holds no tokenizer.json"):
        counter("empty", tmp_path)
    (tmp_path / "empty" / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(TokenizerError, match="'empty' cannot be read"):
        counter("empty", tmp_path)


def test_a_hub_id_is_taken_from_the_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    asked = []

    def download(name: str, file: str, revision: str | None = None) -> str:
        asked.append((name, file, revision))
        if name != "us/student":
            raise LocalEntryNotFoundError("nothing in the cache,\nand no network")
        if file == "chat_template.jinja":
            raise EntryNotFoundError("404")
        return str(student(tmp_path / "cache", chat_template="x y z") / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert counter("us/student", tmp_path, revision="v2").prompt(ASKED) == 3
    assert asked[0] == ("us/student", "tokenizer.json", "v2")
    with pytest.raises(TokenizerError, match=r"'us/other' is not a folder here.*nothing in the cache, and no network"):
        counter("us/other", tmp_path)


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"tokenizer": "x"}, "sets no limit"),
        ({"tokenizer": "x", "prompt": 0}, "greater than or equal to 1"),
        ({"tokenizer": "x", "prompt": 9, "total": 8}, "lower prompt or raise total"),
        ({"total": 8}, "Field required"),
        ({"tokenizer": "x", "totals": 8}, "Extra inputs"),
    ],
)
def test_limits_that_mean_nothing_are_refused(limits: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        TokenLimits.model_validate(limits)


@pytest.mark.slow
def test_the_count_is_the_trainers(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = Path(__file__).parents[2] / "models" / "hina" / "hf"
    theirs = AutoTokenizer.from_pretrained(str(folder))
    ours = counter(str(folder), tmp_path)
    answer = {"role": "assistant", "content": "カササギは鳥です。"}
    assert ours.prompt(ASKED) == len(theirs.apply_chat_template(ASKED, add_generation_prompt=True)["input_ids"])
    assert ours.total(ASKED, answer["content"]) == len(theirs.apply_chat_template([*ASKED, answer])["input_ids"])
