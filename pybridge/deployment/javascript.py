"""The JavaScript of a deployed package."""

from __future__ import annotations

from pybridge.errors import SetupError
from pybridge.runtime.bundle import find_bundle

_BROWSER_FILE = "browser.js"
"""The package for web pages as one file, which ``npm run build`` makes; ``demo.html`` refers to it."""


def package_sources() -> dict[str, bytes]:
    """Everything of a package that does not depend on the model, by name.

    Raises:
        SetupError: The files that belong to pybridge are missing.
    """
    node_runner = find_bundle().node_runner
    folder = node_runner / "package"
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    server = sorted((node_runner / "server").rglob("*"))
    files |= {path.relative_to(node_runner).as_posix(): path.read_bytes() for path in server if path.is_file()}
    if _BROWSER_FILE not in files:
        raise SetupError(f"{folder} lacks files of the package", hint="Reinstall pybridge; in a checkout run: npm run build")
    return files
