"""How a recipe names a stage of its own."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from kasasagi.blocks.models.kinds import Config


class OwnStage(Config):
    """Your own stage; further keys are the settings that it declares."""

    model_config = ConfigDict(frozen=True, extra="allow")

    use: str = Field(
        pattern=r"^\w+([.:]\w+)*[.:][a-z]\w*$",
        description="Dotted path of its function in a Python file next to the recipe, such as `my_stages.brevity`.",
    )
    after: Literal["prompts", "respond"] = Field(
        "respond",
        description="Which rows it receives: the prompts before they are answered, or the responses before they are "
        "judged.",
    )

    @property
    def name(self) -> str:
        """The stage's name, which is its function's."""
        return self.use.replace(":", ".").rpartition(".")[2]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the recipe gives it."""
        return dict(self.model_extra or {})

    @property
    def models(self) -> list[str]:
        """The models that its settings name under `model` or `models`."""
        named = [self.settings.get("model"), *(self.settings.get("models") or ())]
        return [str(name) for name in named if name is not None]
