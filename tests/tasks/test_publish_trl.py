"""What we publish trains in TRL itself: a few steps of each of its trainers on a tiny model. Needs TRL and torch."""

from importlib import import_module
from pathlib import Path
from typing import Any

import datasets
import pytest

from kasasagi.tasks.publish import PublishConfig, publish
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import build_example_run

pytestmark = pytest.mark.slow

TRAINERS = {
    "trl": "DPO",
    "trl_plain": "DPO",
    "ultrafeedback_binarized": "DPO",
    "sft": "SFT",
    "reward": "Reward",
    "kto": "KTO",
}
# Of the columns of the original its users leave those that are in the conversations already.
TAKEN = {"ultrafeedback_binarized": ["chosen", "rejected"]}
TEMPLATE = (
    "{% for turn in messages %}<{{ turn['role'] }}>{{ turn['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def library(name: str) -> Any:
    """A library of the extra `train`, imported when a test runs, since the default tests do without it."""
    return import_module(name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pairs of a small run, in all formats that TRL's trainers take."""
    home = tmp_path_factory.mktemp("published")
    run = build_example_run(home / "workspace", prompts=40)
    config = PublishConfig.model_validate({"formats": list(TRAINERS), "split": {"test": 0.2}})
    with open_tables(run) as connection:
        publish(config, run, connection, home / "out")
    return home / "out"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """A tokenizer of bytes, with a chat template."""
    model = library("tokenizers").models.BPE()
    plain = library("tokenizers").Tokenizer(model)
    plain.pre_tokenizer = library("tokenizers").pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = library("tokenizers").decoders.ByteLevel()
    signs = library("tokenizers").pre_tokenizers.ByteLevel.alphabet()
    special = ["<end>", "<system>", "<user>", "<assistant>"]
    plain.train_from_iterator(
        [], library("tokenizers").trainers.BpeTrainer(initial_alphabet=signs, special_tokens=special)
    )
    wrapped = library("transformers").PreTrainedTokenizerFast(
        tokenizer_object=plain, eos_token="<end>", pad_token="<end>"
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


def saved_model(name: str, tokenizer: Any, folder: Path) -> str:
    """The path of a tiny model with random weights."""
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    heads = {"num_key_value_heads": 2, "pad_token_id": tokenizer.pad_token_id, "num_labels": 1}
    config = library("transformers").LlamaConfig(vocab_size=len(tokenizer), **sizes, **heads)
    kind = (
        library("transformers").LlamaForSequenceClassification
        if name == "Reward"
        else library("transformers").LlamaForCausalLM
    )
    kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(("name", "trainer"), TRAINERS.items())
def test_a_trainer_takes_what_is_published(
    folder: Path, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trainer: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    data = datasets.load_from_disk(str((folder if name == "trl" else folder / name) / "dataset"))
    data = data.select_columns(TAKEN[name]) if name in TAKEN else data
    arguments = getattr(library("trl"), f"{trainer}Config")(
        output_dir=str(tmp_path / "out"),
        max_steps=2,
        per_device_train_batch_size=4,
        report_to="none",
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        save_strategy="no",
    )
    training = getattr(library("trl"), f"{trainer}Trainer")(
        model=saved_model(trainer, tokenizer, tmp_path / "model"),
        args=arguments,
        train_dataset=data["train"],
        eval_dataset=data["test"],
        processing_class=tokenizer,
    )
    assert training.train().training_loss > 0
    assert training.evaluate()["eval_loss"] > 0
    assert len(training.train_dataset) == len(data["train"])
