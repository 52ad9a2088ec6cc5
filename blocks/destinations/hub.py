"""A dataset repository on the Hugging Face Hub, through its own client: looked at, and changed in single commits."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kasasagi.blocks.destinations.errors import DestinationError, one_sentence

KIND = "dataset"
MAIN = "main"
PUBLIC_HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class BranchState:
    """The state of a branch of a repository: its commit, whether others can see it, and the files in it."""

    commit: str
    private: bool
    files: tuple[str, ...]


class HubRepository:
    """One branch of a dataset repository. All methods raise DestinationError.

    The token is the value of an environment variable, and is kept nowhere else; HF_ENDPOINT names another Hub.
    """

    def __init__(self, repo: str, revision: str | None, token_variable: str) -> None:
        self.repo, self.revision = repo, revision or MAIN
        self._token = os.environ.get(token_variable) or None
        if self._token is None:
            raise DestinationError(
                f"the environment variable {token_variable} is not set, so nothing is pushed to {repo}: set it to a "
                "token of the Hub that may write, and publish again"
            )
        with self._translate_errors():
            self._api = self._client()

    @property
    def address(self) -> str:
        """The page of the repository at this branch."""
        page = f"{self._api.endpoint}/datasets/{self.repo}"
        return page if self.revision == MAIN else f"{page}/tree/{self.revision}"

    def create(self, private: bool) -> None:
        """Make the repository and the branch where there are none; an existing repository stays as visible as it is."""
        with self._translate_errors():
            self._api.create_repo(self.repo, repo_type=KIND, private=private, exist_ok=True)
            if self.revision != MAIN:
                self._api.create_branch(self.repo, branch=self.revision, repo_type=KIND, exist_ok=True)

    def head(self) -> BranchState:
        """Return the state of the branch."""
        with self._translate_errors():
            info = self._api.dataset_info(self.repo, revision=self.revision)
            names = [file.rfilename for file in info.siblings or ()]
            if not (isinstance(info.sha, str) and info.sha and all(isinstance(name, str) for name in names)):
                raise ValueError(f"its answer names no commit and files: {str(info)[:80]}")
        return BranchState(info.sha, bool(info.private), tuple(names))

    def read(self, name: str, head: BranchState, folder: Path) -> bytes:
        """Return the content of one file at a commit, downloaded into a folder."""
        with self._translate_errors():
            found = self._api.hf_hub_download(
                self.repo, name, repo_type=KIND, revision=head.commit, local_dir=folder, force_download=True
            )
            return Path(found).read_bytes()

    def commit(self, head: BranchState, adding: Mapping[str, Path], removing: Sequence[str], message: str) -> str:
        """Add and remove files in one commit upon a known one; gives its id.

        The commit is made whole or not at all, and not if another one was made meanwhile.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations: list[Any] = [CommitOperationDelete(name) for name in removing]
        operations += [CommitOperationAdd(name, file) for name, file in adding.items()]
        with self._translate_errors():
            made = self._api.create_commit(
                self.repo,
                operations,
                commit_message=message,
                repo_type=KIND,
                revision=self.revision,
                parent_commit=head.commit,
            )
        return str(made.oid)

    def _client(self) -> Any:
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()
        endpoint = (os.environ.get("HF_ENDPOINT") or PUBLIC_HUB).rstrip("/")
        return HfApi(endpoint=endpoint, token=self._token)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Turn what the client raises (of the Hub, the network, the disk) into one sentence without the token."""
        try:
            yield
        except Exception as error:
            cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
            raise DestinationError(
                f"nothing was pushed to {self.repo} on the Hub ({self._message(cause)}): "
                f"{_remedy(cause)}, and publish again, which makes no call"
            ) from error

    def _message(self, error: BaseException) -> str:
        status = getattr(getattr(error, "response", None), "status_code", None)
        message = getattr(error, "server_message", None)
        if status is not None:
            return one_sentence(ValueError(f"it answered {status}{': ' + message if message else ''}"), self._token)
        return one_sentence(error, self._token)


def _remedy(error: BaseException) -> str:
    match getattr(getattr(error, "response", None), "status_code", None):
        case 401 | 403:
            return "use a token that may write there"
        case 404:
            return "correct the repository's name or use a token that may see it"
        case 409 | 412:
            return "it was changed by another process meanwhile: look at it"
        case _:
            return "wait until it can be reached"
