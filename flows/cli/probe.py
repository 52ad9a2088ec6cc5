"""The command `probe`: does a model suit Magpie?"""

# The command imports what it needs when it runs; its parameters are its options.

from typing import Annotated

import typer

from kasasagi.flows.cli.options import SetOption, WorkspaceOption


def probe(  # noqa: PLR0913, PLR0917 - each is an option
    model: Annotated[
        str, typer.Argument(metavar="MODEL|RECIPE", help="hina, a Magpie recipe, or a model at --base-url.")
    ] = "hina",
    samples: Annotated[int, typer.Option("--samples", "-n", min=1, help="Number of instructions to generate.")] = 300,
    base_url: Annotated[str | None, typer.Option("--base-url", help="Address of an OpenAI-compatible server.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option("--api-key-env", help="Environment variable that contains the API key.")
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option("--tokenizer", help="Folder or Hub id of the model's tokenizer, for its chat template."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option("--template", help="Family of chat models, or the text that precedes the user's words."),
    ] = None,
    overrides: SetOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Measure with a few hundred instructions whether a model is suitable for Magpie, and what to try."""
    import sys

    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.probe.job import run_probe
    from kasasagi.flows.probe.setup import probe_of
    from kasasagi.flows.views.drawing import console
    from kasasagi.flows.views.probe import print_probe

    settings = {"base_url": base_url, "api_key_env": api_key_env, "tokenizer": tokenizer}
    changes = [*([f"source.template={template!r}"] if template is not None else []), *(overrides or ())]
    known = {name: value for name, value in settings.items() if value is not None}
    found = probe_of(model, samples, changes, known, workspace)
    result = run_probe(found, Workspace.resolve(workspace), lambda text: print(text, file=sys.stderr))
    if json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        print_probe(result, console())
