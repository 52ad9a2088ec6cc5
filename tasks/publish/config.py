"""How a dataset is published, what publishing gives, and the error that says why it could not be done."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from kasasagi.blocks.destinations.remote_folder import scheme_of
from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.own.python import short_name
from kasasagi.blocks.workspace.runs import Product
from kasasagi.tasks.publish.formats import FORMATS

_ENVIRONMENT_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")

FormatName = Annotated[str, FORMATS]
PAIRS_FORMATS: tuple[FormatName, ...] = ("trl",)
RESPONSE_FORMATS: tuple[FormatName, ...] = ("generations", "all_responses")
"""Formats that need no pairs; the first is that of a recipe which makes none and names no format."""


class PublishError(Exception):
    """Nothing was published: the value, the reason and the remedy in one sentence. The earlier content is unchanged."""


class SplitConfig(Config):
    """How the pairs are divided into train and test: by prompt, so that no prompt is in both.

    A rewritten prompt stays with its origin. With prompt: as_sent or system: drop, prompts that differ only in their
    system messages stay together, too.
    """

    test: float = Field(gt=0, lt=1, description="Share of the prompts whose pairs go to the test split.")
    seed: int = Field(0, description="Seed of the division.")


class HubConfig(Config):
    """A dataset repository on the Hugging Face Hub, to which the dataset is pushed when every gate has passed."""

    repo: str = Field(
        pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$",
        description="The repository as owner/name; created if it does not exist.",
    )
    private: bool = Field(True, description="Whether the repository is private; if true, a public one is refused.")
    revision: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][\w./-]*$", description="Branch; created if it does not exist; default: main."
    )
    token_env: str = Field("HF_TOKEN", description="Name of the environment variable that holds the token.")

    @field_validator("token_env")
    @classmethod
    def _names_a_variable(cls, value: str) -> str:
        if not _ENVIRONMENT_NAME.fullmatch(value):
            raise ValueError(
                "this is not a name of an environment variable, such as HF_TOKEN, and a recipe holds no tokens: "
                "put the token into a variable and write its name here"
            )
        return value

    def missing_token(self) -> str | None:
        """Return the name of the environment variable that must hold the token and does not, else None."""
        return None if os.environ.get(self.token_env) else self.token_env


class PublishConfig(Config):
    """Where the dataset is published, and in which formats."""

    path: str | None = Field(
        None,
        min_length=1,
        description="Folder of the dataset, or an address such as s3://bucket/folder, without a key. {date} is "
        "replaced by the day of the run and {run} by its id, so that each run publishes a separate "
        "version.",
    )
    hub: HubConfig | None = Field(
        None, description="Repository on the Hugging Face Hub, in addition to the path or instead of it."
    )
    licenses: dict[str, str] = Field(
        {}, description="Licences of the sources, for the card: by the models' names in this recipe, and source."
    )
    formats: tuple[FormatName, ...] = Field(
        PAIRS_FORMATS,
        min_length=1,
        description="Formats: the first fills the folder, each further one gets a subfolder. A dataset of responses "
        "has generations (the default) and all_responses. For your own format write the dotted path of a "
        "function in a Python file next to the recipe.",
    )
    prompt: Literal["original", "as_sent"] = Field(
        "original",
        description="The prompt as it was loaded, or the messages that the chosen response's model received.",
    )
    system: Literal["keep", "drop"] = Field("keep", description="Whether the prompt keeps its system messages.")
    thinking: Literal["drop", "inline"] = Field(
        "drop", description="Whether a response's thinking is left out, or put into <think> tags in front of it."
    )
    split: SplitConfig | None = Field(
        None, description="How to divide the pairs into train and test; default: all train."
    )
    license: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9.-]*$",
        description="The dataset's licence by its Hub name, such as cc-by-4.0; default: unknown.",
    )

    @field_validator("path")
    @classmethod
    def _holds_no_key(cls, value: str | None) -> str | None:
        if value is not None and scheme_of(value) not in (None, "file"):
            parts = urlsplit(value)
            if parts.username or parts.password or parts.query:
                raise ValueError(
                    "an address must not contain a name, password or ?; put secrets into the storage's environment "
                    "variables, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                )
        return value

    @field_validator("path")
    @classmethod
    def _holds_no_variable(cls, value: str | None) -> str | None:
        if (found := re.search(r"\$(?:[A-Za-z_]\w*|{[^{}]*})", value or "")) is not None:
            raise ValueError(f"{found[0]!r}: environment variables are not expanded; write the path")
        return value

    @field_validator("path")
    @classmethod
    def _holds_known_places(cls, value: str | None) -> str | None:
        if strange := [name for name in re.findall(r"{([^{}]*)}", value or "") if name not in ("date", "run")]:
            raise ValueError(f"{strange[0]!r} stands for nothing here: write {{date}} or {{run}}")
        return value

    @field_validator("path")
    @classmethod
    def _names_a_folder(cls, value: str | None) -> str | None:
        local = value is not None and scheme_of(value) in (None, "file")
        parts = {part.strip() for part in str(value).removeprefix("file://").split("/")}
        if local and not parts - {"", ".", "..", "~"}:
            raise ValueError(
                f"{value!r} names no folder of its own, and publishing replaces a whole folder; write one such as "
                "out/my-dataset"
            )
        return value

    @field_validator("formats")
    @classmethod
    def _formats_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = [short_name(name) for name in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the format {name!r} appears twice; name it once")
        return value

    def for_run(self, run: str, started: float) -> "PublishConfig":
        """Return the same with the day and the id of a run in its path; started is in seconds since 1970, days are
        UTC's.
        """
        if self.path is None:
            return self
        day = datetime.fromtimestamp(started, UTC).date().isoformat()
        return self.model_copy(update={"path": self.path.replace("{date}", day).replace("{run}", run)})

    def for_product(self, product: Product) -> "PublishConfig":
        """Return the same with the formats that a dataset has whose recipe names none."""
        if product == "responses" and self.formats == PAIRS_FORMATS:
            return self.model_copy(update={"formats": RESPONSE_FORMATS[:1]})
        return self

    @property
    def alters_prompts(self) -> bool:
        """Whether published prompts differ from the loaded ones, so that two may have become equal."""
        return self.prompt == "as_sent" or self.system == "drop"

    @property
    def wanted(self) -> bool:
        """Whether the dataset goes anywhere."""
        return self.path is not None or self.hub is not None

    def address(self) -> str | None:
        """Return the address on a storage that is no local folder, else None."""
        return None if self.path is None or scheme_of(self.path) in (None, "file") else self.path

    def folder(self) -> Path | None:
        """Return the local folder, relative to the current one; a leading ~ is the home folder.

        Raises:
            PublishError: If no folder can have this path, such as one that leads back to itself by links.
        """
        if self.path is None or self.address() is not None:
            return None
        try:
            folder = Path(self.path.removeprefix("file://")).expanduser()
            folder.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise PublishError(f"{self.path!r} cannot be a folder ({reason}); write another path") from error
        return folder


class Published(Config):
    """A dataset that lies in its folder."""

    path: Path = Field(description="The folder.")
    rows: int = Field(description="Pairs in it.")
    digest: str = Field(description="Digest of its data files: equal rows give an equal one.")
    formats: dict[str, int] = Field({}, description="Rows of each format, in the recipe's order.")


class Release(Config):
    """What was published, and where it lies now."""

    rows: int = Field(description="Pairs in it.")
    digest: str = Field(description="Digest of its data files.")
    formats: dict[str, int] = Field({}, description="Rows of each format, in the recipe's order.")
    path: str | None = Field(None, description="The folder, or the address on a storage.")
    hub: str | None = Field(None, description="Its page on the Hub.")

    def contents(self, product: Product) -> str:
        """Return what was published: `24 pairs`, or in other formats than the usual `48 rows (kto) from 24 pairs`."""
        made = count_of(self.rows, product.removesuffix("s"))
        if self.formats in ({}, *({name: self.rows} for name in (*PAIRS_FORMATS, *RESPONSE_FORMATS))):
            return made
        forms = " and ".join(f"{count_of(rows, 'row')} ({name})" for name, rows in self.formats.items())
        return f"{forms} from {made}"

    @property
    def places(self) -> list[str]:
        """All places where it lies."""
        return [place for place in (self.path, self.hub) if place is not None]


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
