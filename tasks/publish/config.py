"""How a dataset is published, what publishing gives, and the error that says why it could not be done."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from blocks.models import Config

FormatName = Literal[
    "trl",
    "trl_plain",
    "ultrafeedback_binarized",
    "distilabel",
    "kto",
    "sft",
    "reward",
    "openai_preference",
    "llama_factory",
    "axolotl",
]


class PublishError(Exception):
    """Nothing was published: the value, the reason and the remedy in one sentence. What lay there before still does."""


class SplitConfig(Config):
    """How the pairs are divided into train and test: by prompt, so that no prompt is on both sides."""

    test: float = Field(gt=0, lt=1, description="Share of the prompts whose pairs go to the test split.")
    seed: int = Field(0, description="Another seed gives another division.")


class PublishConfig(Config):
    """Where the dataset goes, and in which form."""

    path: str | None = Field(None, min_length=1, description="Folder of the dataset; without it nothing is published.")
    formats: tuple[FormatName, ...] = Field(
        ("trl",), min_length=1, description="Formats; the first fills the folder, each further one a folder in it."
    )
    prompt: Literal["original", "as_sent"] = Field(
        "original", description="The prompt as loaded, or the messages that the chosen response's model was sent."
    )
    system: Literal["keep", "drop"] = Field("keep", description="Whether system messages stay in the prompt.")
    thinking: Literal["drop", "inline"] = Field(
        "drop", description="Whether a response's thinking text is left out, or stands in <think> tags in front of it."
    )
    split: SplitConfig | None = Field(None, description="Divides the pairs into train and test; without it all train.")
    license: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9.-]*$",
        description="The dataset's licence by its Hub name, such as cc-by-4.0; the card says unknown without it.",
    )

    @field_validator("formats")
    @classmethod
    def _formats_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if value.count(name) > 1:
                raise ValueError(f"the format {name!r} stands there twice; name it once")
        return value

    def folder(self) -> Path | None:
        """The folder, relative to the current one; a leading ~ is the home folder."""
        return None if self.path is None else Path(self.path).expanduser()


class Published(Config):
    """A dataset that lies in its folder."""

    path: Path = Field(description="The folder.")
    rows: int = Field(description="Pairs in it.")
    digest: str = Field(description="Digest of its data files: equal rows give an equal one.")
