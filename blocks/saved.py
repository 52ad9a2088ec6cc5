"""A model's endpoint saved in Prefect.

`prefect block register --module kasasagi.blocks.saved` shows it on the page's Blocks.
"""

from prefect.blocks.core import Block
from pydantic import Field, SecretStr


class ModelEndpoint(Block):
    """Where a model is asked, and with which key; recipes name it as `block:` of a model and hold no key."""

    _block_type_name = "Kasasagi model endpoint"
    _block_type_slug = "kasasagi-model-endpoint"
    _description = "The address of an OpenAI-compatible server and the key to it, for kasasagi's recipes."

    _code_example = """```python
from kasasagi.blocks.saved import ModelEndpoint

ModelEndpoint(base_url="https://api.example.com/v1", api_key="...").save("my-critic")

# A recipe then says:
#   critic: {kind: openai, model: gpt-4o-mini, block: my-critic}
```"""

    base_url: str = Field(description="Address of the API, usually ending in /v1.")
    api_key: SecretStr | None = Field(None, description="The key; kept secret, and never written anywhere else.")
