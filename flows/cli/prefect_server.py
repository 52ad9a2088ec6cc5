"""The commands around Prefect: serve the deployments, and show its page."""

# Each command imports what it needs when it runs; its parameters are its options.

import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kasasagi.flows.cli.options import WorkspaceOption
from kasasagi.flows.errors import KasasagiError, UsageError

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.deployments.runner import RunnerDeployment

UI_PORT = 4200
# Leases that lie in memory are lost with a restart, and the slots that they held stay taken.
LEASES = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}
serve_app = typer.Typer(invoke_without_command=True)
PREFERENCE, MIX = "flows/preference.py:preference", "flows/mix.py:mix"
DEPLOYMENTS = ("deployments", "flows/shipped/deployments")


@serve_app.callback()
def serve(
    context: typer.Context,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="Recipe of all deployments; default: the one in deployments/prefect.yaml."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Maximum number of concurrent runs.")] = 1,
    workspace: WorkspaceOption = None,
) -> None:
    """Serve the scheduled deployments from this process until it is interrupted; `serve ui` starts Prefect's page."""
    if context.invoked_subcommand is not None:
        return
    from kasasagi.blocks import telemetry
    from kasasagi.blocks.hints import command

    telemetry.switch_off_telemetry()
    if not os.environ.get("PREFECT_API_URL"):
        raise UsageError(
            f"serve needs a Prefect server: start one with {command('serve', 'ui')}, "
            "and set PREFECT_API_URL to the address that it prints"
        )
    from prefect import serve as serve_deployments

    changes = {"recipe": _absolute(recipe)} if recipe else {}
    if workspace:
        changes["workspace"] = str(workspace.resolve())
    serve_deployments(*deployments(changes), limit=limit)


def _absolute(recipe: str) -> str:
    """Return a recipe's path that holds from any folder; a shipped recipe's name as it is."""
    return str(Path(recipe).resolve()) if Path(recipe).is_file() else recipe


def deployments(changes: dict[str, Any]) -> "list[RunnerDeployment]":
    """Return the deployments of `deployments/prefect.yaml`, with some parameters changed.

    Where their recipe mixes runs, the flow mix takes the place of the flow preference.
    """
    import yaml
    from prefect.deployments.runner import RunnerDeployment
    from prefect.events import DeploymentEventTrigger
    from prefect.schedules import Cron, Interval

    def schedule(entry: dict[str, Any]) -> Any:
        if "cron" in entry:
            return Cron(entry["cron"], timezone=entry.get("timezone"), active=entry["active"])
        return Interval(entry["interval"], active=entry["active"])

    mixes = "recipe" in changes and _mixes(changes["recipe"])
    entries = yaml.safe_load(_file().read_text(encoding="utf-8"))["deployments"]
    made = []
    for entry in entries:
        flow = _flow(MIX if mixes and entry["entrypoint"] == PREFERENCE else entry["entrypoint"])
        made.append(
            flow.to_deployment(
                name=entry["name"],
                description=entry["description"],
                tags=entry["tags"],
                parameters={**entry["parameters"], **_fitting(flow, changes)},
                schedules=[schedule(one) for one in entry["schedules"]],
                triggers=[DeploymentEventTrigger.model_validate(one) for one in entry.get("triggers", ())],
            )
        )
    return [one for one in made if isinstance(one, RunnerDeployment)]


def _mixes(recipe: str) -> bool:
    """Return whether a recipe mixes finished runs, which is the work of a flow of its own; an invalid one does not."""
    from kasasagi.flows.recipe.errors import RecipeError
    from kasasagi.flows.recipe.loading import load_recipe

    with suppress(RecipeError):
        return load_recipe(recipe).recipe.mixes
    return False


def _flow(entrypoint: str) -> "Flow[..., Any]":
    """Return the flow of an entrypoint, e.g. flows/preference.py:preference."""
    file, _, name = entrypoint.partition(":")
    flow: Flow[..., Any] = getattr(import_module(f"kasasagi.{file.removesuffix('.py').replace('/', '.')}"), name)
    return flow


def _fitting(flow: "Flow[..., Any]", changes: dict[str, Any]) -> dict[str, Any]:
    """Return the changes of parameters that a flow has; what an event tells is not changed."""
    return {name: value for name, value in changes.items() if name in flow.parameters.properties}


def _file() -> Path:
    root = Path(__file__).resolve().parents[2]
    found = [root / folder / "prefect.yaml" for folder in DEPLOYMENTS if (root / folder / "prefect.yaml").is_file()]
    if not found:
        raise KasasagiError(f"deployments/prefect.yaml is missing beside {root}; install kasasagi again")
    return found[0]


def ui(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the server.")] = UI_PORT,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Start the Prefect server with its page, including this machine's past runs, until it is interrupted."""
    from kasasagi.blocks import telemetry

    address = f"http://{host}:{port}"
    typer.echo(f"Prefect's page: {address}; to have runs report to it: export PREFECT_API_URL={address}/api")
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", str(port)]
    # The page asks port 4200 unless it is configured otherwise.
    page = {"PREFECT_UI_ENABLED": "1", "PREFECT_UI_API_URL": f"{address}/api"}
    environment = {**LEASES, **os.environ, **telemetry.SWITCHES, **page}
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)  # this process becomes the server, so that nothing is left behind
