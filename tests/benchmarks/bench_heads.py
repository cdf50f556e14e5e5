"""Fitted heads against scikit-learn: ``python tests/benchmarks/bench_heads.py [--out heads.jsonl] [--write]``.

The features of each data set are computed once, and kept on disk. From the same photos of 5, 20, 100 and all of each class, with
right labels and with every fifth one wrong, three seeds: the head that `ImageClassifier.fit` fits by default, and scikit-learn's
``LogisticRegression``, whose C is chosen by five-fold stratified cross-validation on the log loss, as ``LogisticRegressionCV``
does, on a grid of half decades that ends where the loss has risen twice. Both are judged on photos that neither has seen.
Results are appended to a file as they come; ``--write`` puts the tables into ``docs/defaults.md``. ``--times`` measures how long
a head takes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from laboratory import Laboratory  # noqa: E402
from pictures import Pictures, load, part  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import StratifiedKFold  # noqa: E402

from pybridge.heads import Examples, HeadFit, HeadSolver, fit_head, head_program, normalized, softmax  # noqa: E402
from pybridge.session import Session  # noqa: E402

BASE = "efficientnet_lite0"
DATA = ("trashnet", "sign_digits", "digits", "clothing")
SIZES: tuple[int | None, ...] = (5, 20, 100, None)
NOISE = (0.0, 0.2)
SEEDS = (0, 1, 2)
GRID = 10.0 ** np.arange(-4, 4.1, 0.5)
DOCUMENT = REPOSITORY / "docs" / "defaults.md"
BEGIN, END = "<!-- bench_heads: begin -->", "<!-- bench_heads: end -->"

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """One comparison."""

    data: str
    per_class: int | None
    noise: float
    seed: int

    def key(self) -> dict[str, Any]:
        """What identifies it in the file of results."""
        return {"data": self.data, "per_class": self.per_class, "noise": self.noise, "seed": self.seed}


@dataclass(frozen=True)
class Problem:
    """What to learn from, and what to judge by."""

    x: Array
    labels: NDArray[np.int32]
    test: Array
    test_labels: NDArray[np.int32]


def problem(case: Case, pictures: Pictures, features: Array) -> Problem:
    """The photos of a case; of wrong labels, each other class is as likely."""
    parts = part(pictures, case.seed, case.per_class)
    learned = np.sort(np.concatenate([parts.training, parts.validation]))
    labels = pictures.images.labels.astype(np.int32)
    random, classes = np.random.default_rng([case.seed, 1]), len(pictures.images.class_names)
    wrong = random.random(len(learned)) < case.noise
    given = (labels[learned] + wrong * random.integers(1, classes, len(learned))) % classes
    return Problem(features[learned], given.astype(np.int32), features[parts.test], labels[parts.test])


def ours(session: Session, given: Problem, seed: int) -> tuple[Array, HeadFit]:
    """The probabilities of the test part, and the head."""
    connection = session.runner.start().connection
    store = connection.call("features.put", {"values": np.ascontiguousarray(given.x)})
    rows, weights = np.arange(len(given.x), dtype=np.int32), np.ones(len(given.x), np.float32)
    examples = Examples(store, rows, given.labels, int(given.labels.max()) + 1, weights, given.x.shape[1])
    try:
        with HeadSolver(connection, head_program(session.runtime), examples) as solver:
            head = fit_head(solver, seed)
    finally:
        connection.call("features.dispose", {"store": store})
    taken = normalized(given.test) if head.setting.features == "normalized" else given.test
    return softmax(taken @ head.kernel + head.bias), head


def theirs(given: Problem, seed: int) -> tuple[Array, float]:
    """The probabilities of the test part, and C.

    Features are centred and turned into as many directions as there are photos, which changes neither the minimum nor its
    probabilities (the intercept is not penalised, the penalty does not know directions), but saves most of the time.
    """
    mean = given.x.mean(axis=0)
    basis = np.linalg.svd(given.x - mean, full_matrices=False)[2].T
    x, test = ((each - mean) @ basis for each in (given.x, given.test))
    least = np.bincount(given.labels).min()
    folds = list(StratifiedKFold(max(min(5, int(least)), 2), shuffle=True, random_state=seed).split(x, given.labels))
    models = [LogisticRegression(max_iter=1000, warm_start=True) for _ in folds]
    losses: list[float] = []
    for c in GRID:
        loss = 0.0
        for model, (learned, held_out) in zip(models, folds, strict=True):
            model.set_params(C=c).fit(x[learned], given.labels[learned])
            chosen = model.predict_log_proba(x[held_out])
            loss -= float(chosen[np.arange(len(held_out)), np.searchsorted(model.classes_, given.labels[held_out])].sum())
        losses.append(loss)
        if len(losses) - 1 - int(np.argmin(losses)) == 2:
            break
    c = float(GRID[int(np.argmin(losses))])
    model = LogisticRegression(C=c, max_iter=1000).fit(x, given.labels)
    probabilities = np.full((len(test), int(given.labels.max()) + 1), 1e-12, np.float32)
    probabilities[:, model.classes_] = model.predict_proba(test)
    return probabilities, c


def judge(probabilities: Array, labels: NDArray[np.int32]) -> dict[str, float]:
    """Accuracy and log loss."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return {
        "accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
        "loss": float(-np.log(np.clip(chosen, 1e-7, 1)).mean()),
    }


def cases(data: Sequence[str], sizes: Sequence[int | None]) -> Iterator[Case]:
    """All of them, the small ones first."""
    for size in sizes:
        for name in data:
            yield from (Case(name, size, noise, seed) for noise in NOISE for seed in SEEDS)


def run(out: Path, cache: Path, wanted: Sequence[Case]) -> None:
    """Compares what is not in the file of results yet."""
    done = {json.dumps({name: row[name] for name in Case("", None, 0, 0).key()}) for row in read(out)}
    with Session() as session, session.tensorflow():
        laboratory = Laboratory(session, BASE, cache)
        known: dict[str, tuple[Pictures, Array]] = {}
        for case in wanted:
            if json.dumps(case.key()) in done:
                continue
            if case.data not in known:
                pictures = load(case.data)
                store = laboratory.features(pictures, 1)
                rows = np.arange(len(pictures.images), dtype=np.int32)
                known[case.data] = pictures, session.runner.call("features.read", {"store": store, "rows": rows})
            given = problem(case, *known[case.data])
            begun = time.perf_counter()
            mine, head = ours(session, given, case.seed)
            between = time.perf_counter()
            other, c = theirs(given, case.seed)
            seconds = {"ours": round(between - begun, 2), "theirs": round(time.perf_counter() - between, 2)}
            row = {
                **case.key(),
                "photos": len(given.x),
                "ours": judge(mine, given.test_labels),
                "theirs": judge(other, given.test_labels),
                "head": head.to_dict(),
                "C": c,
                "seconds": seconds,
            }
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def read(out: Path) -> list[dict[str, Any]]:
    """The results so far."""
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()] if out.exists() else []


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a line for each column of the comparison, and what all of them say."""
    found: dict[tuple[int, int, float], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[DATA.index(row["data"]), row["per_class"] or 10**6, row["noise"]].append(row)
    lines = [
        "| data | photos a class | wrong labels | scikit-learn | pybridge | difference | ± | log loss | what was fitted |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    means, worse, losses = [], [], []
    for (data, size, noise), group in sorted(found.items()):
        gain = np.array([100 * (row["ours"]["accuracy"] - row["theirs"]["accuracy"]) for row in group])
        loss = np.mean([row["ours"]["loss"] - row["theirs"]["loss"] for row in group])
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.nan
        kinds = [_kind(row["head"]) for row in group]
        shown = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        name = f"{DATA[data]} | {size if size < 10**6 else 'all'} | {f'{noise:.0%}' if noise else ''}"
        levels = [100 * np.mean([row[who]["accuracy"] for row in group]) for who in ("theirs", "ours")]
        lines.append(f"| {name} | {levels[0]:.1f} | {levels[1]:.1f} | {gain.mean():+.2f} | {error:.2f} | {loss:+.3f} | {shown} |")
        means.append(gain.mean())
        losses.append(loss)
        worse.append(gain.mean() < -error)
    error = np.std(means, ddof=1) / np.sqrt(len(means))
    summary = (
        f"Mean over {len(means)} columns: {np.mean(means):+.2f} ± {error:.2f} points of accuracy, {np.mean(losses):+.3f} of "
        f"log loss; worse by more than one standard error: {sum(worse)}."
    )
    return "\n".join(lines) + f"\n\n{summary}"


def _kind(head: dict[str, Any]) -> str:
    return "discriminant" if head["method"] == "discriminant analysis" else str(head["features"])


def write_document(text: str) -> None:
    """Replaces what is between the marks."""
    before, rest = DOCUMENT.read_text("utf-8").split(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", "utf-8")


def times() -> str:
    """How long heads take that are as large as those of a usual and of a large data set, of made-up features."""
    lines = ["| photos | features | classes | folds | steps | seconds |", "|---|---|---|---|---|---|"]
    with Session() as session, session.tensorflow():
        head_program(session.runtime)
        for photos, classes in ((2_500, 10), (20_000, 100)):
            random = np.random.default_rng(0)
            labels = (np.arange(photos) % classes).astype(np.int32)
            # Positive, and mostly small, as the means of feature maps behind a ReLU are.
            centres = random.gamma(0.6, 0.5, (classes, 1280)).astype(np.float32)
            x = (0.5 * centres[labels] + random.gamma(0.6, 0.5, (photos, 1280))).astype(np.float32)
            begun = time.perf_counter()
            _, head = ours(session, Problem(x, labels, x[:10], labels[:10]), 0)
            seconds = time.perf_counter() - begun
            lines.append(f"| {photos:,} | 1,280 | {classes} | {head.folds} | {len(head.rows)} | {seconds:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description="Fitted heads against scikit-learn.")
    parser.add_argument("--out", type=Path, default=Path("heads.jsonl"))
    parser.add_argument("--cache", type=Path, default=Path("defaults-features"), help="where features are kept")
    parser.add_argument("--data", choices=DATA, help="only this data set")
    parser.add_argument("--size", type=int, help="only so many photos a class; 0 for all")
    parser.add_argument("--table", action="store_true", help="only print what the file of results has")
    parser.add_argument("--times", action="store_true", help="only measure how long heads take")
    parser.add_argument("--write", action="store_true", help="put the table into docs/defaults.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.times:
        print(times())
        return
    sizes = SIZES if options.size is None else (options.size or None,)
    if not options.table:
        run(options.out, options.cache, list(cases([options.data] if options.data else DATA, sizes)))
    text = table(read(options.out))
    print(text)
    if options.write:
        write_document(text)


if __name__ == "__main__":
    main()
