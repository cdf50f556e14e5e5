"""Looks for sensible defaults: ``python tests/benchmarks/search_defaults.py head|fine-tuning [--out results.jsonl]``.

Each setting differs from the defaults in one thing (or in a few that belong together) and trains on every data set, in
several sizes, with three seeds: other parts, other initial weights, other order. Features are computed once for each data
set, so that a head takes a second. Results are appended to a file as they come, and what is there already is not trained
again; ``--table`` only prints the tables of it. ``docs/defaults.md`` has tables that this made, and what followed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from laboratory import FINE_TUNING, HEAD, Laboratory, short_name  # noqa: E402
from pictures import Pictures, load, part  # noqa: E402

from pybridge.session import Session  # noqa: E402
from pybridge.tfjs.layers_model import LayersModel  # noqa: E402

SEEDS = (0, 1, 2)
VIEWS = 4
SIZES: dict[str, tuple[int | None, ...]] = {
    "trashnet": (10, 30, 100, None),
    "sign_digits": (10, 30, 100, None),
    "digits": (10, 30, None),
}
FINE_TUNING_SIZES: dict[str, tuple[int | None, ...]] = {"trashnet": (50,), "sign_digits": (50,)}

HEAD_SETTINGS: list[dict[str, Any]] = [
    {},
    *({"learning_rate": rate} for rate in (3e-4, 1e-3, 1e-2, 3e-2)),
    {"label_smoothing": 0.1},
    {"schedule": "cosine"},
    {"schedule": "one_cycle"},
    {"schedule": "one_cycle", "learning_rate": 1e-2},
    {"patience": None},
    {"patience": 3},
    {"patience": 10},
    {"epochs": 100},
    {"epochs": 100, "patience": 10},
    *({"batch_size": size} for size in (8, 16, 64, 128)),
    *({"dropout": rate} for rate in (0.0, 0.1, 0.4, 0.6)),
    {"epochs": 100, "patience": 10, "dropout": 0.0},
    {"epochs": 100, "patience": 10, "batch_size": 16},
    {"label_smoothing": 0.05},
    {"optimizer": "adamw"},
    {"optimizer": "adamw", "weight_decay": 0.1},
    {"optimizer": "sgd", "learning_rate": 1e-2},
    {"optimizer": "sgd", "learning_rate": 1e-1},
    {"optimizer": "rmsprop", "learning_rate": 1e-3},
    {"mixup": 0.2},
    {"hidden_units": 128},
    {"hidden_units": 128, "learning_rate": 1e-3},
    {"monitor": "val_accuracy"},
    {"warmup_epochs": 1.0},
    {"schedule": "cosine", "learning_rate": 1e-2},
    {"schedule": "cosine", "patience": None},
    {"schedule": "cosine", "learning_rate": 1e-2, "patience": None},
    {"views": VIEWS},
    {"views": VIEWS, "patience": 10},
]
FINE_TUNING_SETTINGS: list[dict[str, Any]] = [
    {},
    *({"learning_rate": rate} for rate in (1e-4, 3e-5, 3e-4, 1e-3)),
    {"learning_rate": 1e-4, "schedule": "cosine"},
    {"learning_rate": 3e-4, "schedule": "cosine", "warmup_epochs": 1.0},
    {"learning_rate": 1e-4, "epochs": 20},
    {"learning_rate": 1e-4, "batch_size": 16},
    {"learning_rate": 1e-4, "unfreeze": 0.1},
    {"learning_rate": 1e-4, "unfreeze": 0.6},
]


@dataclass(frozen=True)
class Case:
    """One training of the search."""

    stage: str
    data: str
    per_class: int | None
    seed: int
    changed: dict[str, Any]

    def key(self, base: str) -> dict[str, Any]:
        """What identifies it in the file of results."""
        plain = {"stage": self.stage, "base": short_name(base), "data": self.data, "per_class": self.per_class, "seed": self.seed}
        return {**plain, "changed": self.changed}


def cases(stage: str, settings: Sequence[dict[str, Any]], sizes: dict[str, tuple[int | None, ...]]) -> Iterator[Case]:
    """All trainings of a stage. Ends of a base go through one data set after the other, since activations are large."""

    def of(changed: dict[str, Any], data: str) -> Iterator[Case]:
        return (Case(stage, data, per_class, seed, changed) for per_class in sizes[data] for seed in SEEDS)

    pairs = [(changed, data) for changed in settings for data in sizes]
    if stage == "fine-tuning":
        pairs = [(changed, data) for data in sizes for changed in settings]
    for changed, data in pairs:
        yield from of(changed, data)


def run(stage: str, base: str, out: Path, cache: Path, wanted: Sequence[Case]) -> None:
    """Trains what is not in the file of results yet."""
    done = {json.dumps(_key_of(row)) for row in read(out)}
    pictures: dict[str, Pictures] = {}
    heads: dict[tuple[str, int | None, int], tuple[dict[str, Any], LayersModel]] = {}
    with Session() as session, session.tensorflow():
        laboratory = Laboratory(session, base, cache)
        for case in wanted:
            key = case.key(base)
            if json.dumps(key) in done:
                continue
            if case.data not in pictures:
                pictures[case.data] = load(case.data)
            chosen = pictures[case.data]
            parts = part(chosen, case.seed, case.per_class)
            if stage == "head":
                outcome, _ = laboratory.head(chosen, parts, {**HEAD, **case.changed}, case.seed)
            else:
                which = (case.data, case.per_class, case.seed)
                if which not in heads:
                    heads[which] = laboratory.head(chosen, parts, HEAD, case.seed)
                before, model = heads[which]
                outcome, _ = laboratory.fine_tuning(chosen, parts, model, {**FINE_TUNING, **case.changed}, case.seed)
                outcome |= {"accuracy_before": before["accuracy"], "loss_before": before["loss"]}
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**key, **outcome}) + "\n")


def read(out: Path) -> list[dict[str, Any]]:
    """The results so far."""
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()] if out.exists() else []


def _key_of(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("stage", "base", "data", "per_class", "seed", "changed")}


def table(rows: Sequence[dict[str, Any]], value: Callable[[dict[str, Any]], float], digits: int = 1) -> str:
    """A Markdown table: a line for each setting, a column for each data set and size.

    The first line has the values of the defaults; the others the mean differences to it, seed by seed; the last columns
    their mean over all, its standard error, and in how many columns the setting was better and worse by more than its own
    standard error.
    """
    found: dict[str, dict[tuple[str, int], dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        size = row["per_class"] or 10**6
        found[json.dumps(row["changed"])][row["data"], size][row["seed"]] = value(row)
    reference = found.pop("{}")
    columns = sorted(reference, key=lambda column: (list(SIZES).index(column[0]), column[1]))
    names = [f"{data} {size if size < 10**6 else 'all'}" for data, size in columns]
    lines = [
        "| setting | " + " | ".join(names) + " | mean | ± | better, worse |",
        "|---" * (len(columns) + 4) + "|",
        "| *defaults* | "
        + " | ".join(f"{np.mean(list(reference[c].values())):.{digits}f}" for c in columns)
        + f" | {np.mean([np.mean(list(reference[c].values())) for c in columns]):.{digits}f} | | |",
    ]
    for setting, by_column in found.items():
        pairs = {c: [by_column[c][s] - reference[c][s] for s in by_column[c] if s in reference[c]] for c in columns}
        cells = [f"{np.mean(pairs[c]):+.{digits}f}" if pairs[c] else "" for c in columns]
        everything = [each for c in columns for each in pairs[c]]
        if not everything:
            continue
        signs = [_direction(pairs[c]) for c in columns if len(pairs[c]) > 1]
        title = ", ".join(f"{name} {each}" for name, each in json.loads(setting).items())
        error = np.std(everything, ddof=1) / np.sqrt(len(everything)) if len(everything) > 1 else float("nan")
        lines.append(
            f"| {title} | "
            + " | ".join(cells)
            + f" | {np.mean(everything):+.{digits + 1}f} | {error:.{digits + 1}f} | {signs.count(1)}, {signs.count(-1)} |"
        )
    return "\n".join(lines)


def _direction(differences: Sequence[float]) -> int:
    mean, error = np.mean(differences), np.std(differences, ddof=1) / np.sqrt(len(differences))
    return 0 if abs(mean) <= error else int(np.sign(mean))


def print_tables(rows: Sequence[dict[str, Any]]) -> None:
    """Accuracy, loss and epochs of each stage and base."""
    for stage, base in sorted({(row["stage"], row["base"]) for row in rows}):
        chosen = [row for row in rows if (row["stage"], row["base"]) == (stage, base)]
        print(f"\n## {stage}, {base}\n\nTest accuracy, %:\n\n{table(chosen, lambda row: 100 * row['accuracy'])}")
        if stage == "fine-tuning":
            gain = table(chosen, lambda row: 100 * (row["accuracy"] - row["accuracy_before"]))
            print(f"\nGain over the head, points of test accuracy:\n\n{gain}")
        print(f"\nTest loss:\n\n{table(chosen, lambda row: row['loss'], 3)}")
        print(f"\nEpochs:\n\n{table(chosen, lambda row: row['epochs'])}")


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description="Look for sensible defaults.")
    parser.add_argument("stage", choices=["head", "fine-tuning"])
    parser.add_argument("--base", default="efficientnet_lite0")
    parser.add_argument("--out", type=Path, default=Path("defaults.jsonl"))
    parser.add_argument("--cache", type=Path, default=Path("defaults-features"), help="where features are kept")
    parser.add_argument("--data", help="only this data set")
    parser.add_argument("--settings", type=json.loads, help="a JSON list of what to change, instead of the built-in ones")
    parser.add_argument("--table", action="store_true", help="only print what the file of results has")
    options = parser.parse_args()
    settings, sizes = (HEAD_SETTINGS, SIZES) if options.stage == "head" else (FINE_TUNING_SETTINGS, FINE_TUNING_SIZES)
    if options.data:
        sizes = {options.data: sizes[options.data]}
    if not options.table:
        run(
            options.stage,
            options.base,
            options.out,
            options.cache,
            list(cases(options.stage, options.settings or settings, sizes)),
        )
    print_tables([row for row in read(options.out) if row["stage"] == options.stage])


if __name__ == "__main__":
    main()
