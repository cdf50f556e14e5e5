"""Run directories: everything a training leaves, loadable at every moment.

While training runs, ``run.json`` says so, the model folder holds the model as training began, and the checkpoint what was
learned since. At the end the model is replaced, and ``run.json`` last of all: it then names every file with its SHA-256.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import BridgeError, ModelFormatError
from pybridge.storage.files import PARTIAL_SUFFIX, replace_file
from pybridge.storage.hashes import sha256_of
from pybridge.text import printable
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.checkpoint import read_checkpoint
from pybridge.training.history import History

FORMAT_VERSION = 1
RUN_FILE = "run.json"
HISTORY_FILE = "history.jsonl"
MODEL_FOLDER = "model"
CHECKPOINT_FOLDER = "checkpoints"
REPORT_FILE = "report.html"


_RESTORE = "Restore the run from a copy."


class RunFolderError(BridgeError, ValueError):
    """A run cannot be written to the folder that was asked for."""


@dataclass
class RunRecord:
    """What ``run.json`` says of a run.

    Attributes:
        status: ``training`` until the model of the last epoch is on disk, then ``finished``; ``interrupted`` where Ctrl-C
            ended it before.
        base: The base model's name and origin.
        class_names: The labels, in the order of the model's outputs.
        preprocessing: What turns a picture into the model's input.
        cut: The last frozen layer, or None where every layer trained.
        settings: The classifier's parameters.
        seed: The seed in use, drawn if none was given.
        versions: Of pybridge, TensorFlow, TensorFlow.js, Node.js and Python.
        metrics: Of the kept weights.
        data: Counts of the images, and how the runtimes compared.
        epochs_before: How many of the epochs were those of an earlier run, which this one fine-tunes.
        history: The finished epochs.
    """

    status: str
    base: dict[str, Any]
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    cut: str | None
    settings: dict[str, Any]
    seed: int
    versions: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    epochs_before: int = 0
    history: History = field(default_factory=History)

    def to_dict(self) -> dict[str, Any]:
        """As ``run.json`` holds it, without the history's rows and the files' hashes."""
        plain = {**asdict(self), "class_names": list(self.class_names), "preprocessing": self.preprocessing.to_dict()}
        del plain["history"]
        plain["labels"] = plain.pop("class_names")
        return {
            "format": "pybridge-run",
            "version": FORMAT_VERSION,
            **plain,
            "engine": self.history.engine,
            "epochs_before": self.epochs_before,
            "epochs_finished": len(self.history),
            "best_epoch": self.history.best_epoch,
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any], rows: list[dict[str, float]]) -> RunRecord:
        """The inverse of `to_dict`; ``rows`` are those of ``history.jsonl``."""
        return cls(
            status=plain["status"],
            base=plain["base"],
            class_names=_labels(plain["labels"]),
            preprocessing=Preprocessing.from_dict(plain["preprocessing"]),
            cut=plain["cut"],
            settings=plain["settings"],
            seed=plain["seed"],
            versions=plain["versions"],
            metrics=plain["metrics"],
            data=plain["data"],
            epochs_before=plain["epochs_before"],
            # Runs of before there was a choice have no engine.
            history=History(rows, plain["best_epoch"], plain.get("engine", plain["settings"].get("engine", "layers"))),
        )


class RunDirectory:
    """A folder with one training's files.

    Args:
        path: The folder. It is made when something is first written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()

    @property
    def checkpoints(self) -> Path:
        """The folder of what continues a killed training."""
        return self.path / CHECKPOINT_FOLDER

    def exists(self) -> bool:
        """Whether there is a run, finished or not."""
        return (self.path / RUN_FILE).exists()

    def is_finished(self) -> bool:
        """Whether there is a run whose training came to its end."""
        return self.exists() and self._read_record().get("status") == "finished"

    def is_beginning(self) -> bool:
        """Whether a process died as it began a run here: there are files of a run, but nothing was learned yet."""
        known = {MODEL_FOLDER, HISTORY_FILE, f"{HISTORY_FILE}{PARTIAL_SUFFIX}", f"{RUN_FILE}{PARTIAL_SUFFIX}"}
        names = {file.name for file in self.path.iterdir()} if self.path.is_dir() else set()
        return MODEL_FOLDER in names and names <= known

    def check_vacant(self) -> None:
        """Makes sure that a run can be written here, and would destroy nothing.

        Raises:
            RunFolderError: The folder holds something, or cannot be made.
        """
        parent = next(folder for folder in self.path.absolute().parents if os.path.lexists(folder))
        if not parent.is_dir() or not os.access(self.path if self.path.is_dir() else parent, os.W_OK | os.X_OK):
            raise RunFolderError(
                f"{self.path} cannot be made: {parent} is no folder that you may write to", hint="Choose another folder."
            )
        if self.path.is_dir() and not any(self.path.iterdir()):
            return
        if os.path.lexists(self.path):
            raise RunFolderError(
                f"{self.path} exists already{self._content()}",
                hint="Choose another folder or remove it."
                if not self.exists() or self.is_finished()
                else "Go on with it by --resume (resume=True), choose another folder, or remove it.",
            )

    @contextmanager
    def nothing_left_of_a_refusal(self) -> Iterator[None]:
        """Removes what was written here if the block fails before the first epoch is finished: there is nothing to go on from."""
        made = not self.path.exists()
        try:
            yield
        except BaseException:
            with suppress(BridgeError, OSError):
                if read_checkpoint(self.checkpoints) is None:
                    _remove_content(self.path)
                    if made:
                        self.path.rmdir()
            raise

    def _content(self) -> str:
        if not self.exists():
            return ""
        if self.is_finished():
            return " and holds a finished run"
        checkpoint = read_checkpoint(self.checkpoints)
        return f" and holds an unfinished run of {len(checkpoint.history) if checkpoint else 0} epochs"

    def write(self, record: RunRecord, model: LayersModel | None = None, report: str | None = None) -> None:
        """Writes a run's files; a reader finds the former state or the new one.

        Args:
            record: What ``run.json`` shall say.
            model: The model, if it is new.
            report: The text of ``report.html``, if it is new.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if model is not None:
            # Weight files carry their hash in their names, so that the old model stays whole until model.json is replaced.
            model.write(self.path / MODEL_FOLDER)
        self.write_history(record.history)
        if report is not None:
            replace_file(self.path / REPORT_FILE, report)
        plain = {**record.to_dict(), "files": {name: sha256_of(self.path / name) for name in sorted(self._files())}}
        replace_file(self.path / RUN_FILE, json.dumps(plain, indent=2, ensure_ascii=False) + "\n")

    def write_history(self, history: History) -> None:
        """Writes ``history.jsonl``: one line for each finished epoch."""
        replace_file(self.path / HISTORY_FILE, "".join(json.dumps(row) + "\n" for row in history.rows))

    def read(self) -> tuple[RunRecord, LayersModel]:
        """Reads a run: as it was written at its end, or, while it is in training, with the best weights so far.

        Raises:
            ModelFormatError: There is no run, or a file was altered or is missing.
        """
        plain = self._read_record()
        try:
            record = RunRecord.from_dict(plain, self._read_history())
            if record.status != "training":
                self._check_files(plain["files"])
        except ModelFormatError:
            raise
        except KeyError as error:
            raise ModelFormatError(f"{self.path / RUN_FILE} is damaged: it lacks {error}", hint=_RESTORE) from error
        except (TypeError, AttributeError, ValueError) as error:
            reason = str(error) if isinstance(error, ValueError) else "it holds values of a wrong kind"
            raise ModelFormatError(f"{self.path / RUN_FILE} is damaged: {reason}", hint=_RESTORE) from error
        model = LayersModel.read(self.path / MODEL_FOLDER)
        checkpoint = read_checkpoint(self.checkpoints) if record.status == "training" else None
        if checkpoint is None:
            return record, model
        before = History(record.history.rows[: record.epochs_before], record.history.best_epoch, record.history.engine)
        record.history = before.extended(checkpoint.history.rows, checkpoint.history.best_epoch, checkpoint.history.engine)
        return record, replace(model, weights={**model.weights, **checkpoint.best_weights})

    def _read_record(self) -> dict[str, Any]:
        try:
            plain = json.loads((self.path / RUN_FILE).read_text("utf-8"))
        except FileNotFoundError:
            raise ModelFormatError(
                f"{self.path} is not a run directory: it has no {RUN_FILE}",
                hint="`pybridge train FOLDER --out RUN` makes one.",
            ) from None
        except OSError as error:
            raise ModelFormatError(f"{self.path / RUN_FILE} cannot be read: {error.strerror or error}") from error
        except (ValueError, RecursionError):
            raise ModelFormatError(f"{self.path / RUN_FILE} is damaged: it is no JSON", hint=_RESTORE) from None
        if not isinstance(plain, dict) or plain.get("format") != "pybridge-run":
            raise ModelFormatError(f"{self.path / RUN_FILE} is not a run's record")
        if plain.get("version") != FORMAT_VERSION:
            newer = isinstance(plain.get("version"), int) and plain["version"] > FORMAT_VERSION
            raise ModelFormatError(
                f"{self.path} has run format {plain.get('version')}; this pybridge reads {FORMAT_VERSION}",
                hint="It was written by a newer pybridge: update this one." if newer else _RESTORE,
            )
        return plain

    def _check_files(self, hashes: dict[str, str]) -> None:
        for name, expected in hashes.items():
            self._check(name, expected)
        read = (name for name in self._files() if name == HISTORY_FILE or name.startswith(f"{MODEL_FOLDER}/"))
        if unknown := sorted(set(read) - set(hashes)):
            raise ModelFormatError(
                f"{self.path / RUN_FILE} has no SHA-256 of {', '.join(unknown)}, so that nobody knows whether it is the run's",
                hint=_RESTORE,
            )

    def _check(self, name: str, expected: str) -> None:
        path = (self.path / name).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise ModelFormatError(f"{self.path / RUN_FILE} names {name!r}, which lies outside the run")
        if not path.is_file():
            raise ModelFormatError(f"{printable(path)} is missing", hint=_RESTORE)
        if sha256_of(path) != expected:
            raise ModelFormatError(
                f"{printable(path)} was altered after training: its SHA-256 is not that in {RUN_FILE}",
                hint=_RESTORE,
            )

    def _read_history(self) -> list[dict[str, float]]:
        path = self.path / HISTORY_FILE
        lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
        # A copy of a running training's folder may end in the middle of a line.
        try:
            return [json.loads(line) for line in lines if line.endswith("\n")]
        except ValueError:
            raise ModelFormatError(f"{path} is damaged: a line is no JSON", hint=_RESTORE) from None

    def _files(self) -> Iterable[str]:
        for path in self.path.rglob("*"):
            name = path.relative_to(self.path).as_posix()
            if path.is_file() and name != RUN_FILE and not path.name.startswith(".") and path.suffix != PARTIAL_SUFFIX:
                yield name


def is_run(source: object) -> TypeGuard[str | Path]:
    """Whether something names the folder of a run."""
    return isinstance(source, str | Path) and "://" not in str(source) and (Path(source).expanduser() / RUN_FILE).is_file()


def _remove_content(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _labels(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(label, str) for label in value):
        raise ValueError("its labels are no list of texts")
    return tuple(value)
