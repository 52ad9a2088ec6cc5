"""The formats of a published dataset, one module each: a format turns rows with all columns into its own."""

from tasks.publish.formats.axolotl import AXOLOTL
from tasks.publish.formats.base import Format
from tasks.publish.formats.distilabel import DISTILABEL
from tasks.publish.formats.kto import KTO
from tasks.publish.formats.llama_factory import LLAMA_FACTORY
from tasks.publish.formats.openai_preference import OPENAI_PREFERENCE
from tasks.publish.formats.reward import REWARD
from tasks.publish.formats.sft import SFT
from tasks.publish.formats.trl import TRL
from tasks.publish.formats.trl_plain import TRL_PLAIN
from tasks.publish.formats.ultrafeedback_binarized import ULTRAFEEDBACK_BINARIZED

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
)
FORMATS: dict[str, Format] = {one.name: one for one in _ALL}

__all__ = ["FORMATS", "Format"]
