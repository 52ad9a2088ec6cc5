"""What each stage of a run does for a chunk, and the key that its cached result is known by."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from blocks.canonical import digest
from blocks.models import ModelConfig, extra_body_of, price_of
from blocks.shards import Account, Handle, Shard
from blocks.tables import quoted
from flows.late import FILTER_VERSION, Late
from flows.recipe import Recipe
from tasks import format_dpo, given, respond, synthesize
from tasks.asking import ChunkJob, Session
from tasks.converse import stage as converse
from tasks.converse.plan import Dialogues, dialogues
from tasks.filter import FilterConfig, filter_digest, filter_prompts
from tasks.filter.late import split_where
from tasks.filter.published import published_keys
from tasks.judge import stage as judge
from tasks.judge.config import JudgeConfig
from tasks.load import DatasetSource, load_given, load_prompts, source_digest
from tasks.student import TokenCounter, token_counter
from tasks.synthesize import MagpieSource, Steering, Yield, limited, prompts_table

LOAD_VERSION = 2
SCRATCH = "scratch"


@dataclass(frozen=True)
class Stages:
    """The stages of one run: their jobs and their work."""

    session: Session
    recipe: Recipe
    base: Path
    limit: int | None = None

    @cached_property
    def counter(self) -> TokenCounter | None:
        """Who counts tokens for the student, where the recipe limits them. Raises TokenizerError."""
        limits = self.recipe.pairs.max_tokens
        return None if limits is None else token_counter(limits, self.base)

    @cached_property
    def steering(self) -> Steering:
        """What the draws of a Magpie source are steered by. Raises SteeringError."""
        return Steering.read(self._magpie(), self.base)

    @cached_property
    def dialogues(self) -> Dialogues | None:
        """How dialogues go on, where the source wants several turns."""
        return dialogues(self.recipe.source, self.recipe.filter.rules)

    def work(self) -> dict[str, Callable[[ChunkJob], dict[str, Any]]]:
        """What is done for a chunk of each stage. Raises TokenizerError, before anything is paid for."""
        recipe, session, counter = self.recipe, self.session, self.counter
        late = Late(self).work() if recipe.is_refined else {}
        return {
            "load": lambda job: self._load(job).model_dump(),
            "filter": lambda job: self.filter(job).model_dump(),
            "respond": lambda job: self._respond(job).model_dump(),
            "judge": lambda job: judge.judge_chunk(session, self._judging(), recipe.pairs.weighing(), job).model_dump(),
            "format_dpo": lambda job: format_dpo.format_chunk(
                session.run, recipe.pairs, recipe.judging, job, counter
            ).model_dump(),
            converse.STAGE: lambda job: self._converse(job).model_dump(),
            **late,
        }

    def load_job(self) -> ChunkJob:
        """The job that reads the dataset."""
        source = self._dataset()
        content = source_digest(source, self.base)
        return self.job(
            "load", LOAD_VERSION, 0, {}, source.model_dump(mode="json", exclude={"turns"}), content, self.limit
        )

    def synthesize_job(self, chunk: int, draws: int) -> ChunkJob:
        """The job that draws one chunk of instructions; draws counts all that the run wants."""
        source = self._magpie()
        config = source.model_dump(mode="json", exclude={"target", "samples", "min_yield", "turns"})
        last = min(draws, (chunk + 1) * synthesize.DRAWS_IN_A_CHUNK)
        model = [*self.model_digest(source.model), *synthesize.own_words(self.session, source)]
        return self.job(synthesize.STAGE, synthesize.VERSION, chunk, {}, config, self.steering.digest, model, last)

    def synthesize_work(self, draws: int) -> Callable[[ChunkJob], dict[str, Any]]:
        """What is done for a chunk of draws."""
        return lambda job: synthesize.synthesize_chunk(self.session, self.steering, job, draws).model_dump()

    def filter_job(self, loaded: Shard, most: int | None) -> ChunkJob:
        """The job that filters all prompts; most is the number of accepted ones that is wanted, if any."""
        config = filter_digest(self.early_filter, self.base, self.recipe.default_rules)
        refined = ["refined"] if self.recipe.is_refined else []
        inputs = {"loaded": loaded}
        if self.recipe.filter.dedup.published:
            inputs["published"] = published_keys(self.session.run.workspace, self.recipe.name)
        return self.job("filter", FILTER_VERSION, 0, inputs, config, most, *refined)

    @property
    def target(self) -> int | None:
        """How many accepted instructions are wanted of a model that invents them, if the recipe says so."""
        source = self.recipe.source
        return limited(source, self.limit).target if isinstance(source, MagpieSource) else None

    @cached_property
    def where(self) -> list[dict[str, str]]:
        """The conditions of the filter: those that it can ask itself, those on tags, those on neighbours."""
        return split_where(self.recipe.filter.where, [self.recipe.tag_columns, self.recipe.neighbor_columns])

    @property
    def early_filter(self) -> FilterConfig:
        """The filter without the conditions that ask for columns of later stages."""
        return self.recipe.filter.model_copy(update={"where": self.where[0]})

    def converse_job(self, plan: Dialogues, chunk: int, prompts: Shard) -> ChunkJob:
        """The job that lets one chunk of dialogues go on."""
        begins = converse.begins_of(self.session, plan)
        example = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
        models = [self.model_digest(plan.model), self.model_digest(plan.answerer)]
        rules = [FILTER_VERSION, filter_digest(converse.turn_filter(plan), self.base)]
        known = [plan.plain(), models, converse.next_prompt(begins, plan, example), begins.stops(), rules]
        return self.job(converse.STAGE, converse.VERSION, chunk, {"prompts": prompts}, known)

    def _converse(self, job: ChunkJob) -> Handle:
        if (plan := self.dialogues) is None:
            raise TypeError("the source wants no further turns")
        return converse.converse_chunk(self.session, plan, job)

    @cached_property
    def given(self) -> Shard | None:
        """The responses that the source holds, once it is loaded; None where they are asked for."""
        if not self.recipe.given:
            return None
        loads = [one.handle for one in self.session.run.handles() if one.handle.stage == "load"]
        return loads[-1].shards["given"]

    def _respond(self, job: ChunkJob) -> Handle:
        if self.recipe.given:
            return given.given_chunk(self.session.run, job)
        return respond.respond_chunk(self.session, self.recipe.respond, job)

    def respond_job(self, chunk: int, prompts: Shard) -> ChunkJob:
        """The job that answers one chunk of prompts, or takes the answers that are there."""
        if self.given is not None:
            inputs = {"prompts": prompts, "given": self.given}
            return self.job(respond.STAGE, given.VERSION, chunk, inputs, "given")
        config = self.recipe.respond.model_dump(mode="json")
        models = [self.model_digest(responder.use) for responder in self.recipe.respond.models]
        return self.job(respond.STAGE, respond.VERSION, chunk, {"prompts": prompts}, config, models)

    def judge_job(self, chunk: int, inputs: Mapping[str, Shard]) -> ChunkJob:
        """The job that rates one chunk of responses."""
        config, pairs = self._judging(), self.recipe.pairs
        asked: list[Any] = [config.model_dump(mode="json"), [self.model_digest(name) for name in config.judges]]
        if config.confirms:  # what leaves the margin decides what else is asked
            quorum = [] if pairs.quorum is None else [pairs.quorum]
            asked.append([pairs.min_margin, pairs.aspects, pairs.judges, *quorum])
        return self.job(judge.STAGE, judge.VERSION, chunk, inputs, *asked)

    def format_job(self, chunk: int, inputs: Mapping[str, Shard]) -> ChunkJob:
        """The job that makes the pairs of one chunk."""
        judging = self.recipe.judging
        marks = (
            judging.model_dump(mode="json", exclude={"sampling", "language", "repairs", "round"}) if judging else None
        )
        config = self.recipe.pairs.model_dump(mode="json")
        student = [self.counter.digest] if self.counter else []
        return self.job(format_dpo.STAGE, format_dpo.VERSION, chunk, inputs, config, marks, *student)

    def job(self, stage: str, version: int, chunk: int, inputs: Mapping[str, Shard], *config: Any) -> ChunkJob:
        """A job, known by its stage's version, its configuration and what it reads."""
        shards = {name: shard.digest for name, shard in inputs.items()}
        key = digest([stage, version, chunk, shards, list(config), []])  # [] keeps the keys of earlier versions good
        return ChunkJob(stage=stage, chunk=chunk, run=self.session.run.id, inputs=dict(inputs), cache_key=key)

    def model_digest(self, label: str) -> list[Any]:
        """What of a model changes the answers or their price."""
        model: ModelConfig = self.recipe.models[label]
        extra = extra_body_of(model)
        price = price_of(model).model_dump()
        return [self.session.identities[label], model.sampling.parameters(), extra, price]

    def _judging(self) -> JudgeConfig:
        if self.recipe.judging is None:
            raise TypeError("nobody judges in this recipe")
        return self.recipe.judging

    def _dataset(self) -> DatasetSource:
        if not isinstance(self.recipe.source, DatasetSource):
            raise TypeError(f"the source is {self.recipe.source.kind}, not a dataset")
        return self.recipe.source

    def _magpie(self) -> MagpieSource:
        if not isinstance(self.recipe.source, MagpieSource):
            raise TypeError(f"the source is {self.recipe.source.kind}, not magpie")
        return self.recipe.source

    def _load(self, job: ChunkJob) -> Handle:
        started = time.monotonic()
        into = self.scratch(job)
        result = load_prompts(self._dataset(), self.base, into, self.limit)
        if not self.recipe.given:
            return self.adopt(job, into, result, "loaded", started)
        responses = load_given(self._dataset(), self.base, into, self.limit)
        shard = self.session.run.workspace.shards.adopt(responses)
        handle = self.adopt(job, into, result, "loaded", started)
        return handle.model_copy(update={"shards": {**handle.shards, "given": shard}})

    def filter(self, job: ChunkJob) -> Handle:
        """Filter all prompts; what survives is `prompts`, or `filtered` where other stages go on with it."""
        started = time.monotonic()
        into = self.scratch(job)
        store, before = self.session.run.workspace.shards, job.inputs.get("published")
        published = store.path(before) if before else None
        loaded, rules = store.path(job.inputs["loaded"]), self.recipe.default_rules
        result = filter_prompts(self.early_filter, loaded, into, self.base, rules, published)
        if self.recipe.is_refined:
            return self.adopt(job, into, result, "filtered", started)
        target = self.target
        if target is not None and result.rows_out > target:
            result = _without_surplus(result, into, target)
        return self.adopt(job, into, result, "prompts", started)

    def yield_of(self, chunk: Handle) -> Yield:
        """What the rules and predicates let pass of one chunk of draws, before duplicates elsewhere are known."""
        store, magpie = self.session.run.workspace.shards, self._magpie()
        into = self._folder(f"yield-{chunk.chunk}")
        rejected = (
            Counter(reasons(store.path(chunk.shards["quarantine"]))) if "quarantine" in chunk.shards else Counter()
        )
        accepted = 0
        if "draws" in chunk.shards:
            pq.write_table(prompts_table(magpie, store.read(chunk.shards["draws"])), into / "draws.parquet")
            config = FilterConfig(**{name: getattr(self.early_filter, name) for name in ("rules", "where", "columns")})
            result = filter_prompts(config, into / "draws.parquet", into, self.base, self.recipe.default_rules)
            accepted = result.rows_out
            rejected += Counter(reasons(result.quarantine))
        shutil.rmtree(into, ignore_errors=True)
        return Yield(chunk.account.rows_in, accepted, rejected)

    def scratch(self, job: ChunkJob) -> Path:
        """An empty folder for a job's files."""
        return self._folder(f"{job.stage}-{job.chunk}")

    def _folder(self, name: str) -> Path:
        into = self.session.run.folder / SCRATCH / name
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(parents=True)
        return into

    def adopt(self, job: ChunkJob, into: Path, result: Any, name: str, started: float) -> Handle:
        """The handle of a job that left two tables in its folder, prompts under that name and what was set aside."""
        store = self.session.run.workspace.shards
        shards = {name: store.adopt(result.prompts), "quarantine": store.adopt(result.quarantine)}
        account = Account(
            rows_in=result.rows_in,
            rows_out=result.rows_out,
            quarantined=result.quarantined,
            seconds=time.monotonic() - started,
        )
        shutil.rmtree(into, ignore_errors=True)
        return Handle(stage=job.stage, chunk=job.chunk, run=job.run, shards=shards, account=account)


def reasons(quarantine: Path) -> list[str]:
    """The reason of each row that a stage set aside."""
    return list(pq.read_table(quarantine, columns=["reason"]).column(0).to_pylist())


def _without_surplus(result: Any, into: Path, target: int) -> Any:
    """The first accepted prompts, as many as were wanted; the rest is set aside as surplus."""
    kept, aside = into / "kept.parquet", into / "aside.parquet"
    with duckdb.connect(":memory:") as connection:
        source = f"read_parquet({quoted(result.prompts)})"
        first = f"SELECT * FROM {source} ORDER BY position LIMIT {target}"
        connection.execute(f"COPY ({first}) TO {quoted(kept)} (FORMAT parquet)")
        connection.execute(
            f"""COPY (
                SELECT * FROM read_parquet({quoted(result.quarantine)}) UNION ALL BY NAME
                SELECT 'filter' AS stage, prompt_id AS row_id, 'surplus' AS reason,
                       'more were accepted than the target of {target}' AS detail,
                       to_json(p)::VARCHAR AS payload, position
                FROM {source} AS p ORDER BY position OFFSET {target}
            ) TO {quoted(aside)} (FORMAT parquet)"""
        )
    surplus = result.rows_out - target
    return type(result)(
        rows_in=result.rows_in,
        rows_out=target,
        quarantined=result.quarantined + surplus,
        prompts=kept,
        quarantine=aside,
    )
