"""How far a run is."""

from dataclasses import dataclass, field


@dataclass
class Progress:
    """A run's progress: finished and planned chunks by stage, and the current activity."""

    now: str = "starting"
    done: dict[str, int] = field(default_factory=dict)
    wanted: dict[str, int] = field(default_factory=dict)

    def expect(self, stage: str, chunks: int) -> None:
        """Say how many chunks a stage has."""
        self.wanted[stage] = chunks
        self.done.setdefault(stage, 0)

    def count(self, stage: str) -> None:
        """Say that a chunk is done."""
        self.done[stage] = self.done.get(stage, 0) + 1
