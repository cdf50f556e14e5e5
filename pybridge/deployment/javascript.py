"""The JavaScript of a deployed package, and its join into one file for web pages."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

from pybridge.errors import SetupError
from pybridge.runtime.bundle import find_bundle

BROWSER_FILE = "browser.js"
"""The name of the file that `browser_script` makes; `demo.html` refers to it."""

_BROWSER_ENTRY = "lib/browser.js"
_REQUIRE = re.compile(r"require\('(\.[^']*)'\)")


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
    if _BROWSER_ENTRY not in files:
        raise SetupError(f"{folder} lacks the files of the package", hint="Reinstall pybridge.")
    files[BROWSER_FILE] = browser_script(files).encode()
    return files


def browser_script(files: dict[str, bytes]) -> str:
    """Joins ``lib/browser.js`` and what it requires into one script that sets the global ``pybridge``.

    Args:
        files: As in `package_sources`. Only relative ``require`` calls with plain strings are followed; no others are used.
    """
    modules: dict[str, str] = {}
    waiting = [_BROWSER_ENTRY]
    while waiting:
        name = waiting.pop()
        if name in modules:
            continue
        source = files[name].decode()
        folder = PurePosixPath(name).parent
        targets = {request: _resolve(folder, request, files) for request in _code_requires(source)}
        modules[name] = _REQUIRE.sub(lambda match, to=targets: f"require({json.dumps(to.get(match[1], match[1]))})", source)  # type: ignore[misc]
        waiting.extend(targets.values())
    bodies = ",\n".join(f"{json.dumps(name)}: (module, exports, require) => {{\n{modules[name]}}}" for name in sorted(modules))
    return (
        "var pybridge = (() => {\n'use strict';\nconst modules = {\n" + bodies + "\n};\nconst loaded = {};\n"
        "function require(name) {\n  if (!loaded[name]) {\n    loaded[name] = { exports: {} };\n"
        "    modules[name](loaded[name], loaded[name].exports, require);\n  }\n  return loaded[name].exports;\n}\n"
        f"return require({json.dumps(_BROWSER_ENTRY)});\n}})();\n"
    )


def _code_requires(source: str) -> set[str]:
    lines = (line for line in source.splitlines() if not line.lstrip().startswith(("*", "/*", "//")))
    return {match for line in lines for match in _REQUIRE.findall(line)}


def _resolve(folder: PurePosixPath, request: str, files: dict[str, bytes]) -> str:
    parts: list[str] = list(folder.parts)
    for part in PurePosixPath(request).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    base = "/".join(parts)
    return next(name for name in (f"{base}.js", f"{base}/index.js") if name in files)
