"""The network: a small Llama in plain torch, with the parameter names of Hugging Face's LlamaForCausalLM."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """The sizes of the network."""

    vocabulary: int = 4096
    width: int = 192
    layers: int = 6
    heads: int = 6
    inner: int = 576
    context: int = 2048
    theta: float = 10_000.0
    epsilon: float = 1e-5

    def config(self) -> dict[str, Any]:
        """Return the `config.json` of the same network in transformers."""
        sizes = asdict(self)
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": sizes["vocabulary"],
            "hidden_size": sizes["width"],
            "num_hidden_layers": sizes["layers"],
            "num_attention_heads": sizes["heads"],
            "num_key_value_heads": sizes["heads"],
            "head_dim": sizes["width"] // sizes["heads"],
            "intermediate_size": sizes["inner"],
            "max_position_embeddings": sizes["context"],
            "rope_theta": sizes["theta"],
            "rms_norm_eps": sizes["epsilon"],
            "hidden_act": "silu",
            "tie_word_embeddings": True,
            "attention_bias": False,
            "mlp_bias": False,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "torch_dtype": "float16",
        }


def rotary(shape: Shape, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary embedding, each (length, head size)."""
    size = shape.width // shape.heads
    rates = shape.theta ** -(torch.arange(0, size, 2).float() / size)
    angles = torch.outer(torch.arange(length).float(), rates).repeat(1, 2)
    return angles.cos(), angles.sin()


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Queries or keys (batch, heads, length, head size), turned by their positions."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    """Causal self-attention with rotary positions, written out: at such lengths faster than the fused kernel."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(shape.width, shape.width, bias=False))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(batch, length, width) to the same shape."""
        batch, length, width = x.shape
        q, k, v = (
            p(x).view(batch, length, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        scores = turn(q, cos, sin) * q.shape[-1] ** -0.5 @ turn(k, cos, sin).transpose(-1, -2)
        future = torch.full((length, length), float("-inf"), dtype=scores.dtype).triu_(1)
        mixed = torch.softmax(scores + future, -1, dtype=scores.dtype).to(v.dtype) @ v
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, width))


class FeedForward(nn.Module):
    """The gated feed-forward layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.inner, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.inner, bias=False)
        self.down_proj = nn.Linear(shape.inner, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) to the same shape."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One layer: attention and feed-forward, each behind a norm and beside a residual."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shape.width, shape.epsilon)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = nn.RMSNorm(shape.width, shape.epsilon)
        self.mlp = FeedForward(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(batch, length, width) to the same shape."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    """Embeddings, layers and a final norm; the embeddings are also the output layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, shape.epsilon)
        self.apply(self._start)

    def _start(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02 if isinstance(module, nn.Embedding) else module.in_features**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the hidden states (batch, length, width) behind token ids (batch, length)."""
        x = self.embed_tokens(ids)
        cos, sin = rotary(self.shape, ids.shape[1])
        for layer in self.layers:
            x = layer(x, cos.to(x.dtype), sin.to(x.dtype))
        return self.norm(x)

    def loss(self, ids: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted sum of cross-entropies of ids (batch, length), each under its weight as a target."""
        states = self(ids[:, :-1])
        wanted = weights[:, 1:] > 0
        logits = states[wanted] @ self.embed_tokens.weight.to(states.dtype).T
        losses = F.cross_entropy(logits.float(), ids[:, 1:][wanted], reduction="none")
        return (losses * weights[:, 1:][wanted]).sum()
