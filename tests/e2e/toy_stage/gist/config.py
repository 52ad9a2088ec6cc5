"""How prompts are summed up."""

from pydantic import Field

from kasasagi.blocks.models.kinds import Config, Sampling


class GistConfig(Config):
    """Which model sums up."""

    model: str = Field(description="Name of the model that sums up.")
    sampling: Sampling = Field(Sampling(max_tokens=300), description="Sampling parameters of the sums.")
