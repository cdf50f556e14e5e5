"""The layer classes of our own that a model uses, and the JavaScript file that makes them known to any TF.js."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pybridge.errors import ModelFormatError, SetupError
from pybridge.runtime.bundle import find_bundle

OWN = "Pybridge"
"""What the names of all of our classes begin with; the rest is the name of the Keras class."""

FILE_NAME = "pybridge-layers.js"
"""The file beside ``model.json`` that registers the classes which the model needs."""

_DEPTH = 64
_REINSTALL = "The installation is damaged. Reinstall with: pip install --force-reinstall --no-deps pybridge"


def custom_classes(topology: Any) -> set[str]:
    """Name the classes of our own in a topology, those in nested models and wrappers included.

    Args:
        topology: The ``modelTopology`` of a layers model, or any part of it.

    Example:
        >>> custom_classes({"class_name": "Sequential", "config": {"layers": [{"class_name": "PybridgeGRU", "config": {}}]}})
        {'PybridgeGRU'}
    """
    found: set[str] = set()
    stack: list[tuple[Any, int]] = [(topology, 0)]
    while stack:
        value, depth = stack.pop()
        if depth > _DEPTH:
            continue
        if isinstance(value, dict):
            name = value.get("class_name")
            if isinstance(name, str) and name.startswith(OWN) and "config" in value:
                found.add(name)
            stack.extend((item, depth + 1) for item in value.values())
        elif isinstance(value, list):
            stack.extend((item, depth + 1) for item in value)
    return found


def javascript_for(classes: Iterable[str]) -> str:
    """Join the bundled files that define these classes into one file without dependencies.

    In a page it follows the script of TF.js; in Node.js ``require('./pybridge-layers.js')(tf)``, or ``require`` alone where
    ``globalThis.tf`` is set.

    Args:
        classes: Names such as ``PybridgeGRU``.

    Returns:
        The JavaScript, equal for equal classes.

    Raises:
        ModelFormatError: There is no such class.
    """
    wanted = sorted(set(classes))
    families = sorted({_family_of(name) for name in wanted})
    files = _with_dependencies(families)
    modules = "\n".join(f"  '{name}': (module, exports, require) => {{\n{_body(name)}\n  }}," for name in files)
    listed = ", ".join(f"'{name}'" for name in families)
    return _TEMPLATE.format(classes=", ".join(wanted), modules=modules, families=listed)


def own_classes() -> Mapping[str, str]:
    """The file of ``node_runner/layers`` (without ``.js``) that defines each of our classes."""
    return _manifest().classes


def own_operations() -> frozenset[str]:
    """The functions of ``keras.ops`` that ``PybridgeOp`` computes."""
    return _manifest().operations


@dataclass(frozen=True)
class Manifest:
    """What ``node_runner/layers/manifest.json`` says, which the runner reads too.

    Attributes:
        requires: The files that each file needs, in the order in which it requires them.
        classes: The file that defines each class.
        operations: What ``PybridgeOp`` computes.
    """

    requires: Mapping[str, tuple[str, ...]]
    classes: Mapping[str, str]
    operations: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a folder, and compare it with the files that are there.

        Raises:
            SetupError: It is missing or damaged, names a file that is not there, or lacks one that is.
        """
        file = folder / "manifest.json"
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            files = document["files"]
            requires = {name: tuple(entry["requires"]) for name, entry in files.items()}
            listed = [(class_name, name) for name, entry in files.items() for class_name in entry.get("classes", ())]
            operations = frozenset(document["operations"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SetupError(f"{file} cannot be read ({type(error).__name__}: {error})", hint=_REINSTALL) from error
        there = {script.stem for script in folder.glob("*.js")} - {"index"}
        needed = {name for names in requires.values() for name in names}
        if requires.keys() != there or not needed <= there:
            wrong = ", ".join(sorted((requires.keys() ^ there) | (needed - there)))
            raise SetupError(f"{file} and the files beside it disagree about {wrong}", hint=_REINSTALL)
        classes = dict(listed)
        if len(classes) != len(listed) or not classes or not operations:
            raise SetupError(f"{file} names a class twice, or none at all", hint=_REINSTALL)
        return cls(requires, classes, operations)


@cache
def _manifest() -> Manifest:
    return Manifest.read(_folder())


def _folder() -> Path:
    return find_bundle().node_runner / "layers"


def _family_of(name: str) -> str:
    family = own_classes().get(name)
    if family is None:
        raise ModelFormatError(
            f"there is no TF.js layer class {name[:80]!r} in this version of pybridge",
            hint="The model was written by a newer version of pybridge, or is damaged.",
        )
    return family


def _with_dependencies(names: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in found:
            return
        for needed in _manifest().requires[name]:
            visit(needed)
        found[name] = None

    for name in names:
        visit(name)
    return list(found)


def _source(name: str) -> str:
    return (_folder() / f"{name}.js").read_text(encoding="utf-8")


def _body(name: str) -> str:
    lines = _source(name).removeprefix("'use strict';\n").strip().splitlines()
    return "\n".join(f"    {line}" if line else "" for line in lines)


_TEMPLATE = """/**
 * Layer classes of Keras 3 that TensorFlow.js lacks, written beside the model that needs them: {classes}.
 *
 * In a page: <script src="pybridge-layers.js"></script> after that of TensorFlow.js.
 * In Node.js: require('./pybridge-layers.js')(tf), before tf.loadLayersModel.
 */
(function (root) {{
'use strict';

const definitions = {{
{modules}
}};

const loaded = {{}};

function load(path) {{
  const name = path.replace('./', '');
  if (!loaded[name]) {{
    loaded[name] = {{ exports: {{}} }};
    definitions[name](loaded[name], loaded[name].exports, load);
  }}
  return loaded[name].exports;
}}

function register(tf) {{
  const known = tf.serialization.SerializationMap.getMap().classNameMap;
  for (const family of [{families}]) {{
    for (const cls of load(family)(tf)) {{
      if (!known[cls.className]) tf.serialization.registerClass(cls);
    }}
  }}
}}

if (typeof module === 'object' && module.exports) module.exports = register;
if (root.tf && root.tf.serialization) register(root.tf);
}})(globalThis);
"""
