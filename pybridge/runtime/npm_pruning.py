"""What of the installed npm packages is never loaded, and goes: the less lies there, the less can be wrong with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

_Packages = Mapping[str, Mapping[str, Any]]

# What tfjs-node's own install script uses, for which pybridge's set-up stands in; and what finds the addon, for which the runner
# stands in (node_runner/tensorflow/index.js): of that package only the place is asked.
_NEVER_LOADED: Final = {
    "node_modules/@tensorflow/tfjs-node": {"adm-zip", "https-proxy-agent", "rimraf", "tar"},
    "node_modules/@mapbox/node-pre-gyp": None,
}
# Encoders, which nothing here has a use for.
_NEVER_OPENED: Final = ("node_modules/@jsquash/avif/codec/enc", "node_modules/@jsquash/webp/codec/enc")


def prune(folder: Path) -> None:
    """Deletes source maps (most of the size), encoders, and packages that only other ways of installing would load.

    Args:
        folder: Holds ``package-lock.json`` and a freshly installed ``node_modules``.
    """
    packages: _Packages = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    kept = loaded_packages(packages)
    for key in sorted(packages, key=len, reverse=True):
        if key and key not in kept and not any(other.startswith(f"{key}/") for other in kept):
            shutil.rmtree(folder / key, ignore_errors=True)
    for unused in _NEVER_OPENED:
        shutil.rmtree(folder / unused, ignore_errors=True)
    for source_map in (folder / "node_modules").rglob("*.map"):
        if source_map.is_file() and not source_map.is_symlink():
            source_map.unlink()


def loaded_packages(packages: _Packages) -> set[str]:
    """The packages that the runner may load, as the lock file names them.

    Args:
        packages: The member ``packages`` of a lock file.

    Example:
        >>> loaded_packages({"": {"dependencies": {"a": "1"}}, "node_modules/a": {}, "node_modules/b": {}})
        {'node_modules/a'}
    """
    kept: set[str] = set()
    waiting = [found for name in packages[""].get("dependencies", {}) if (found := _resolve(packages, "", name))]
    while waiting:
        key = waiting.pop()
        if key not in kept:
            kept.add(key)
            waiting.extend(found for name in _dependencies(packages, key) if (found := _resolve(packages, key, name)))
    return kept


def _dependencies(packages: _Packages, key: str) -> Iterator[str]:
    never = _NEVER_LOADED.get(key, set())
    if never is None:
        return
    for kind in ("dependencies", "optionalDependencies", "peerDependencies"):
        yield from (name for name in packages[key].get(kind, {}) if name not in never)


def _resolve(packages: _Packages, dependent: str, name: str) -> str | None:
    """Where Node.js finds a package that another one asks for; None for an optional one that is not installed."""
    place = PurePosixPath(dependent)
    for parent in (place, *place.parents):
        found = f"{'' if parent == PurePosixPath('.') else f'{parent}/'}node_modules/{name}"
        if parent.name != "node_modules" and found in packages:
            return found
    return None
