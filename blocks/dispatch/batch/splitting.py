"""How questions become batches: what a run waits for, and how many questions go into one file."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kasasagi.blocks.dispatch.batch.notes import BatchNote, request_line
from kasasagi.blocks.dispatch.lanes import Job
from kasasagi.blocks.endpoints.adapted_requests import Adaptation
from kasasagi.blocks.models.kinds import BatchConfig


@dataclass(slots=True)
class Batch:
    """A batch that is waited for, and the questions of this run that it answers.

    Once it is left, this run waits for it no more, and its questions are no other batch's either. adaptation is what
    was sent differently.
    """

    note: BatchNote
    jobs: dict[str, Job] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    left: bool = False
    adaptation: Adaptation = field(default_factory=Adaptation)


def split_into_batches(
    jobs: Sequence[Job], url: str, model: str, config: BatchConfig, adaptation: Adaptation
) -> list[dict[str, tuple[Job, bytes]]]:
    """Split questions, as lines for one endpoint by key, into batches that keep within the limits."""
    found: list[dict[str, tuple[Job, bytes]]] = []
    size = 0
    for job in jobs:
        line = request_line(job.key, url, {"model": model, **adaptation.apply(dict(job.request))})
        if not found or len(found[-1]) >= config.max_requests or size + len(line) > config.max_mb * 2**20:
            found.append({})
            size = 0
        found[-1][job.key] = (job, line)
        size += len(line)
    return found
