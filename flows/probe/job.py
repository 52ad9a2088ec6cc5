"""Probing a model: samples are drawn as a run draws them, measured and judged; what was paid for is in the ledger."""

import re
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import Field

from kasasagi.blocks.dispatch.dispatcher import Dispatcher, ModelUnusableError, StoppedError
from kasasagi.blocks.dispatch.limits.connections import with_enough_files
from kasasagi.blocks.engines.kinds import engines_for, identity_of
from kasasagi.blocks.ledger.claims import Claims
from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.errors import KasasagiError
from kasasagi.flows.probe.advice import Judgement, judge
from kasasagi.flows.probe.figures import ProbeFigures, diversity, languages, opening, spread
from kasasagi.flows.probe.measures import Measures
from kasasagi.flows.probe.setup import Probe
from kasasagi.tasks.asking import Answered, Session, ask, call_row
from kasasagi.tasks.synthesize.draws import draws_for, sort_draws
from kasasagi.tasks.synthesize.stage import SYNTHESIZE
from kasasagi.tasks.synthesize.steering import Steering

NEAR = 0.7
_ASSISTANT = re.compile(
    r"\s*(?:(?:hello|hi|hey)[!,. ]+(?:there[!,. ]+)?(?:how|what) (?:can|may) i (?:help|assist|do)"
    r"|(?:sure|certainly|of course|absolutely)[!,.] |i'?m (?:an ai|a language model|here to help)"
    r"|as an ai\b|how (?:can|may) i (?:help|assist) you"
    r"|(?:こんにちは[！!、。]\s*)?(?:何か|どのように|どんな|いかが).{0,14}(?:お手伝い|お役に立て)|もちろんです|かしこまりました)",
    re.IGNORECASE,
)


class ProbeResult(Config):
    """What came of a probe."""

    name: str = Field(description="What was probed.")
    model: str = Field(description="What the ledger knows the model by.")
    figures: ProbeFigures = Field(description="What was measured.")
    judgement: Judgement = Field(description="The verdict, and what to try.")


def run_probe(probe: Probe, workspace: Workspace, log: Callable[[str], None]) -> ProbeResult:
    """Draw the samples and judge them. Raises KasasagiError where the model cannot be asked so, PreQueryUnknownError
    where its template is unknown, and SteeringError.
    """
    workspace.prepare()
    steering = Steering.read(probe.source, probe.base)
    with _session(probe, workspace, log) as session:
        asked = draws_for(session, steering, 0, probe.samples)
        try:
            answered = ask(session, [draw.question for draw in asked], SYNTHESIZE.name, 0)
        except ModelUnusableError as error:
            raise KasasagiError(str(error)) from error
        sorted_ = sort_draws(probe.source, asked, answered)
        figures = _figures(probe, session, sorted_.rows, answered)
        identity = session.identities[probe.source.model]
    return ProbeResult(
        name=probe.name, model=identity, figures=figures, judgement=judge(figures, probe.sampling, probe.is_steered)
    )


@contextmanager
def _session(probe: Probe, workspace: Workspace, log: Callable[[str], None]) -> Iterator[Session]:
    """A session for one model, whose folder is gone afterwards; an interrupt keeps what was paid for."""
    models = {probe.source.model: probe.model}
    engines = engines_for(models, workspace.folder / "vllm", probe.base)
    identities = {label: identity_of(model, engines, label) for label, model in models.items()}
    run = Run(workspace, f"probe-{secrets.token_hex(4)}")
    run.folder.mkdir(parents=True)
    dispatcher = Dispatcher(with_enough_files(models, log), engines, workspace.ledger_folder, probe.budget)
    claims = Claims(workspace, run.id)
    try:
        yield Session(run, models, identities, dispatcher, claims, log=log, base=probe.base)
    except BaseException as error:
        dispatcher.stop(error if isinstance(error, Exception) else StoppedError("the probe was interrupted"))
        raise
    finally:
        dispatcher.close(10.0)
        claims.close()
        shutil.rmtree(run.folder, ignore_errors=True)


def _figures(probe: Probe, session: Session, rows: dict[str, list[Any]], answered: Sequence[Answered]) -> ProbeFigures:
    draws = rows["draws"]
    texts = [row["text"].strip() for row in draws]
    calls = [call_row(session.models, SYNTHESIZE.name, answer) for answer in answered]
    measures = Measures(probe, session.run.folder, draws)
    distinct = measures.share({"exact": True})
    words, share = opening(texts)

    def price(call: dict[str, Any]) -> float:
        return probe.model.usd_per_million_tokens.cost(call["prompt_tokens"], call["completion_tokens"])

    return ProbeFigures(
        draws=len(answered),
        invented=len(draws),
        failed=dict(Counter(row["reason"] for row in rows["quarantine"]).most_common()),
        accepted=measures.kept(probe.filter) / max(1, len(answered)),
        passes=measures.passes(),
        distinct=distinct,
        near=1 - measures.share({"near": NEAR}) / (distinct or 1),
        diversity=diversity(texts),
        opening=words,
        opening_share=share,
        answers=sum(1 for text in texts if _ASSISTANT.match(text)) / max(1, len(texts)),
        cut=sum(1 for row in draws if row["finish_reason"] == "length") / max(1, len(draws)),
        characters=spread(texts),
        tokens=sum(call["completion_tokens"] for call in calls) / max(1, len(calls)),
        languages=languages(texts) if texts else {},
        stops=dict(Counter(repr(row["stop_reason"]) for row in draws if row["stop_reason"]).most_common()),
        calls_paid=sum(1 for call in calls if not call["reused"]),
        calls_reused=sum(1 for call in calls if call["reused"]),
        cost_usd=sum(call["cost_usd"] for call in calls),
        usd_a_draw=sum(map(price, calls)) / max(1, len(calls)),
        samples=measures.shown(),
    )
