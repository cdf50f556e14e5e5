"""npm packages for users' own JavaScript, in a folder with a lock file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pybridge.errors import SetupError
from pybridge.runtime.commands import run
from pybridge.runtime.find_node import find_node
from pybridge.runtime.npm_packages import find_npm
from pybridge.storage.cache import cache_dir, check_cached, make_cache_part
from pybridge.storage.files import replace_file
from pybridge.storage.locks import locked

_SECONDS: Final = 1800.0
_OPTIONS: Final = ("--save-exact", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
# What npm takes for an option, a folder, an address or a repository is no name of a package.
_SPECIFIER: Final = re.compile(r"(@[a-z0-9~][\w.~-]*/)?[a-zA-Z0-9~][\w.~-]*(@[\w.^~<>=*|+ -]+)?")


def default_packages() -> Path:
    """The folder of the cache that packages are installed in; it need not exist yet.

    Raises:
        SetupError: It exists, and others than this user may write to it.
    """
    folder = cache_dir() / "packages"
    if folder.exists():
        check_cached(folder)
    return folder


def install_user_packages(packages: Sequence[str], folder: Path, *, scripts: bool) -> Path:
    """Installs packages beside those that a folder has; its ``package-lock.json`` says what exactly.

    Args:
        packages: Names with versions, as npm takes them: ``"lodash@4.17.21"``.
        folder: Where to; made where it is missing.
        scripts: Whether the packages' install scripts may run.

    Returns:
        Its ``node_modules``.

    Raises:
        ValueError: Something else is named than a package of the registry.
        SetupError: npm failed; with the end of its output.
    """
    for package in packages:
        if not _SPECIFIER.fullmatch(package):
            raise ValueError(f"{package!r} is no name of a package with a version, such as 'lodash@4.17.21'")
    npm = find_npm(find_node())
    if folder == cache_dir() / "packages":
        make_cache_part("packages")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        manifest = folder / "package.json"
        if not manifest.exists():
            replace_file(manifest, '{\n  "name": "pybridge-packages",\n  "private": true\n}\n')
        ignored = () if scripts else ("--ignore-scripts",)
        outcome = run(
            [npm.node, npm.cli_js, "install", *_OPTIONS, *ignored, f"--prefix={folder}", "--", *packages],
            timeout=_SECONDS,
            cwd=folder,
            env={"PATH": os.pathsep.join((str(npm.node.parent), os.environ.get("PATH", os.defpath)))},
            title=f"Installing {', '.join(packages)}",
            report=lambda _line: None,
        )
    if not outcome.ok:
        raise SetupError(
            f"npm could not install {', '.join(packages)}; {outcome.ending()}:\n{outcome.tail() or '    (npm wrote nothing)'}",
            hint="Check the name and the version, the network, and `npm config get registry`.",
        )
    return folder / "node_modules"
