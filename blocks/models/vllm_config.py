"""Models that run on vLLM, in this process or in a server that we start: configuration alone, cheap to import."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from kasasagi.blocks.canonical import digest, digest_bytes
from kasasagi.blocks.configuration import Config, Price, Sampling, Thinking

SET_BY_US = ("model", "seed", "tokenizer", "served_model_name", "host", "port", "disable_log_stats", "enable_lora")
DEFAULT_SEQUENCES = 256
WEIGHTS = ("*.safetensors", "*.bin", "*.gguf", "*.pt")
PIECE = 2**20
FOLDERS = ("model", "tokenizer", "lora")
ADAPTER = "adapter_config.json"
RANKS = (16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM takes as max_lora_rank, from its default on; it loads no adapter of a greater rank."""
MISSING = (
    "vLLM is not installed in this environment: it is kasasagi's extra [vllm], installed as docs/engines.md says; "
    "or name another installation's vLLM with serve: true and command"
)


class VLLMModel(Config):
    """A model that we run on vLLM ourselves."""

    kind: Literal["vllm"] = Field(description="vLLM, in this process or as a server that the run starts.")
    model: str = Field(min_length=1, description="Folder of the weights, or their id on the Hugging Face Hub.")
    serve: bool = Field(False, description="Whether the run starts a server in a separate process.")
    identity: str | None = Field(None, description="Name by which the ledger identifies the model; default: its name.")
    revision: str | None = Field(None, description="Revision of the weights, part of the model's identity.")
    tokenizer: str | None = Field(
        None, description="Folder or Hub id of its tokenizer; default: the folder of the weights."
    )
    dtype: str | None = Field(None, description="Data type of the weights: auto, bfloat16, float16, float32.")
    quantization: str | None = Field(None, description="Quantization, as vLLM names it: fp8, awq, gptq, …")
    lora: str | None = Field(None, description="Folder of a LoRA adapter to apply to the weights.")
    download_dir: str | None = Field(None, description="Folder for weights from the Hub.")
    max_model_len: int | None = Field(
        None, ge=1, description="Maximum number of tokens of a prompt and its answer together."
    )
    max_num_seqs: int | None = Field(None, ge=1, description="Maximum number of answers that are generated at once.")
    max_num_batched_tokens: int | None = Field(None, ge=1, description="Maximum number of tokens in one step.")
    gpu_memory_utilization: float | None = Field(None, gt=0, le=1, description="Share of the GPU memory to use.")
    tensor_parallel_size: int | None = Field(None, ge=1, description="Number of GPUs that share the weights.")
    enable_prefix_caching: bool | None = Field(None, description="Whether equal prefixes of prompts are cached.")
    devices: str | None = Field(
        None,
        pattern=r"^[0-9A-Za-z-]+(,[0-9A-Za-z-]+)*$",
        description="GPUs to use, in the form of CUDA_VISIBLE_DEVICES, e.g. 0,1.",
    )
    engine: dict[str, Any] = Field({}, description="Any other engine argument of vLLM, passed on unchanged.")
    command: tuple[str, ...] = Field(
        (), description="With serve: the command of a vLLM in another environment, e.g. [/opt/vllm/bin/vllm]."
    )
    start_within_s: float = Field(1800.0, gt=0, description="With serve: seconds until a start fails.")
    timeout_s: float = Field(3600.0, gt=0, description="With serve: seconds until a call without a reply fails.")
    usd_per_million_tokens: Price = Field(
        Price(), description="Price of tokens, if you want to count the cost of your hardware."
    )
    sampling: Sampling = Field(
        Sampling(), description="Sampling parameters wherever this model is used; stages may override them."
    )
    thinking: Thinking = ()
    extra_body: dict[str, Any] = Field(
        {}, description="Further fields of each request: chat_template_kwargs, min_tokens, logit_bias, bad_words, …"
    )

    @field_validator("engine")
    @classmethod
    def _not_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        own = [name for name in value if name in SET_BY_US and name != "seed"]
        twice = [name for name in value if name in cls.model_fields]
        for name in twice or own:
            where = "stands beside engine" if name in cls.model_fields else "is set by kasasagi itself"
            raise ValueError(f"{name!r} {where}; remove it from engine")
        return value

    @property
    def batch_size(self) -> int:
        """How many requests the engine is given at once: enough to fill it again when many answers end together."""
        return 2 * (self.max_num_seqs or DEFAULT_SEQUENCES)

    def arguments(self) -> dict[str, Any]:
        """Engine arguments, without those that are left to vLLM.

        The engine's seed is a fresh one unless the recipe names one: vLLM's own is always 0, with which an engine that
        is started again draws what it has drawn before.
        """
        names = (
            "tokenizer", "revision", "dtype", "quantization", "download_dir", "max_model_len", "max_num_seqs",
            "max_num_batched_tokens", "gpu_memory_utilization", "tensor_parallel_size", "enable_prefix_caching",
        )  # fmt: skip
        set_here = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        lora = {"enable_lora": True, **_room_for(Path(self.lora).expanduser())} if self.lora else {}
        return {"seed": secrets.randbelow(2**31), **set_here, **lora, **self.engine}

    def with_resolved_folders(self, base: Path) -> "VLLMModel":
        """Return the model with absolute paths for folders that exist next to the recipe (base)."""
        named = {name: getattr(self, name) for name in FOLDERS}
        beside = {name: base / Path(path).expanduser() for name, path in named.items() if path is not None}
        return self.model_copy(update={name: str(path) for name, path in beside.items() if path.is_dir()})

    def ledger_identity(self) -> str:
        """Return the identity in the ledger: a Hub id and revision, or a folder's name and a digest of its weights."""
        if self.identity:
            return self.identity
        folder = Path(self.model).expanduser()
        own = f"{folder.resolve().name}@{weights_digest(folder)}" if folder.is_dir() else self.model
        revision = f"@{self.revision}" if self.revision else ""
        lora = Path(self.lora or "").expanduser()
        adapter = f"{lora.name}@{weights_digest(lora, ADAPTER)}" if self.lora and lora.is_dir() else self.lora
        return own + revision + "".join(f"+{one}" for one in (self.quantization, adapter) if one)

    def engine_key(self) -> str:
        """Return what two models have in common that one engine can answer for both."""
        return digest(self.model_dump(mode="json", exclude={"usd_per_million_tokens", "sampling", "extra_body"}))


def _room_for(adapter: Path) -> dict[str, Any]:
    """Return the engine argument that an adapter's rank asks for; nothing where vLLM's default does or the folder is
    not here.

    A file that cannot be read is no problem here: vLLM reads it too and reports what is wrong with it.
    """
    try:
        read = json.loads((adapter / ADAPTER).read_text(encoding="utf-8"))
        rank = max([read["r"], *(read.get("rank_pattern") or {}).values()])
        room = next((room for room in RANKS if room >= rank), RANKS[-1])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {"max_lora_rank": room} if room > RANKS[0] else {}


def weights_digest(folder: Path, *beside: str) -> str:
    """Return a digest of the weights in a folder: of every file's name, size and pieces, since whole ones take minutes.

    beside names further files that the answers depend on, as those of an adapter on its scale.
    """
    files = sorted({file for pattern in (*WEIGHTS, *beside) for file in folder.glob(pattern)})
    return digest([[file.name, file.stat().st_size, *pieces(file)] for file in files])


def pieces(file: Path) -> Iterator[str]:
    """Digests of a file's beginning, middle and end."""
    size = file.stat().st_size
    with file.open("rb") as data:
        for place in (0, max(0, size // 2 - PIECE // 2), max(0, size - PIECE)):
            data.seek(place)
            yield digest_bytes(data.read(PIECE))
