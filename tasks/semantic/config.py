"""How prompts are compared by meaning."""

from pydantic import Field

from kasasagi.blocks.models.kinds import Config

DISTANCE = "neighbor_distance"
NEIGHBOR = "neighbor_id"
COLUMNS = (DISTANCE, NEIGHBOR)


class SemanticConfig(Config):
    """Which model embeds the prompts, and from which similarity on the later of two is quarantined."""

    model: str = Field(description="Name of the embedding model, at an OpenAI-compatible /embeddings endpoint.")
    duplicates: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Quarantine a prompt whose cosine similarity to an earlier one is at least this value; 0.95 is a "
        "cautious start, but models differ. Default: only add the columns neighbor_distance (1 minus the "
        "similarity to the nearest other prompt) and neighbor_id.",
    )
    prefix: str = Field("", description="Text before each prompt, which some models need, such as 'query: '.")
