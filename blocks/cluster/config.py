"""Where the calls of a run are made, if not in the process that runs it."""

from typing import Any, Literal

from pydantic import Field, model_validator

from kasasagi.blocks.configuration import Config


class RuntimeConfig(Config):
    """An existing cluster whose workers make the calls of a run."""

    runner: Literal["ray", "dask"] = Field(description="Whose cluster it is: ray or dask.")
    address: str = Field(
        min_length=1, description="Where it is: tcp://host:8786 (Dask), ray://host:10001 or host:6379."
    )
    storage: str | None = Field(
        None,
        description="Folder that all workers see: a path, or s3://bucket/folder; if not set, one in the workspace.",
    )
    workers: int | None = Field(
        None, ge=1, description="Call batches in work at once; if not set, as many as the cluster has threads or CPUs."
    )
    parcel_calls: int = Field(256, ge=1, le=10_000, description="Most calls that one task on the cluster makes.")
    flush_s: float = Field(
        0.5, ge=0, le=60, description="Seconds that answers may wait at a worker to be written together."
    )
    most_chunks: Literal[256, 512, 1024, 2048, 4096] = Field(
        256, description="Most chunks of a run; with millions of prompts more of them take less memory."
    )
    resources: dict[str, dict[str, Any]] = Field(
        {}, description="Ray's options for tasks that ask a model, by the model's name, as {small: {num_gpus: 1}}."
    )

    @model_validator(mode="after")
    def _has_resources_where_there_are_any(self) -> "RuntimeConfig":
        if self.resources and self.runner != "ray":
            raise ValueError("resources are options of Ray's tasks: take them out, or set runner: ray")
        return self
