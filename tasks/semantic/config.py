"""How prompts are compared by meaning."""

from pydantic import Field

from kasasagi.blocks.models.kinds import Config

DISTANCE = "neighbor_distance"
NEIGHBOR = "neighbor_id"
COLUMNS = (DISTANCE, NEIGHBOR)


class SemanticConfig(Config):
    """Which model embeds the prompts, and from which likeness on the later of two goes."""

    model: str = Field(description="Name of the model that embeds, behind an OpenAI-compatible /embeddings.")
    duplicates: float | None = Field(
        None,
        gt=0,
        le=1,
        description="A prompt goes if its cosine similarity to an earlier survivor is this or more; 0.95 is a careful "
        "beginning, but models differ. Without it none goes, and the columns neighbor_distance (1 less the similarity "
        "to the nearest other prompt) and neighbor_id are all.",
    )
    prefix: str = Field("", description="Put before each text, as some models want it, such as 'query: '.")
