"""The TensorFlow that this Python would import, found without importing it."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pybridge.errors import SetupError

# Distributions that provide the module `tensorflow`.
_DISTRIBUTIONS = (
    "tensorflow",
    "tensorflow-cpu",
    "tensorflow-macos",
    "tensorflow-cpu-aws",
    "tensorflow-rocm",
    "intel-tensorflow",
    "tf-nightly",
    "tf-nightly-cpu",
)
_LIBRARIES = {
    "linux": ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2"),
    "darwin": ("libtensorflow_cc.2.dylib", "libtensorflow_framework.2.dylib"),
}


@dataclass(frozen=True)
class PythonTensorflow:
    """An installed TensorFlow.

    Attributes:
        version: As the installed package says, or ``"unknown"``.
        folder: The package's folder; it holds the C++ libraries and the headers.
        libraries: The two shared libraries that the addon links to.
    """

    version: str
    folder: Path
    libraries: tuple[Path, Path]

    @property
    def include(self) -> Path:
        """The folder of the C headers."""
        return self.folder / "include"

    def fingerprint(self) -> str:
        """Return text that changes when this TensorFlow is replaced or moved.

        The path counts because the addon refers to the libraries by it; sizes and times stand for the contents,
        which are too large to read each time.
        """
        digest = hashlib.sha256(f"{self.version}\n".encode())
        for library in self.libraries:
            status = library.stat()
            digest.update(f"{library}\n{status.st_size}\n{status.st_mtime_ns}\n".encode())
        return digest.hexdigest()


def find_tensorflow() -> PythonTensorflow:
    """Return the TensorFlow of the running Python; takes milliseconds.

    Raises:
        SetupError: Where there is none, or one without the C++ libraries and headers that the addon needs.
    """
    names = _LIBRARIES.get(sys.platform)
    if names is None:
        raise SetupError(
            f"pybridge does not run on {sys.platform!r}: TensorFlow's package has no C++ library to link to there.",
            hint="Use Linux or macOS; on Windows use the Windows Subsystem for Linux.",
        )
    folder = _package_folder()
    libraries = (folder / names[0], folder / names[1])
    missing = [str(path) for path in (*libraries, folder / "include" / "tensorflow" / "c" / "c_api.h") if not path.is_file()]
    if missing:
        raise SetupError(
            f"The TensorFlow in {folder} has no " + ", no ".join(missing) + ".",
            hint="Reinstall it with: pip install --force-reinstall 'tensorflow>=2.19'",
        )
    return PythonTensorflow(_version(folder), folder, libraries)


def _package_folder() -> Path:
    try:
        spec = importlib.util.find_spec("tensorflow")
    except ValueError:
        spec = None
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / "__init__.py").is_file():
            return Path(place).resolve()
    raise SetupError(
        f"The Python {sys.executable} has no TensorFlow.",
        hint="Install one with: pip install 'tensorflow>=2.19' (or tensorflow-cpu)",
    )


def _version(folder: Path) -> str:
    loaded = sys.modules.get("tensorflow")
    if isinstance(version := getattr(loaded, "__version__", None), str):
        return version
    for name in _DISTRIBUTIONS:
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        # `tensorflow` may be a hull without files that requires `tensorflow-cpu`; both have the same version.
        if Path(str(distribution.locate_file("tensorflow"))).resolve() == folder:
            return distribution.version
    return "unknown"
