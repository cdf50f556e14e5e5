"""The layer classes of our own that a model uses, and the JavaScript file that makes them known to any TF.js."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from pybridge.errors import ModelFormatError
from pybridge.runtime.bundle import find_bundle

OWN = "Pybridge"
"""What the names of all of our classes begin with; the rest is the name of the Keras class."""

FILE_NAME = "pybridge-layers.js"
"""The file beside ``model.json`` that registers the classes which the model needs."""

_DEPTH = 64
_REQUIRE = re.compile(r"require\('\./(\w+)'\)")


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


@cache
def own_classes() -> dict[str, str]:
    """The file of ``node_runner/layers`` (without ``.js``) that defines each of our classes."""
    found: dict[str, str] = {}
    for file in sorted(_folder().glob("*.js")):
        source = file.read_text(encoding="utf-8")
        if "static className" not in source:
            continue
        for name in re.findall(rf"'({OWN}\w+)'", source):
            found[name] = file.stem
        only_in_training = re.search(r"ONLY_IN_TRAINING = \[(.*?)\]", source, re.DOTALL)
        if only_in_training:
            found.update((f"{OWN}{name}", file.stem) for name in re.findall(r"'(\w+)'", only_in_training[1]))
    return found


@cache
def own_operations() -> frozenset[str]:
    """The functions of ``keras.ops`` that ``PybridgeOp`` computes."""
    source = (_folder() / "operation_table.js").read_text(encoding="utf-8")
    listed = re.search(r"const ACTIVATIONS = \[(.*?)\];", source, re.DOTALL)
    names = set(re.findall(r"'(\w+)'", listed[1])) if listed else set()
    for table in re.findall(r"const (?:UNARY|BINARY|COMPARISONS|LOGICAL|REDUCTIONS) = \{(.*?)\};", source, re.DOTALL):
        names |= set(re.findall(r"(\w+): '", table))
    assigned = re.search(r"Object\.assign\(operations, \{\n(.*?)\n\}\);", source, re.DOTALL)
    if assigned:
        names |= set(re.findall(r"^  (\w+)(?:,|:)", assigned[1], re.MULTILINE))
    return frozenset(names)


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
        for needed in _REQUIRE.findall(_source(name)):
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
