"""The optional stages between the filter and the responders: what each does for a chunk, and how it is known."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq

from blocks.dispatcher import Question
from blocks.shards import Account, Handle, Shard
from blocks.tables import quoted
from tasks.asking import ChunkJob
from tasks.filter import filter_digest, filter_prompts
from tasks.rewrite import stage as rewrite
from tasks.rewrite.config import METHOD, ORIGIN
from tasks.select import job as select
from tasks.semantic import stage as semantic
from tasks.tags import stage as tags
from tasks.tags.labels import SCALES

if TYPE_CHECKING:
    from flows.jobs import Stages

# Raised when the same input would give other rows. 2: rules on texts that find more, and err less. 3: personal data is
# looked for in every turn, telephone numbers may have blanks, and questions about a city are no address.
FILTER_VERSION = 3
ORIGINALS, REWRITES = 0, 1
CHUNKS_OF_ORIGINALS = 100_000
"""From this number on the chunks of tags are those of rewritten prompts."""
_OWN = ("prompt_id", "messages", "instruction", "finish_reason")


class Late:
    """The optional stages of one run."""

    def __init__(self, stages: "Stages") -> None:
        self.stages = stages
        self.recipe = stages.recipe
        self.session = stages.session

    def work(self) -> dict[str, Callable[[ChunkJob], dict[str, Any]]]:
        """What is done for a chunk of each of these stages."""
        session, recipe, where = self.session, self.recipe, self.stages.where
        found: dict[str, Callable[[ChunkJob], dict[str, Any]]] = {
            select.STAGE: lambda job: self._select(job).model_dump(),
            "filter": lambda job: (self._filter(job) if job.chunk else self.stages.filter(job)).model_dump(),
        }
        if (tagging := recipe.tags) is not None:
            found[tags.STAGE] = lambda job: tags.tag_chunk(session, tagging, where[1], job).model_dump()
        if (embedding := recipe.semantic) is not None:
            found[semantic.STAGE] = lambda job: semantic.embed_chunk(session, embedding, job).model_dump()
        if (rewriting := recipe.rewrite) is not None:
            found[rewrite.STAGE] = lambda job: rewrite.rewrite_chunk(session, rewriting, job).model_dump()
        return found

    def questions(self, stage: str, prompts: Sequence[Mapping[str, Any]]) -> Sequence[Question]:
        """What one of these stages first asks about some prompts."""
        session, recipe = self.session, self.recipe
        if stage == tags.STAGE and recipe.tags is not None:
            return tags.questions_for(session, recipe.tags, prompts)
        if stage == semantic.STAGE and recipe.semantic is not None:
            return semantic.questions_for(session, recipe.semantic, prompts)
        if stage == rewrite.STAGE and recipe.rewrite is not None:
            return rewrite.questions_for(session, recipe.rewrite, rewrite.wishes(recipe.rewrite, prompts))
        return ()

    def asks(self, stage: str) -> str:
        """The model that one of these stages asks."""
        configs = {
            tags.STAGE: self.recipe.tags,
            semantic.STAGE: self.recipe.semantic,
            rewrite.STAGE: self.recipe.rewrite,
        }
        config = configs[stage]
        if config is None:
            raise TypeError(f"the recipe has no {stage}")
        return config.model

    def tags_job(self, chunk: int, prompts: Shard) -> ChunkJob:
        """The job that tags one chunk of prompts."""
        return self._paid_job(
            tags.STAGE, tags.VERSION, self.recipe.tags, chunk, prompts, list(self.stages.where[1].items())
        )

    def semantic_job(self, chunk: int, prompts: Shard) -> ChunkJob:
        """The job that embeds one chunk of prompts."""
        return self._paid_job(semantic.STAGE, semantic.VERSION, self.recipe.semantic, chunk, prompts)

    def rewrite_job(self, chunk: int, prompts: Shard) -> ChunkJob:
        """The job that rewrites one chunk of prompts."""
        return self._paid_job(rewrite.STAGE, rewrite.VERSION, self.recipe.rewrite, chunk, prompts)

    def _paid_job(self, stage: str, version: int, config: Any, chunk: int, prompts: Shard, *more: Any) -> ChunkJob:
        known = [config.model_dump(mode="json"), self.stages.model_digest(config.model), *more]
        return self.stages.job(stage, version, chunk, {"prompts": prompts}, known)

    def select_job(self, part: int, inputs: Mapping[str, Shard], most: int | None) -> ChunkJob:
        """The job that selects among the filtered prompts of one part, the originals or the rewrites."""
        chosen = self.selection(part, most)
        quotas = chosen.quotas.model_dump(mode="json") if chosen.quotas else None
        scales = {name: list(scale) for name, scale in chosen.scales.items()}
        known = [quotas, list(chosen.where.items()), chosen.compared, chosen.duplicates, scales, most]
        return self.stages.job(select.STAGE, select.VERSION, part, inputs, known)

    def selection(self, part: int, most: int | None) -> select.Selection:
        """What a part is selected by: rewrites have no quotas, and are not compared, being like their origins."""
        if part == REWRITES:
            return select.Selection()
        compared = self.recipe.semantic
        return select.Selection(
            quotas=self.recipe.select,
            where=self.stages.where[2],
            compared=compared is not None,
            duplicates=compared.duplicates if compared else None,
            scales=self._scales(),
            most=most,
        )

    def _scales(self) -> dict[str, Sequence[str]]:
        tagging = self.recipe.tags
        return {f"{tagging.prefix}{kind}": SCALES[kind] for kind in tagging.kinds if kind in SCALES} if tagging else {}

    def rewrites_filter_job(self, together: Shard) -> ChunkJob:
        """The job that filters the rewrites among all prompts."""
        config = filter_digest(self.stages.early_filter, self.stages.base, self.recipe.default_rules)
        return self.stages.job("filter", FILTER_VERSION, REWRITES, {"loaded": together}, config, "rewrites")

    def together(self, selected: Shard, rewritten: Sequence[Shard]) -> Shard:
        """The selected prompts and what was made of them, which comes behind them and keeps their kept columns."""
        path = self._path(selected)
        added = {*self.recipe.filter.columns, *self.recipe.tag_columns, *self.recipe.neighbor_columns}
        kept = [name for name in pq.read_schema(path).names if name not in added]
        source = f"read_parquet({quoted(path)})"
        files = ", ".join(quoted(self._path(shard)) for shard in rewritten)
        return self._written(
            f"SELECT {', '.join(map(_name, kept))}, NULL::VARCHAR AS {ORIGIN}, NULL::VARCHAR AS {METHOD} FROM {source} "
            f"UNION ALL BY NAME SELECT {', '.join(_of_rewrite(name, source) for name in kept)}, r.{ORIGIN}, r.{METHOD} "
            f"FROM read_parquet([{files}]) AS r "
            f"JOIN (SELECT DISTINCT ON (prompt_id) * FROM {source} ORDER BY prompt_id, position) AS o "
            f"ON o.prompt_id = r.{ORIGIN} ORDER BY position"
        )

    def still_there(self, prompts: Shard, tagged: Sequence[Shard]) -> Shard:
        """The prompts that have tags."""
        files = ", ".join(quoted(self._path(shard)) for shard in tagged)
        there = f"prompt_id IN (SELECT prompt_id FROM read_parquet([{files}]))" if files else "false"
        source = f"read_parquet({quoted(self._path(prompts))})"
        return self._written(f"SELECT * FROM {source} WHERE {there} ORDER BY position, prompt_id")

    def joined(self, one: Shard, other: Shard) -> Shard:
        """The prompts of two shards as one; a column that one lacks is NULL."""
        files = f"[{quoted(self._path(one))}, {quoted(self._path(other))}]"
        return self._written(f"SELECT * FROM read_parquet({files}, union_by_name = true) ORDER BY position")

    def _written(self, query: str) -> Shard:
        """The rows of a query as a shard, by a DuckDB that spills into the run's scratch folder."""
        scratch = self.session.run.folder / "scratch"
        with duckdb.connect(":memory:") as connection:
            connection.execute(f"SET memory_limit = '512MB'; SET temp_directory = {quoted(scratch)}")
            reader = connection.sql(query).to_arrow_reader(8192)
            return self.session.run.workspace.shards.write(iter(reader), reader.schema)

    def _path(self, shard: Shard) -> Path:
        return self.session.run.workspace.shards.path(shard)

    def _paths(self, job: ChunkJob, kind: str) -> list[Path]:
        return [self._path(shard) for name, shard in sorted(job.inputs.items()) if name.startswith(f"{kind} ")]

    def _select(self, job: ChunkJob) -> Handle:
        started = time.monotonic()
        into = self.stages.scratch(job)
        chosen = self.selection(job.chunk, self.stages.target)
        tagged, vectors = self._paths(job, "tags"), self._paths(job, "vectors")
        result = select.select_prompts(chosen, self._path(job.inputs["prompts"]), tagged, vectors, into)
        return self.stages.adopt(job, into, result, "prompts", started)

    def _filter(self, job: ChunkJob) -> Handle:
        """Filter the rewrites: they stand behind the originals, which pass again, and only they are counted here."""
        started = time.monotonic()
        into = self.stages.scratch(job)
        base, rules = self.stages.base, self.recipe.default_rules
        result = filter_prompts(self.stages.early_filter, self._path(job.inputs["loaded"]), into, base, rules)
        prompts = f"SELECT * FROM read_parquet({quoted(result.prompts)}) WHERE {ORIGIN} IS NOT NULL ORDER BY position"
        kept, held = self._written(prompts), self.session.run.workspace.shards.adopt(result.quarantine)
        account = Account(
            rows_in=kept.rows + held.rows,
            rows_out=kept.rows,
            quarantined=held.rows,
            seconds=time.monotonic() - started,
        )
        shards = {"filtered": kept, "quarantine": held}
        return Handle(stage=job.stage, chunk=job.chunk, run=job.run, shards=shards, account=account)


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _of_rewrite(column: str, source: str) -> str:
    """SQL for a rewrite's value of a column: its own, its place behind all originals, or what its origin has."""
    if column in _OWN:
        return f"r.{_name(column)}"
    if column == "position":
        place = "row_number() OVER (ORDER BY o.position, o.prompt_id, r.place)"
        return f"(SELECT max(position) FROM {source}) + {place} AS position"
    return "NULL AS stop_reason" if column == "stop_reason" else f"o.{_name(column)}"
