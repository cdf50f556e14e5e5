"""Keras models from files and from keras.applications: converted once, in the TensorFlow process, and kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pybridge._version import __version__
from pybridge.errors import BridgeError, ModelFormatError
from pybridge.graphs import TensorFlowProcess
from pybridge.loading.keras_safety import check_archive, check_config, format_of, read_config
from pybridge.loading.operations import known_operations
from pybridge.loading.saved_model import SavedModel, is_saved_model, read_saved_model
from pybridge.runtime import ensure
from pybridge.runtime.sandbox import Confinement
from pybridge.storage.cache import cache_part, check_cached, keep_in_cache, make_cache_part, storing
from pybridge.storage.folders import scratch_beside
from pybridge.storage.hashes import sha256_of
from pybridge.storage.locks import locked
from pybridge.storage.private_copy import PrivateCopy
from pybridge.tfjs.layers_model import LayersModel

_JOBS = "pybridge.loading.keras_reader"
_TIMEOUT_SECONDS = 1800.0


def keras_file_model(
    file: Path, *, allow_lambda: bool = False, tensorflow: TensorFlowProcess | None = None
) -> LayersModel | SavedModel:
    """Open a ``.keras`` or ``.h5`` file.

    Args:
        file: The file.
        allow_lambda: Run the Python code of Lambda layers. A model with them becomes a SavedModel, which predicts, but cannot
            be taken apart.
        tensorflow: A process that opens it; by default one is started where the file is not in the cache.

    Raises:
        ModelFormatError: The file is damaged or unsafe, or has layers that cannot be converted; the message names them.
    """
    job = f"{_JOBS}:open_file"
    try:
        with suppress(ModelFormatError):
            return _read(_place(job, [sha256_of(file), str(allow_lambda)]))
        # Keras goes by the name of a file; ours says what its content is, and is in nobody else's hands.
        name = f"model{format_of(file)}"
        copy = PrivateCopy({name: file})
    except OSError as error:
        raise ModelFormatError(f"{file}: cannot be read ({error})", hint="Give the path of a file.") from error
    copied = copy.folder / name
    if copied.suffix == ".keras":
        check_archive(copied, file)
        check_config(read_config(copied, file), file, allow_lambda=allow_lambda)
    arguments = {"file": str(copied), "shown": str(file), "allow_lambda": allow_lambda}
    return convert_cached(job, arguments, [sha256_of(copied), str(allow_lambda)], str(file), copy.folder, tensorflow)


def application_model(name: str, *, weights: str | None = "imagenet", tensorflow: TensorFlowProcess | None = None) -> LayersModel:
    """A model of keras.applications, with the weights that Keras downloads into its own cache.

    Args:
        name: Its constructor's name.
        weights: ``imagenet``, or None for random ones.
        tensorflow: A process that builds it.

    Raises:
        ModelFormatError: The weights cannot be had; the message names their file and where to put it.
    """
    arguments = {"name": name, "weights": weights}
    identity = [name, weights or "random"]
    model = convert_cached(f"{_JOBS}:open_application", arguments, identity, f"keras.applications.{name}", None, tensorflow)
    assert isinstance(model, LayersModel)
    return model


def convert_cached(
    job: str,
    arguments: dict[str, Any],
    identity: list[str],
    shown: str,
    reads: Path | None = None,
    tensorflow: TensorFlowProcess | None = None,
) -> LayersModel | SavedModel:
    """Run a conversion in the TensorFlow process, or take what it made before.

    Args:
        job: ``module:function`` of the conversion, which makes ``model`` or ``saved_model`` in its folder.
        arguments: What it takes.
        identity: What its result depends on.
        shown: What to call the source in errors.
        reads: As in `run_job`.
        tensorflow: A process that runs already.

    Raises:
        ModelFormatError: The source cannot be converted.
    """
    folder = _place(job, identity)
    with storing(f"the converted {shown}", folder):
        make_cache_part("models")
        with locked(folder.with_name(f"{folder.name}.lock")):
            try:
                return _read(folder)
            except ModelFormatError:
                _convert(folder, job, arguments, shown, tensorflow, reads)
                return _read(folder)


def _place(job: str, identity: list[str]) -> Path:
    """Where a conversion is kept."""
    key = hashlib.sha256("\n".join([job, *identity, *_versions()]).encode()).hexdigest()[:24]
    return cache_part("models") / f"keras-{key}"


def _read(folder: Path) -> LayersModel | SavedModel:
    check_cached(folder)
    if not is_saved_model(folder):
        return LayersModel.read(folder)
    # Made of a file whose Python code was allowed, which may do more than any operation.
    return read_saved_model(folder, allow_operations=known_operations().known)


def _convert(
    folder: Path,
    job: str,
    arguments: dict[str, Any],
    shown: str,
    tensorflow: TensorFlowProcess | None,
    reads: Path | None,
) -> None:
    with scratch_beside(folder) as scratch:
        run_job(scratch, job, arguments, shown, tensorflow, reads=reads)
        made = scratch / "model"
        keep_in_cache(made if made.exists() else scratch / "saved_model", folder)


def run_job(
    scratch: Path,
    job: str,
    arguments: dict[str, Any],
    shown: str,
    tensorflow: TensorFlowProcess | None = None,
    *,
    reads: Path | None = None,
    timeout: float = _TIMEOUT_SECONDS,
) -> dict[str, Any]:
    """Run a job of the TensorFlow process that opens a file; whatever goes wrong there is the file's fault.

    Args:
        scratch: The job's folder.
        job: ``module:function``.
        arguments: What the job takes.
        shown: What to call the file in errors.
        tensorflow: A process that runs already; by default one is started for the job.
        reads: All that the job reads and did not make: a process that is started for it is confined to that and its own folder.
        timeout: Seconds after which a file counts as one that is never done.

    Raises:
        ModelFormatError: The job failed, or its process died of the file.
    """
    if tensorflow is not None:
        return _blamed(lambda: tensorflow.run(scratch, job, arguments, timeout=timeout), shown)
    environment, confinement = ensure().environment(), None
    if reads is not None:
        environment["TMPDIR"] = str(scratch)
        confinement = Confinement(read=(reads,), write=(scratch,))
    with TensorFlowProcess(environment, confinement) as process:
        return _blamed(lambda: process.run(scratch, job, arguments, timeout=timeout), shown)


def _blamed(run: Callable[[], dict[str, Any]], shown: str) -> dict[str, Any]:
    try:
        return run()
    except ModelFormatError:
        raise
    except BridgeError as error:
        raise ModelFormatError(
            f"{shown}: cannot be opened\n{error.message}", hint="The file is damaged, or larger than this machine's memory."
        ) from error


def _versions() -> list[str]:
    """What a conversion depends on besides the file."""
    installed = [f"{name} {version(name)}" for name in ("keras", "h5py")]
    converters = Path(__file__).parents[1] / "converters"
    sources = sha256_of(*sorted(converters.rglob("*.py")))
    return [__version__, *installed, sources]
