from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_minute_of_training_lowers_the_loss_and_exports_a_model(tmp_path: Path) -> None:
    import torch

    from kasasagi.blocks.engines.bundled import BundledEngine
    from kasasagi.hina.model import Shape
    from kasasagi.hina.train import TrainingPlan, train

    torch.set_num_threads(2)
    plan = TrainingPlan(tokens=150_000, step_tokens=4096, sampled_at=(0.5,), sampled_questions=20, minutes=1000)
    losses = train(plan, Shape(layers=2), tmp_path)
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    reply = BundledEngine(tmp_path / "final").generate([{"prompt": "<s><|user|>", "max_tokens": 8}])[0]
    assert reply.error is None
    assert reply.completion_tokens > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_transformers_computes_what_the_training_network_computes(tmp_path: Path) -> None:
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from kasasagi.blocks.engines.bundled import shipped_model
    from kasasagi.hina.convert import export
    from kasasagi.hina.model import Llama, Shape

    torch.manual_seed(1)
    model = Llama(Shape(layers=2)).eval()
    export(model, Tokenizer.from_file(str(shipped_model() / "tokenizer.json")), tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")
    messages = [{"role": "user", "content": "What is 15 + 4?"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        ours = model(ids) @ model.embed_tokens.weight.T
        assert torch.allclose(ours, theirs(ids).logits, atol=0.05)
