"""A folder on any storage that fsspec knows: S3 and its like, memory, and others for which a package is installed."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blocks.destinations.errors import DestinationError, one_sentence

EXTRAS = {"s3": "kasasagi[s3]", "s3a": "kasasagi[s3]", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def scheme_of(address: str) -> str | None:
    """The scheme of an address such as s3://bucket/folder; None for a plain path."""
    found = _SCHEME.match(address)
    return found[1].lower() if found else None


class Store:
    """A folder on a storage. Names are relative to it. All methods raise DestinationError."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        with self._explained("opened"):
            self._system, self._root = _opened(self.address)

    def names(self) -> list[str]:
        """The names of all objects in the folder."""
        with self._explained("listed"):
            self._system.invalidate_cache()
            found = self._system.find(self._root)
        skipped = len(self._root.rstrip("/")) + 1
        return sorted(name[skipped:] for name in found if len(name) > skipped)

    def read(self, name: str) -> bytes | None:
        """The content of one object; None where there is none of that name."""
        with self._explained("read"):
            try:
                content: bytes = self._system.cat_file(self._path(name))
            except FileNotFoundError:
                return None
        return content

    def put(self, file: Path, name: str) -> None:
        """Upload a file."""
        with self._explained("written"):
            self._make_parent(name)
            self._system.put_file(str(file), self._path(name))

    def write(self, name: str, content: bytes) -> None:
        """Write one object whole."""
        with self._explained("written"):
            self._make_parent(name)
            self._system.pipe_file(self._path(name), content)

    def copy(self, name: str, to: str) -> None:
        """Copy an object within the storage, in place of one of that name."""
        with self._explained("written"):
            self._make_parent(to)
            self._system.cp_file(self._path(name), self._path(to))

    def remove(self, names: Sequence[str]) -> None:
        """Remove some objects."""
        with self._explained("written"):
            for name in names:
                self._system.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _make_parent(self, name: str) -> None:
        """Make the folder of an object where the storage has real folders; object stores need none."""
        if self._system.protocol in ("memory", "file", ("file", "local")):
            self._system.makedirs(self._path(name).rsplit("/", 1)[0], exist_ok=True)

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
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


def _opened(address: str) -> tuple[Any, str]:
    """The file system of an address and the folder in it. Raises DestinationError where its package is missing."""
    import fsspec.core
    from fsspec.registry import known_implementations

    scheme = scheme_of(address) or "file"
    try:
        system, root = fsspec.core.url_to_fs(address, skip_instance_cache=True, use_listings_cache=False)
    except ImportError as error:
        package = EXTRAS.get(scheme, "the package that fsspec names")
        raise DestinationError(
            f"{address} needs a package that is not installed ({one_sentence(error)}): pip install '{package}'"
        ) from error
    except ValueError as error:
        known = ", ".join(sorted(known_implementations)[:8])
        raise DestinationError(
            f"{address} names a storage that fsspec does not know ({one_sentence(error)}): use s3:// or another of "
            f"its schemes ({known}, …)"
        ) from error
    return system, str(root)
