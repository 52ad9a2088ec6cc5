"""What users save in Prefect and pick on its page: a model's endpoint, a workspace, a budget.

`prefect block register --module kasasagi.blocks.saved` shows them on the page's Blocks.
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


class WorkspaceFolder(Block):
    """The folder of the ledger and the runs that several deployments share."""

    _block_type_name = "Kasasagi workspace"
    _block_type_slug = "kasasagi-workspace"
    _description = "The folder in which kasasagi keeps what was paid for, and its runs."

    _code_example = """```python
from kasasagi.blocks.saved import WorkspaceFolder

WorkspaceFolder(folder="/data/kasasagi").save("team")

# A run's parameter workspace is then: block:team
```"""

    folder: str = Field(description="The folder, on a disk that every worker sees.")


class SpendingLimit(Block):
    """What one run may spend at most; recipes name it as `block:` of a budget."""

    _block_type_name = "Kasasagi budget"
    _block_type_slug = "kasasagi-budget"
    _description = "What one run of kasasagi may spend at most, so that it can be changed without changing recipes."

    _code_example = """```python
from kasasagi.blocks.saved import SpendingLimit

SpendingLimit(usd=20).save("nightly")

# A recipe then says:
#   budget: {block: nightly}
```"""

    usd: float = Field(gt=0, description="Limit in US dollars, by the models' prices.")
    tokens: int | None = Field(None, ge=1, description="Limit on the tokens of prompts and answers.")
    calls: int | None = Field(None, ge=1, description="Calls that are answered.")
