"""The formats of a published dataset, one module each: a format turns rows with all columns into its own."""

from kasasagi.tasks.publish.formats.all_responses import ALL_RESPONSES
from kasasagi.tasks.publish.formats.axolotl import AXOLOTL
from kasasagi.tasks.publish.formats.base import Format
from kasasagi.tasks.publish.formats.distilabel import DISTILABEL
from kasasagi.tasks.publish.formats.generations import GENERATIONS
from kasasagi.tasks.publish.formats.kto import KTO
from kasasagi.tasks.publish.formats.llama_factory import LLAMA_FACTORY
from kasasagi.tasks.publish.formats.openai_preference import OPENAI_PREFERENCE
from kasasagi.tasks.publish.formats.reward import REWARD
from kasasagi.tasks.publish.formats.sft import SFT
from kasasagi.tasks.publish.formats.trl import TRL
from kasasagi.tasks.publish.formats.trl_plain import TRL_PLAIN
from kasasagi.tasks.publish.formats.ultrafeedback_binarized import ULTRAFEEDBACK_BINARIZED

_ALL = (
    TRL,
    TRL_PLAIN,
    ULTRAFEEDBACK_BINARIZED,
    DISTILABEL,
    KTO,
    SFT,
    REWARD,
    OPENAI_PREFERENCE,
    LLAMA_FACTORY,
    AXOLOTL,
    ALL_RESPONSES,
    GENERATIONS,
)
FORMATS: dict[str, Format] = {one.name: one for one in _ALL}

__all__ = ["FORMATS", "Format"]
