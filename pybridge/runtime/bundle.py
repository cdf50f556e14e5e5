"""Where the Node.js program that comes with pybridge lies."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pybridge.errors import SetupError


@dataclass(frozen=True)
class Bundle:
    """The bundled Node.js side.

    Attributes:
        node_runner: Folder of the JavaScript program.
        package_json: Which npm packages it needs.
        package_lock: Their exact versions and hashes.
    """

    node_runner: Path
    package_json: Path
    package_lock: Path

    @property
    def main_js(self) -> Path:
        """The program that the runner process executes."""
        return self.node_runner / "main.js"

    @property
    def probe_js(self) -> Path:
        """The program that loads the addon and says what it found."""
        return self.node_runner / "tensorflow" / "probe.js"

    def packages_key(self) -> str:
        """Return a name for exactly these npm packages: 16 hexadecimal digits of a SHA-256."""
        digest = hashlib.sha256()
        for file in (self.package_json, self.package_lock):
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()[:16]


def find_bundle() -> Bundle:
    """Return the bundle: inside the package when installed, beside the package in a checkout or an editable install.

    Raises:
        SetupError: Where it is in neither place.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_bundled", package.parent):
        bundle = Bundle(folder / "node_runner", folder / "package.json", folder / "package-lock.json")
        if bundle.node_runner.is_dir() and bundle.package_json.is_file() and bundle.package_lock.is_file():
            return bundle
    raise SetupError(
        f"The Node.js program that belongs to pybridge is neither in {package / '_bundled'} nor in {package.parent}.",
        hint="The installation is damaged. Reinstall with: pip install --force-reinstall --no-deps pybridge",
    )
