"""The formats of a published dataset, one module each: a format turns rows with all columns into its own."""

from typing import TYPE_CHECKING

from kasasagi.blocks.own.registry import Registry

if TYPE_CHECKING:
    from kasasagi.tasks.publish.formats.base import Format

FORMATS: "Registry[Format]" = Registry(
    "format",
    {
        "trl": "kasasagi.tasks.publish.formats.trl:TRL",
        "trl_plain": "kasasagi.tasks.publish.formats.trl_plain:TRL_PLAIN",
        "ultrafeedback_binarized": "kasasagi.tasks.publish.formats.ultrafeedback_binarized:ULTRAFEEDBACK_BINARIZED",
        "distilabel": "kasasagi.tasks.publish.formats.distilabel:DISTILABEL",
        "kto": "kasasagi.tasks.publish.formats.kto:KTO",
        "sft": "kasasagi.tasks.publish.formats.sft:SFT",
        "reward": "kasasagi.tasks.publish.formats.reward:REWARD",
        "openai_preference": "kasasagi.tasks.publish.formats.openai_preference:OPENAI_PREFERENCE",
        "llama_factory": "kasasagi.tasks.publish.formats.llama_factory:LLAMA_FACTORY",
        "axolotl": "kasasagi.tasks.publish.formats.axolotl:AXOLOTL",
        "all_responses": "kasasagi.tasks.publish.formats.all_responses:ALL_RESPONSES",
        "generations": "kasasagi.tasks.publish.formats.generations:GENERATIONS",
    },
    "kasasagi.tasks.publish.own_format:own_format",
)
