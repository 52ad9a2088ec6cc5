"""Magpie on vLLM, through our whole stage against a bare `LLM.generate`: `python -m benchmarks.vllm_throughput`.

Both make the same draws on one engine, in turns, and are compared by tokens a second, since what is drawn differs.
Ours counts everything from the first question to the last row: plans, the ledger, shards, accounts, the dispatcher.
On a CPU set VLLM_CPU_KVCACHE_SPACE, in GiB. `--max-tokens` and `--ignore-eos` make the draws as long as you like.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.engines.bundled import shipped_model
from kasasagi.blocks.engines.vllm import VLLMEngine
from kasasagi.blocks.ledger.claims import Claims
from kasasagi.blocks.models.kinds import VLLMModel
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.run.concurrency import CHUNKS_IN_WORK
from kasasagi.tasks.asking import ChunkJob, Session
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.counting import DRAWS_IN_A_CHUNK, chunks_of_draws
from kasasagi.tasks.synthesize.draws import draws_for, synthesize_chunk
from kasasagi.tasks.synthesize.steering import Steering

LABEL = "writer"


def model(arguments: argparse.Namespace) -> VLLMModel:
    """Return the model, with the engine arguments that both sides get."""
    fields: dict[str, Any] = {"kind": "vllm", "model": str(arguments.model), "max_num_seqs": arguments.sequences}
    extra = {"ignore_eos": True} if arguments.ignore_eos else {}
    engine = {"enforce_eager": not arguments.graphs}
    return VLLMModel.model_validate({**fields, "dtype": "bfloat16", "engine": engine, "extra_body": extra})


def steering(arguments: argparse.Namespace, round_: int) -> Steering:
    """Return the draws of one round."""
    sampling = {"temperature": 1.0, "top_p": 1.0, "max_tokens": arguments.max_tokens}
    wanted = {"kind": "magpie", "model": LABEL, "samples": arguments.draws, "sampling": sampling, "round": round_}
    return Steering.read(MagpieSource.model_validate(wanted), Path())


@contextmanager
def session(engine: VLLMEngine, folder: Path) -> Iterator[Session]:
    """A run's session on the engine."""
    workspace = Workspace(folder)
    workspace.prepare()
    models = {LABEL: engine.model}
    run = Run.begin(workspace, "run", "throughput", {})
    dispatcher = Dispatcher(models, {LABEL: engine}, workspace.ledger_folder)
    claims = Claims(workspace, run.id)
    try:
        yield Session(run, models, {LABEL: engine.identity()}, dispatcher, claims)
    finally:
        dispatcher.close()
        claims.close()


def ours(one: Session, wanted: Steering, draws: int) -> tuple[int, float]:
    """Tokens and seconds of the stage, as many chunks at once as a run works on."""
    started = time.monotonic()

    def chunk(number: int) -> int:
        job = ChunkJob(stage="synthesize", chunk=number, run="run", cache_key=str(number))
        numbers = chunks_of_draws(0, draws)[job.chunk]
        return synthesize_chunk(one, wanted, job, numbers).account.completion_tokens

    with ThreadPoolExecutor(CHUNKS_IN_WORK) as pool:
        tokens = sum(pool.map(chunk, range(-(-draws // DRAWS_IN_A_CHUNK))))
    return tokens, time.monotonic() - started


def bare(one: Session, engine: VLLMEngine, wanted: Steering, draws: int) -> tuple[int, float]:
    """Tokens and seconds of `LLM.generate` on the same prompts and parameters."""
    requests = [draw.question.request for draw in draws_for(one, wanted, 0, draws)]
    prompts = [{"prompt_token_ids": engine.tokens(request)} for request in requests]
    parameters = [engine.parameters(request) for request in requests]
    started = time.monotonic()
    outputs = engine.llm.generate(prompts, parameters, use_tqdm=False)
    return sum(len(output.outputs[0].token_ids) for output in outputs), time.monotonic() - started


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return both sides in turns: ours, bare, bare, ours, …, after one round that warms the engine."""
    engine = VLLMEngine(model(arguments))
    totals = {"ours": [0, 0.0], "bare": [0, 0.0]}
    with tempfile.TemporaryDirectory() as name, session(engine, Path(name)) as one:
        ours(one, steering(arguments, 1000), DRAWS_IN_A_CHUNK)
        for round_ in range(arguments.rounds):
            for side in ("ours", "bare") if round_ % 2 == 0 else ("bare", "ours"):
                wanted = steering(arguments, round_)
                found = (
                    ours(one, wanted, arguments.draws) if side == "ours" else bare(one, engine, wanted, arguments.draws)
                )
                totals[side] = [totals[side][0] + found[0], totals[side][1] + found[1]]
    speed = {side: tokens / seconds for side, (tokens, seconds) in totals.items()}
    return {
        "draws in a round": arguments.draws,
        "tokens a second, bare LLM.generate": round(speed["bare"]),
        "tokens a second, whole stage": round(speed["ours"]),
        "ratio (wanted: 0.90)": round(speed["ours"] / speed["bare"], 3),
        "seconds, bare and whole stage": [round(totals[side][1], 1) for side in ("bare", "ours")],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=shipped_model().parent / "hf")
    parser.add_argument("--draws", type=int, default=2_048)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--sequences", type=int, default=256, help="vLLM's max_num_seqs")
    parser.add_argument("--ignore-eos", action="store_true", help="let every draw be max-tokens long")
    parser.add_argument("--graphs", action="store_true", help="let vLLM compile and capture graphs")
    print(json.dumps(measure(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
