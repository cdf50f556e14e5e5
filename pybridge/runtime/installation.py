"""From nothing to a runtime that works, or straight to it when everything is in the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pybridge.runtime.addon import addon_folder, compile_addon, compiled_addon
from pybridge.runtime.bundle import Bundle, find_bundle
from pybridge.runtime.find_node import NodeExecutable, find_node
from pybridge.runtime.npm_packages import install_packages, installed_packages
from pybridge.runtime.probe import child_environment
from pybridge.runtime.python_tensorflow import PythonTensorflow, find_tensorflow
from pybridge.storage.cache import disk_errors, set_up_lock


@dataclass(frozen=True)
class Runtime:
    """Everything that a runner process needs, found and ready.

    Attributes:
        node: The Node.js executable.
        node_version: Its version, such as ``"20.20.2"``.
        main_js: The bundled program.
        node_modules: The cached folder with ``@tensorflow/tfjs-node``.
        addon: The cached native addon.
        tensorflow_version: The version of the TensorFlow that the addon loads, as that TensorFlow says.
        tensorflow_dir: The folder of that TensorFlow, which Python imports too.
    """

    node: Path
    node_version: str
    main_js: Path
    node_modules: Path
    addon: Path
    tensorflow_version: str
    tensorflow_dir: Path

    def environment(self) -> dict[str, str]:
        """Return the variables that a Node.js child needs on top of ``os.environ``.

        Example:
            >>> subprocess.Popen([runtime.node, "x.js"], env={**os.environ, **runtime.environment()})
        """
        return child_environment(self.node_modules, self.addon)


def ensure(*, report: Callable[[str], None] | None = None, force: bool = False) -> Runtime:
    """Return a runtime that works; install what is missing first.

    When all is there, this takes milliseconds and starts no process. Else it installs the npm packages and compiles the
    native addon, in about half a minute. Processes that do this at the same time wait for each other.

    Args:
        report: Receives short lines on what is being done. It is not called when there is nothing to do.
        force: Install and compile anew even when all is there.

    Returns:
        The runtime.

    Raises:
        NodeNotFoundError: Where there is no suitable Node.js.
        SetupError: Where something could not be found, installed, compiled or loaded.

    Example:
        >>> ensure(report=print).tensorflow_version
        '2.21.0'
    """
    bundle, node, tensorflow = find_bundle(), find_node(), find_tensorflow()
    if not force and (ready := _find_ready(bundle, node, tensorflow)) is not None:
        return ready
    say = report if report is not None else _say_nothing
    with set_up_lock(say), disk_errors("install the Node.js side"):
        if not force and (ready := _find_ready(bundle, node, tensorflow)) is not None:
            return ready
        return _install(bundle, node, tensorflow, say, force=force)


def _find_ready(bundle: Bundle, node: NodeExecutable, tensorflow: PythonTensorflow) -> Runtime | None:
    modules = installed_packages(bundle)
    addon = compiled_addon(addon_folder(bundle, node, tensorflow))
    if modules is None or addon is None:
        return None
    return Runtime(
        node=node.path,
        node_version=node.version,
        main_js=bundle.main_js,
        node_modules=modules,
        addon=addon.file,
        tensorflow_version=addon.tensorflow_version,
        tensorflow_dir=tensorflow.folder,
    )


def _install(
    bundle: Bundle, node: NodeExecutable, tensorflow: PythonTensorflow, say: Callable[[str], None], *, force: bool
) -> Runtime:
    modules = None if force else installed_packages(bundle)
    if modules is None:
        title = "Installing npm packages (1 of 2)..."
        say(title)
        modules = install_packages(bundle, node, title=title, report=say)
    addon = None if force else compiled_addon(addon_folder(bundle, node, tensorflow))
    if addon is None:
        title = f"Compiling the native addon against TensorFlow {tensorflow.version} (2 of 2)..."
        say(title)
        addon = compile_addon(bundle, node, tensorflow, modules, title=title, report=say)
    say(f"Ready: Node.js {node.version} with TensorFlow {addon.tensorflow_version}")
    ready = _find_ready(bundle, node, tensorflow)
    assert ready is not None, "what was just published must be found"
    return ready


def _say_nothing(_line: str) -> None:
    return None
