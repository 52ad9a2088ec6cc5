"""Conversion: a trained network as a Hugging Face folder and as a CTranslate2 int8 model."""

import json
import shutil
from pathlib import Path

import torch
from ctranslate2.converters import TransformersConverter
from safetensors.torch import save_file
from tokenizers import Tokenizer

from kasasagi.hina.model import Llama
from kasasagi.hina.tokenizer import CHAT_TEMPLATE


def export(model: Llama, tokenizer: Tokenizer, folder: Path) -> None:
    """Write `hf` (float16 safetensors with tokenizer and chat template) and `ct2` (int8) under the folder."""
    hf, ct2 = folder / "hf", folder / "ct2"
    shutil.rmtree(folder, ignore_errors=True)
    hf.mkdir(parents=True)
    weights = {f"model.{name}": value.to(torch.float16).contiguous() for name, value in model.state_dict().items()}
    save_file(weights, hf / "model.safetensors", metadata={"format": "pt"})
    _write(hf / "config.json", model.shape.config())
    _write(hf / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0})
    _write(hf / "tokenizer_config.json", _tokenizer_config(model.shape.context))
    tokenizer.save(str(hf / "tokenizer.json"))
    TransformersConverter(str(hf)).convert(str(ct2), quantization="int8_float32", force=True)
    shutil.copy(hf / "tokenizer.json", ct2 / "tokenizer.json")
    shutil.copy(hf / "tokenizer_config.json", ct2 / "tokenizer_config.json")


def _tokenizer_config(context: int) -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
        "bos_token": "<s>",
        "eos_token": "<|end|>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "add_bos_token": False,
        "chat_template": CHAT_TEMPLATE,
    }


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
