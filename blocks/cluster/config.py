"""Where the calls of a run are made, if not in the process that runs it."""

from typing import Any, Literal

from pydantic import Field, model_validator

from kasasagi.blocks.configuration import Config

FORMER_KEY = "parcel_calls"
"""The earlier name of batch_calls, which recipes may still have."""


class RuntimeConfig(Config):
    """An existing cluster whose workers make the calls of a run."""

    runner: Literal["ray", "dask"] = Field(description="Kind of cluster: ray or dask.")
    address: str = Field(min_length=1, description="Address: tcp://host:8786 (Dask), ray://host:10001 or host:6379.")
    storage: str | None = Field(
        None,
        description="Folder that all workers can read and write: a path, or s3://bucket/folder; default: a folder in "
        "the workspace.",
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="Number of call batches that run at once; default: the number of the cluster's threads or CPUs.",
    )
    batch_calls: int = Field(
        256, ge=1, le=10_000, description="Maximum number of calls in a call batch, which is one task on the cluster."
    )
    flush_s: float = Field(
        0.5, ge=0, le=60, description="Maximum number of seconds that answers wait at a worker to be written together."
    )
    most_chunks: Literal[256, 512, 1024, 2048, 4096] = Field(
        256, description="Maximum number of chunks in a run; with millions of prompts, more chunks need less memory."
    )
    resources: dict[str, dict[str, Any]] = Field(
        {}, description="Ray's options for tasks that call a model, by the model's name, e.g. {small: {num_gpus: 1}}."
    )

    @model_validator(mode="before")
    @classmethod
    def _reads_its_former_key(cls, value: Any) -> Any:
        if isinstance(value, dict) and FORMER_KEY in value and "batch_calls" not in value:
            return {("batch_calls" if key == FORMER_KEY else key): setting for key, setting in value.items()}
        return value

    @model_validator(mode="after")
    def _has_resources_where_there_are_any(self) -> "RuntimeConfig":
        if self.resources and self.runner != "ray":
            raise ValueError("resources are options of Ray's tasks: remove them, or set runner: ray")
        return self
