"""The recipe: one frozen model of a whole job."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

from kasasagi.blocks.cluster.config import RuntimeConfig
from kasasagi.blocks.models.kinds import Budget, Config, ModelConfig
from kasasagi.tasks.filter import FilterConfig
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.gate.active_expectations import active_expectations
from kasasagi.tasks.gate.config import GatesConfig
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.load import DatasetSource
from kasasagi.tasks.mix.config import PART_COLUMNS, RunsSource
from kasasagi.tasks.own.config import OwnStage
from kasasagi.tasks.pipeline import STAGES
from kasasagi.tasks.publish import PublishConfig
from kasasagi.tasks.respond.config import RespondConfig
from kasasagi.tasks.rewrite.config import RewriteConfig
from kasasagi.tasks.select.config import SelectConfig
from kasasagi.tasks.semantic.config import COLUMNS, SemanticConfig
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.tags.config import TagsConfig

MOST_PROMPTS_FOR_A_PAIR = 20
"""How many prompts a model invents at most for each pair of a target, where its source names no number."""
NO_RESPONDERS = RespondConfig.model_construct(models=())
"""The respond of a recipe that makes instructions alone."""

PROMPT_COLUMNS = ("prompt_id", "messages", "instruction")
SourceConfig = Annotated[DatasetSource | MagpieSource | RunsSource, Field(discriminator="kind")]


def _without_models(schema: dict[str, Any]) -> None:
    """Let a schema's recipes leave out the models; whether they may is decided by the source."""
    schema["required"].remove("models")


class Recipe(Config):
    """A recipe: where prompts come from, which models respond and judge, how pairs are made, and where they are
    published.
    """

    model_config = ConfigDict(json_schema_extra=_without_models)

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Name of the job, also used in file names."
    )
    source: SourceConfig = Field(
        description="Where prompts come from: a dataset, Magpie, or finished runs whose pairs are mixed."
    )
    models: dict[str, ModelConfig] = Field(
        description="Models, by the names that this recipe uses for them. Only a mix of runs needs none.",
    )
    filter: FilterConfig = Field(FilterConfig(), description="Which prompts continue; rejected ones are quarantined.")
    tags: TagsConfig | None = Field(None, description="Label the prompts with a model; each label becomes a column.")
    semantic: SemanticConfig | None = Field(None, description="Compare prompts by meaning, with an embedding model.")
    select: SelectConfig | None = Field(None, description="Quotas: how many prompts of each kind continue.")
    rewrite: RewriteConfig | None = Field(None, description="Rewrite the selected prompts into further ones.")
    stages: tuple[OwnStage, ...] = Field((), description="Your own stages, in their order.")
    respond: RespondConfig = Field(
        NO_RESPONDERS, description="Which models respond; a recipe without respond and judge publishes instructions."
    )
    judge: JudgeConfig | None = Field(
        None,
        description="Which models judge; not needed with strong_vs_weak. Without judge and pairs the responses are the "
        "dataset.",
    )
    pairs: PairsConfig = Field(PairsConfig(), description="How pairs are made.")
    gates: GatesConfig = Field(GatesConfig(), description="Which expectations the data must meet.")
    budget: Budget = Field(Budget(), description="Maximum spending of one run.")
    publish: PublishConfig = Field(PublishConfig(), description="Where the dataset is published, and in which formats.")
    runtime: RuntimeConfig | None = Field(None, description="A cluster that makes the calls; default: this process.")

    @model_validator(mode="before")
    @classmethod
    def _draws_for_pairs(cls, data: Any) -> Any:
        """Let a source that invents instructions go on for a target of pairs, where it names no number of its own."""
        source, pairs = (data.get("source"), data.get("pairs")) if isinstance(data, dict) else (None, None)
        target = pairs.get("target") if isinstance(pairs, dict) else None
        if not isinstance(target, int) or not isinstance(source, dict) or source.get("kind") != "magpie":
            return data
        if source.get("target") is not None or source.get("samples") is not None:
            return data
        return {**data, "source": {**source, "target": target * MOST_PROMPTS_FOR_A_PAIR}}

    @model_validator(mode="before")
    @classmethod
    def _mixes_without_models(cls, value: Any) -> Any:
        source = value.get("source") if isinstance(value, dict) else None
        mixes = isinstance(source, dict) and source.get("kind") == "runs"
        return {"models": {}, **value} if mixes else value

    @field_validator("models")
    @classmethod
    def _has_models(cls, models: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if not models and isinstance(info.data.get("source"), DatasetSource | MagpieSource):
            raise PydanticKnownError("too_short", {"field_type": "Dictionary", "min_length": 1, "actual_length": 0})
        return models

    @property
    def mixes(self) -> bool:
        """Whether pairs of finished runs are mixed, so that no model is called."""
        return isinstance(self.source, RunsSource)

    @property
    def answers(self) -> bool:
        """Whether there are answers, asked for or provided; else the instructions are what is published."""
        return bool(self.respond.models) or self.responses_provided or self.mixes

    @property
    def responses_provided(self) -> bool:
        """Whether the source provides the responses, so that no model responds."""
        return isinstance(self.source, DatasetSource) and self.source.responses is not None

    @property
    def chooses_source(self) -> bool:
        """Whether the answers that the source's rows end with are the chosen ones, beside those that are asked for."""
        return isinstance(self.source, DatasetSource) and self.source.last_answer == "as_chosen"

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """Columns of the source that are carried along."""
        if isinstance(self.source, RunsSource):
            return PART_COLUMNS
        return tuple(self.source.keep if isinstance(self.source, DatasetSource) else self.source.columns)

    @property
    def prompt_columns(self) -> tuple[str, ...]:
        """Columns that the respond template may use."""
        return (*PROMPT_COLUMNS, *self.kept_columns)

    @property
    def default_rules(self) -> tuple[str | dict[str, Any], ...]:
        """Filter rules that hold unless the recipe drops them: for Magpie alone; real prompts often break them."""
        return self.source.default_rules if isinstance(self.source, MagpieSource) else ()

    @property
    def judging(self) -> JudgeConfig | None:
        """The judge configuration, or None if no judge is used: strong_vs_weak uses no ratings."""
        return None if self.pairs.strategy == "strong_vs_weak" else self.judge

    @property
    def pairing(self) -> bool:
        """Whether pairs are made; else the responses or the instructions are the dataset."""
        return self.judging is not None or self.pairs.strategy == "strong_vs_weak" or self.mixes

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """What the gates expect of this recipe's rows."""
        return active_expectations(self)

    @property
    def is_refined(self) -> bool:
        """Return whether the recipe has stages between the filter and the responders."""
        return any(part is not None for part in (self.tags, self.semantic, self.select, self.rewrite))

    @property
    def tag_columns(self) -> tuple[str, ...]:
        """Columns that tags add."""
        return self.tags.columns if self.tags else ()

    @property
    def neighbor_columns(self) -> tuple[str, ...]:
        """Columns that the comparison by meaning adds."""
        return COLUMNS if self.semantic else ()

    @property
    def stage_columns(self) -> tuple[str, ...]:
        """Columns that the stages of this recipe add to the prompts."""
        return tuple(name for stage in STAGES for name in stage.columns(self))

    def plain(self) -> dict[str, Any]:
        """Return the recipe as plain data, without what was left at its default; it can be read again."""
        data = self.model_dump(mode="json", exclude_defaults=True)
        return {**data, "source": {**data["source"], "kind": self.source.kind}}
