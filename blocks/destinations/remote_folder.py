"""A folder on any storage that fsspec knows: S3 and its like, memory, and others for which a package is installed."""

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kasasagi.blocks.destinations.errors import DestinationError, one_sentence
from kasasagi.blocks.hints import install, pip_install

EXTRAS = {"s3": "s3", "s3a": "s3"}
PACKAGES = {"gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
RENEWALS = 8
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def scheme_of(address: str) -> str | None:
    """Return the scheme of an address such as s3://bucket/folder; None for a plain path."""
    found = _SCHEME.match(address)
    return found[1].lower() if found else None


class Store:
    """A folder on a storage. Names are relative to it. All methods raise DestinationError."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        with self._translate_errors("opened"):
            self._system, self._root = _open_filesystem(self.address)

    def names(self, under: str = "") -> list[str]:
        """Return the names of all objects in the folder, or in a folder under it."""
        with self._translate_errors("listed"):
            self._system.invalidate_cache()
            found = self._system.find(self._path(under) if under else self._root)
        skipped = len(self._root.rstrip("/")) + 1
        return sorted(name[skipped:] for name in found if len(name) > skipped)

    def read(self, name: str) -> bytes | None:
        """Return the content of one object; None where there is none of that name."""
        with self._translate_errors("read"):
            try:
                content: bytes = self._system.cat_file(self._path(name))
            except FileNotFoundError:
                return None
        return content

    def put(self, file: Path, name: str) -> None:
        """Upload a file."""
        with self._translate_errors("written"):
            self._make_parent(name)
            self._system.put_file(str(file), self._path(name))

    def write(self, name: str, content: bytes) -> None:
        """Write one object whole."""
        with self._translate_errors("written"):
            self._make_parent(name)
            self._system.pipe_file(self._path(name), content)

    def write_whole(self, name: str, content: bytes) -> None:
        """Write one object so that a reader finds it whole or not at all, also where a storage writes bit by bit."""
        if not self._is_local:
            self.write(name, content)
            return
        with self._translate_errors("written"):
            for _ in range(RENEWALS):
                with suppress(FileNotFoundError):  # another process found the folder empty and removed it
                    _write_file(Path(self._path(name)), content)
                    return
            _write_file(Path(self._path(name)), content)

    def copy(self, name: str, to: str) -> None:
        """Copy an object within the storage, in place of one of that name."""
        with self._translate_errors("written"):
            self._make_parent(to)
            self._system.cp_file(self._path(name), self._path(to))

    def remove(self, names: Sequence[str]) -> None:
        """Remove some objects."""
        with self._translate_errors("written"):
            for name in names:
                self._system.rm_file(self._path(name))

    def discard(self, names: Sequence[str]) -> None:
        """Remove those of some objects that are there, and folders that are empty then."""
        with self._translate_errors("written"):
            for name in names:
                with suppress(FileNotFoundError):
                    self._system.rm_file(self._path(name))
            if self._is_local:
                for folder in sorted(
                    {folder for name in names for folder in Path(name).parents if folder.name}, reverse=True
                ):
                    with suppress(OSError):  # it holds something, or it is gone
                        Path(self._path(str(folder))).rmdir()

    @property
    def _is_local(self) -> bool:
        return self._system.protocol in ("file", ("file", "local"))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _make_parent(self, name: str) -> None:
        """Make the folder of an object where the storage has real folders; object stores need none."""
        if self._is_local or self._system.protocol == "memory":
            self._system.makedirs(self._path(name).rsplit("/", 1)[0], exist_ok=True)

    @contextmanager
    def _translate_errors(self, done: str) -> Iterator[None]:
        """Turn what the storage's package raises into one sentence; what it can raise is different for each."""
        try:
            yield
        except DestinationError:
            raise
        except Exception as error:
            raise DestinationError(
                f"{self.address} cannot be {done} ({one_sentence(error)}): check the address, the rights and the "
                "storage's environment variables (for S3 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL)"
            ) from error


def _write_file(target: Path, content: bytes) -> None:
    """Write a file under another name and rename it, once it will survive a power cut."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, target)


def _installation(scheme: str) -> str:
    """Return how the package of a scheme is installed."""
    if scheme in EXTRAS:
        return install(EXTRAS[scheme])
    return pip_install(PACKAGES[scheme]) if scheme in PACKAGES else "install the package that it names"


def _open_filesystem(address: str) -> tuple[Any, str]:
    """Return the file system of an address and the folder in it.

    Raises:
        DestinationError: If its package is missing.
    """
    import fsspec.core
    from fsspec.registry import known_implementations

    scheme = scheme_of(address) or "file"
    try:
        system, root = fsspec.core.url_to_fs(address, skip_instance_cache=True, use_listings_cache=False)
    except ImportError as error:
        raise DestinationError(
            f"{address} needs a package that is not installed ({one_sentence(error)}): {_installation(scheme)}"
        ) from error
    except ValueError as error:
        known = ", ".join(sorted(known_implementations)[:8])
        raise DestinationError(
            f"{address} names a storage that fsspec does not know ({one_sentence(error)}): use s3:// or another of "
            f"its schemes ({known}, …)"
        ) from error
    return system, str(root)
