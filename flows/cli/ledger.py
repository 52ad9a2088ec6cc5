"""The commands that care for the ledger: what it holds, pruning, compaction, a check, and import."""

# Each command imports what it needs when it runs, so that --help answers at once; its parameters are its options.

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kasasagi.flows.cli.options import WorkspaceOption

if TYPE_CHECKING:
    from kasasagi.blocks.ledger.checks import CheckResult
    from kasasagi.blocks.ledger.upkeep import Statistics
    from kasasagi.blocks.workspace.runs import Workspace

DAMAGED = 1
ledger_app = typer.Typer(help="Show and maintain the ledger of paid calls.", invoke_without_command=True)


@ledger_app.callback()
def ledger(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show the ledger's entries by model; prune, compact, check or import it."""
    context.obj = workspace
    if context.invoked_subcommand is not None:
        return
    from kasasagi.blocks.ledger.upkeep import statistics
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.views.tables.export import print_json

    found = statistics(Workspace.resolve(workspace).ledger_folder)
    if json:
        print_json({**found.model_dump(mode="json"), "entries": found.entries})
    else:
        _draw(found)


@ledger_app.command()
def prune(
    context: typer.Context,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Remove entries older than this, e.g. 90d, 12h, 2w.")
    ] = None,
    run: Annotated[str | None, typer.Option("--run", help="Remove entries that only this run used.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Remove entries. Their calls are paid again when needed. Entries of running runs are kept."""
    from kasasagi.blocks.hints import printed_command
    from kasasagi.flows.upkeep import ledger_care

    place = workspace_of(context, workspace)
    done = ledger_care.prune(place, older_than, run, dry_run)
    verb = "would remove" if dry_run else "removed"
    print(f"{verb} {_entries(done.entries)} ({_size(done.reply_bytes)} of replies) from {place.ledger_folder}")
    if done.spared:
        print(f"left {_entries(done.spared)} more where they are, because an active run may need them")
    if done.entries and not dry_run:
        print(f"{printed_command('ledger', 'compact', workspace=place.folder)} frees their disk space")


@ledger_app.command()
def compact(context: typer.Context, workspace: WorkspaceOption = None) -> None:
    """Return the space of removed entries to the disk."""
    from kasasagi.flows.upkeep import ledger_care

    place = workspace_of(context, workspace)
    before, after = ledger_care.compact(place)
    print(f"the ledger {place.ledger_folder} now takes {_size(after)} (before: {_size(before)})")


@ledger_app.command()
def check(
    context: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove damaged entries, so that only those calls are repeated.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Check the ledger's structure and every entry. Exits with code 1 if damage remains."""
    from kasasagi.flows.upkeep import ledger_care
    from kasasagi.flows.views.safe_text import visible

    place = workspace_of(context, workspace)
    found = ledger_care.check(place, repair)
    for line in (*found.structure, *found.damaged):
        print(visible(line))
    print(_verdict(found, place.folder))
    if not found.sound and not found.repaired:
        raise typer.Exit(DAMAGED)


@ledger_app.command("import")
def import_(
    context: typer.Context,
    other: Annotated[Path, typer.Argument(metavar="OTHER_WORKSPACE", help="Folder of another workspace.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Copy missing entries from another workspace's ledger."""
    from kasasagi.flows.upkeep import ledger_care

    done = ledger_care.import_ledger(workspace_of(context, workspace), other)
    print(f"imported {_entries(done.taken)} from {other}; {done.known:,} were already here")
    if done.damaged:
        print(f"skipped {_entries(done.damaged)} of {other}: damaged")
    if done.unreadable:
        print("part of the other file could not be read; the entries in it are lost")


def workspace_of(context: typer.Context, named: Path | None) -> "Workspace":
    """Return the workspace that a command or its group names by -w, or the default one."""
    from kasasagi.blocks.workspace.runs import Workspace

    return Workspace.resolve(named or context.obj)


def _verdict(found: "CheckResult", folder: Path) -> str:
    from kasasagi.blocks.hints import printed_command
    from kasasagi.blocks.ledger.store import rescue_folder

    read = f"read {_entries(found.entries)} of {folder}"
    if found.sound:
        older = (
            f", {found.unsealed:,} of them without a seal, since an older version wrote them" if found.unsealed else ""
        )
        return f"{read}: none is damaged{older}"
    if found.structure:
        rescue = printed_command("ledger", "import", folder, workspace=rescue_folder(folder))
        return (
            f"{read}, and the ledger's file is damaged: restore a copy of it, or rescue its readable entries "
            f"with {rescue}"
        )
    if found.repaired:
        return f"{read}: removed {_entries(found.damaged_entries)} that were damaged; their calls are sent again"
    repair = printed_command("ledger", "check", "--repair", workspace=folder)
    return (
        f"{read}: {_entries(found.damaged_entries)} damaged; {repair} removes them, and only their calls are sent again"
    )


def _draw(found: "Statistics") -> None:
    from kasasagi.flows.views.drawing import console, draw_rows

    names = ["model", "answers", "failures", "prompt tokens", "completion tokens", "oldest", "latest"]
    rows = [
        [
            model.model,
            model.answers,
            sum(model.failures.values()),
            model.prompt_tokens,
            model.completion_tokens,
            _day(model.first),
            _day(model.last),
        ]
        for model in found.models
    ]
    if rows:
        draw_rows(console(), names, rows, full=False)
    free = f", {_size(found.free_bytes)} of it free" if found.free_bytes else ""
    print(f"{_entries(found.entries)} in {found.path}, {_size(found.file_bytes)}{free}")


def _entries(number: int) -> str:
    return f"{number:,} {'entry' if number == 1 else 'entries'}"


def _day(moment: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def _size(number: int) -> str:
    for unit, size in (("GB", 2**30), ("MB", 2**20)):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number / 2**10:,.0f} kB"
