"""Download a TF.js model into the cache, once and completely.

A model's folder in the cache holds ``model.json``, its weight files and, written last, ``download.json``, which records
where they came from and the size and SHA-256 of each. Until that exists the download is unfinished and is continued by
the next call: a file that is under way is called ``<name>.part`` and goes on where it stopped (HTTP ``Range``).

``PYBRIDGE_MIRROR=https://mirror.example/prefix`` sends every request to a mirror: ``https://host/path`` becomes
``https://mirror.example/prefix/host/path``.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from pybridge.errors import ModelFormatError
from pybridge.storage.cache import cache_part, make_cache_part, storing
from pybridge.storage.files import replace_file
from pybridge.storage.hashes import sha256_of
from pybridge.storage.locks import locked
from pybridge.tfjs.graph_model import is_graph_model
from pybridge.tfjs.layers_model import MODEL_JSON_LIMIT, LayersModel, layers_topology, parse_model_json
from pybridge.tfjs.weights import WeightGroup, parse_manifest
from pybridge.zoo.entry import Progress, ZooEntry
from pybridge.zoo.http import FetchError, fetch

ATTEMPTS = 3
"""How often a file is asked for before a temporary failure is reported."""

_PAUSE_SECONDS = 0.5
_WEIGHTS_LIMIT = 2 * 2**30
_MIRROR_HINT = (
    "Check the address and the network; PYBRIDGE_MIRROR names a mirror for networks without access to it "
    "(https://host/path is then read from $PYBRIDGE_MIRROR/host/path)."
)


def published(entry: ZooEntry, progress: Progress | None) -> LayersModel:
    """Builds an entry of the zoo that is published as a TF.js layers model.

    Raises:
        ModelFormatError: If it cannot be had, or what came is not what the entry pins.
    """
    assert entry.url is not None, f"the entry {entry.name} has no address"
    return LayersModel.read(
        fetch_model(entry.url, model_sha256=entry.model_sha256, weights_sha256=entry.weights_sha256, progress=progress)
    )


def fetch_model(
    url: str,
    *,
    model_sha256: str | None = None,
    weights_sha256: str | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> Path:
    """Bring a TF.js layers or graph model into the cache.

    Args:
        url: http(s) address of a ``model.json``, or of the folder that holds it.
        model_sha256: What the ``model.json`` must hash to; None accepts what the server sends and compares it with what was
            recorded on later calls.
        weights_sha256: The same for the weight files, one after the other.
        progress: Told about each piece.
        timeout: Seconds without any byte after which a connection counts as dead.

    Returns:
        The folder in the cache with ``model.json`` and its weight files.

    Raises:
        ModelFormatError: If the model cannot be had, or what came is damaged, unsafe or not what was pinned.

    Example:
        >>> folder = fetch_model("https://storage.googleapis.com/tfjs-models/tfjs/mobilenet_v1_0.25_224/model.json")
    """
    address = model_address(url)
    folder = _folder(address)
    with storing(redacted(address), folder):
        make_cache_part("models")
        folder.mkdir(mode=0o755, exist_ok=True)
        with locked(folder.with_suffix(".lock")):
            download = _Download(address, folder, model_sha256, weights_sha256, progress, timeout)
            if not download.is_complete():
                download.run()
    return folder


def is_downloaded(url: str) -> bool:
    """Whether `fetch_model` would find the model in the cache."""
    return (_folder(model_address(url)) / "download.json").exists()


def _folder(address: str) -> Path:
    return cache_part("models") / f"url-{hashlib.sha256(address.encode()).hexdigest()[:16]}"


def model_address(url: str) -> str:
    """Complete the address of a folder to that of its ``model.json``.

    Raises:
        ModelFormatError: If it is no http(s) address.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or any(ord(character) <= 32 for character in url):
        raise ModelFormatError(f"{url[:200]!r} is not an http(s) address", hint="Give the address of a model.json.")
    path = parts.path if parts.path.endswith(".json") else f"{parts.path.rstrip('/')}/model.json"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def mirrored(url: str) -> str:
    """Apply ``PYBRIDGE_MIRROR`` to an address.

    Raises:
        ModelFormatError: If the mirror is no http(s) address.
    """
    mirror = os.environ.get("PYBRIDGE_MIRROR", "").strip().rstrip("/")
    if not mirror or url.startswith(f"{mirror}/"):
        return url
    if urlsplit(mirror).scheme not in ("http", "https"):
        raise ModelFormatError(
            f"PYBRIDGE_MIRROR={mirror[:200]!r} is not an http(s) address",
            hint="Set it like https://mirror.example/prefix.",
        )
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{mirror}/{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def redacted(url: str) -> str:
    """An address without user name, password and query, fit to be shown and recorded."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass
class _Download:
    address: str
    folder: Path
    model_sha256: str | None
    weights_sha256: str | None
    progress: Progress | None
    timeout: float
    done_bytes: int = 0
    total_bytes: int = 0

    def is_complete(self) -> bool:
        """Whether everything recorded is there, unchanged, and what is pinned."""
        record = self._record()
        if record is None or (self.weights_sha256 and record["weights_sha256"] != self.weights_sha256):
            return False
        files: dict[str, str] = record["files"]
        if self.model_sha256 and files.get("model.json") != self.model_sha256:
            return False
        return all((self.folder / name).exists() and sha256_of(self.folder / name) == files[name] for name in files)

    def _record(self) -> dict[str, Any] | None:
        """Read ``download.json``; None if the download is unfinished."""
        try:
            record = json.loads((self.folder / "download.json").read_bytes())
            files = {str(name): str(entry["sha256"]) for name, entry in record["files"].items()}
            return {"weights_sha256": str(record["weights_sha256"]), "files": files}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def run(self) -> None:
        """Fetch what is missing or changed, check it, and record it."""
        self._forget_changed_files()
        (self.folder / "download.json").unlink(missing_ok=True)
        groups = self._fetch_model_json()
        self.total_bytes = sum(group.size for group in groups)
        if self.total_bytes > _WEIGHTS_LIMIT:
            raise ModelFormatError(
                f"{redacted(self.address)}: announces {self.total_bytes} bytes of weights, more than {_WEIGHTS_LIMIT}",
                hint="Download the model yourself and give its path.",
            )
        for group in groups:
            self._fetch_group(group)
        paths = [path for group in groups for path in group.paths]
        try:
            self._check_pin("weights", self.weights_sha256, *(self.folder / path for path in paths))
        except ModelFormatError:
            for path in paths:
                (self.folder / path).unlink()
            raise
        self._fetch_metadata()
        names = ["model.json", *paths, *(["metadata.json"] if (self.folder / "metadata.json").exists() else [])]
        record = {
            "url": redacted(self.address),
            "weights_sha256": sha256_of(*(self.folder / path for path in paths)),
            "files": {
                name: {"bytes": (self.folder / name).stat().st_size, "sha256": sha256_of(self.folder / name)} for name in names
            },
        }
        replace_file(self.folder / "download.json", json.dumps(record, indent=1))

    def _forget_changed_files(self) -> None:
        record = self._record()
        for name, sha256 in record["files"].items() if record else ():
            file = self.folder / name
            if file.exists() and sha256_of(file) != sha256:
                file.unlink()

    def _fetch_model_json(self) -> list[WeightGroup]:
        file = self.folder / "model.json"
        previous = file.read_bytes() if file.exists() else None
        file.unlink(missing_ok=True)
        self._fetch(self.address, file, MODEL_JSON_LIMIT)
        data = file.read_bytes()
        try:
            self._check_pin("model.json", self.model_sha256, file)
            document = parse_model_json(data, redacted(self.address))
            if not is_graph_model(document):
                layers_topology(document, redacted(self.address))
            groups = parse_manifest(document.get("weightsManifest"), redacted(self.address))
        except ModelFormatError:
            file.unlink()
            raise
        if previous != data:
            # The model on the server is another one than the one that these files belong to.
            for group in groups:
                for path in group.paths:
                    (self.folder / path).unlink(missing_ok=True)
                    _part(self.folder / path).unlink(missing_ok=True)
        return groups

    def _fetch_group(self, group: WeightGroup) -> None:
        remaining = group.size if not group.has_strings else _WEIGHTS_LIMIT
        uncertain: list[Path] = []
        for number, path in enumerate(group.paths):
            file = self.folder / path
            last = number == len(group.paths) - 1
            expected = remaining if last and not group.has_strings else None
            if not file.exists() or (expected is not None and file.stat().st_size != expected):
                file.unlink(missing_ok=True)
                try:
                    certain = self._fetch(self._neighbour(path), file, remaining, expected)
                except ModelFormatError:
                    # The sizes may not add up because one of these ended early; the next call must ask for them again.
                    for doubtful in uncertain:
                        doubtful.unlink()
                    raise
                if not certain:
                    uncertain.append(file)
            size = file.stat().st_size
            remaining -= size
            self.done_bytes += size
            if remaining < 0:
                file.unlink()
                raise ModelFormatError(
                    f"{redacted(self._neighbour(path))}: larger than the manifest says",
                    hint="The model is damaged there.",
                )
        if self.progress:
            self.progress(min(self.done_bytes, self.total_bytes), self.total_bytes)

    def _fetch_metadata(self) -> None:
        """Bring the labels of a Teachable Machine export, where there are any."""
        try:
            fetch(mirrored(self._neighbour("metadata.json")), self.folder / "metadata.json", 2**20, None, self.timeout)
        except FetchError:
            _part(self.folder / "metadata.json").unlink(missing_ok=True)

    def _check_pin(self, what: str, pinned: str | None, *files: Path) -> None:
        if pinned is None:
            return
        found = sha256_of(*files)
        if found != pinned:
            raise ModelFormatError(
                f"{redacted(self.address)}: not the published {what} (SHA-256 {found[:16]}... instead of {pinned[:16]}...)",
                hint="The server or mirror has another or a damaged model. Give a path to a copy to use it anyway.",
            )

    def _neighbour(self, path: str) -> str:
        """The address of a file of the manifest; a query (a token) is kept."""
        parts = urlsplit(self.address)
        folder = parts.path.rpartition("/")[0]
        return urlunsplit((parts.scheme, parts.netloc, f"{folder}/{quote(path, safe='/%')}", parts.query, ""))

    def _fetch(self, url: str, file: Path, limit: int, expected: int | None = None) -> bool:
        file.parent.mkdir(parents=True, exist_ok=True)

        def report(done: int) -> None:
            if self.progress and self.total_bytes:
                self.progress(min(self.done_bytes + done, self.total_bytes), self.total_bytes)

        for attempt in range(1, ATTEMPTS + 1):
            try:
                return fetch(mirrored(url), file, limit, expected, self.timeout, report)
            except FetchError as failure:
                if not failure.temporary or attempt == ATTEMPTS:
                    shown, asked = redacted(url), redacted(mirrored(url))
                    through = f" (asked {asked})" if asked != shown else ""
                    raise ModelFormatError(f"{shown}{through}: {failure}", hint=_MIRROR_HINT) from failure
                time.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
        raise AssertionError("unreachable: the last attempt returns or raises")


def _part(file: Path) -> Path:
    return file.with_name(f"{file.name}.part")
