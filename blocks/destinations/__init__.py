"""Where datasets go beyond the local disk: object stores, the Hugging Face Hub, Argilla."""

from kasasagi.blocks.destinations.errors import DestinationError, one_sentence

__all__ = ["DestinationError", "one_sentence"]
