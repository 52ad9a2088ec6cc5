"""To the Hub: a folder as it was built becomes one commit, private unless the recipe says otherwise."""

import tempfile
from pathlib import Path

from kasasagi.blocks.destinations.hub import BranchState, HubRepository
from kasasagi.tasks.publish.config import HubConfig, PublishError
from kasasagi.tasks.publish.places.folder import MANIFEST, as_manifest, read_manifest

HARMLESS = frozenset({".gitattributes"})


def push(config: HubConfig, folder: Path) -> str:
    """Push a published folder to its repository, where it replaces an earlier dataset, and return the page's address.

    The repository is unchanged after an error.

    Raises:
        DestinationError: The Hub cannot be used.
        PublishError: The repository is public although the recipe asks for a private one, or contains other files.
    """
    repository = HubRepository(config.repo, config.revision, config.token_env)
    repository.create(config.private)
    head = repository.head()
    if config.private and not head.private:
        raise PublishError(
            f"the repository {config.repo} is public and publish.hub.private is true, so nothing is pushed: make the "
            "repository private, or set publish.hub.private to false"
        )
    earlier = _earlier(repository, head)
    manifest = read_manifest(folder) or {}
    adding = {name: folder / name for name in [*manifest["files"], MANIFEST]}
    removing = sorted(set(earlier) & set(head.files) - set(adding))
    repository.commit(head, adding, removing, _message(manifest))
    return repository.address


def _earlier(repository: HubRepository, head: BranchState) -> list[str]:
    """Return the files that an earlier push put there.

    Raises:
        PublishError: If there are others.
    """
    there = set(head.files) - HARMLESS
    if not there:
        return []
    ours: set[str] = set()
    if MANIFEST in there:
        with tempfile.TemporaryDirectory(prefix="kasasagi-hub-") as place:
            manifest = as_manifest(repository.read(MANIFEST, head, Path(place)))
        ours = {*manifest["files"], MANIFEST} if manifest else set()
    if foreign := sorted(there - ours):
        shown = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
        raise PublishError(
            f"the repository {repository.repo} contains files that kasasagi did not push there ({shown}), so nothing "
            "is pushed: move them away or name another repository or revision"
        )
    return sorted(ours)


def _message(manifest: dict[str, object]) -> str:
    """Return the commit's title: what is in it and which run it is of."""
    partial = ", not finished" if manifest.get("partial") else ""
    what = manifest.get("of", "rows")
    return f"{manifest['rows']:,} {what} of the run {manifest['run']}{partial} (digest {manifest['digest']})"
