"""What was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pybridge.benchmark.catalogue import PEER, WORK
from pybridge.report.pages import NONE

_COLUMNS = ("pybridge", "keras-onednn", "keras", "tfjs", "json")
_MEMORY_WORKS = ("features", "head", "partial", "full", "throughput")
_REDUCED = "†"
# What the whole training may hold beside Keras, and beside stock TensorFlow.js.
_MEMORY_TARGETS = {"keras-onednn": 1.2, "tfjs": 1 / 3}
_SHARE_TARGET = 0.03
_SECONDS = {"seconds": (1.0, "s"), "milliseconds": (1e3, "ms"), "microseconds": (1e6, "µs")}


def markdown(document: Mapping[str, Any]) -> str:
    """All of a run: comparison, memory, every figure with its spread, and what it was measured on.

    Args:
        document: As `bench` gives it.
    """
    return f"# pybridge bench\n\n{section(document)}\n## Every figure\n\n{details(document)}"


def section(document: Mapping[str, Any]) -> str:
    """The part for a README: comparison, memory and conditions."""
    return f"{comparison(document)}\n{memory(document)}\n{conditions(document)}"


def comparison(document: Mapping[str, Any]) -> str:
    """A row for each work, a column for each peer; behind each figure, how many times as long as pybridge it takes."""
    works = document["works"]
    columns = [name for name in _COLUMNS if any(name in work["peers"] for work in works.values())]
    rows = []
    for work in works.values():
        cells = [_cell(work, work["peers"].get(name)) for name in columns]
        rows.append([work["title"], *cells, _targets(work)])
    lines = [_table(["work", *(PEER[name].title for name in columns), "target"], rows)]
    lines += [f"\n{note}" for note in _notes(works)]
    return "\n".join(lines) + "\n"


def memory(document: Mapping[str, Any]) -> str:
    """Peak resident memory of all processes of each peer, and the bridge's own share of the time."""
    works = {name: work for name, work in document["works"].items() if name in _MEMORY_WORKS}
    columns = [name for name in _COLUMNS[:-1] if any(_peak(work, name) for work in works.values())]
    if not columns:
        return ""
    rows = []
    for work in works.values():
        cells = [NONE if _peak(work, peer) is None else f"{_peak(work, peer) / 1e9:.2f}" for peer in columns]
        share = work["peers"].get("pybridge", {}).get("share")
        rows.append([work["title"], *cells, NONE if share is None else f"{share:.1%}"])
    head = ["peak memory, GB", *(PEER[name].title for name in columns), "bridge's share of the time"]
    return "\n".join([_table(head, rows), "", *_memory_targets(works)]) + "\n"


def details(document: Mapping[str, Any]) -> str:
    """A row for each work and peer."""
    rows = []
    for name, work in document["works"].items():
        for peer, measured in work["peers"].items():
            spread, checks = measured["spread"], measured["checks"]
            result = measured["failure"] or (f"{WORK[name].checked} {checks[0]:.4g}" if checks else NONE)
            rows.append(
                [
                    name,
                    PEER[peer].title,
                    shown(work, measured["median"]),
                    NONE if spread is None else f"± {spread:.0%}",
                    str(len(measured["costs"])),
                    _amount(measured["plan"]),
                    result.splitlines()[0],
                ]
            )
    return _table(["work", "peer", "median", "spread", "repetitions", "one repetition", "result"], rows) + "\n"


def conditions(document: Mapping[str, Any]) -> str:
    """Machine, versions, model, sizes, and what is to be known to read the figures."""
    machine, sizes, model = document["machine"], document["sizes"], document["model"]
    versions: dict[str, set[str]] = {}
    for work in document["works"].values():
        for measured in work["peers"].values():
            for name, version in measured["versions"].items():
                versions.setdefault(name, set()).add(version)
    told = ", ".join(f"{name} {'/'.join(sorted(found))}" for name, found in sorted(versions.items()))
    size = f", {machine['memory_gb']:.0f} GB" if "memory_gb" in machine else ""
    return (
        f"Measured on {document['date']} on {machine['cores']} cores of {machine['processor']}{size}, {machine['system']}: "
        f"{told}. Model: {model['base']} with a new head, {model['parameters'] / 1e6:.1f} M parameters; "
        f"batches of {sizes['batch']}; pictures: {document['pictures']}. Medians of {sizes['repeat']} interleaved repetitions, "
        f"each peer in a process of its own; sizes: {sizes['name']}. What is marked {_REDUCED} was measured on less work, to "
        "which its time is in proportion. Stock tfjs-node is tfjs-node 4.22 on the native addon that pybridge compiles, so on "
        "the same TensorFlow as the others: the libtensorflow 2.9.1 that it downloads is not compared. Peak memory counts "
        "shared libraries in each process.\n"
    )


def shown(work: Mapping[str, Any], cost: float | None) -> str:
    """A cost as the work is spoken of: a rate, or a time.

    Example:
        >>> shown({"shown": "rate", "unit": "image"}, 0.02)
        '50.0 images/s'
    """
    if cost is None:
        return NONE
    if work["shown"] == "rate":
        unit = work["unit"] if work["unit"] == "GB" else f"{work['unit']}s"
        return f"{_number(1 / cost)} {unit}/s"
    factor, unit = _SECONDS[work["shown"]]
    return f"{_number(cost * factor)} {unit}"


def _cell(work: Mapping[str, Any], measured: Mapping[str, Any] | None) -> str:
    if measured is None:
        return NONE
    if measured["median"] is None:
        return "failed"
    ratio = "" if measured["times_as_fast"] is None else f" ({_number(measured['times_as_fast'])}x)"
    mark = f" {_REDUCED}" if measured["plan"]["reduced"] else ""
    return f"{shown(work, measured['median'])}{ratio}{mark}"


def _targets(work: Mapping[str, Any]) -> str:
    told = [
        f"{_number(measured['target'])}x {PEER[name].title.split(',')[0]}: {_verdict(measured['met'])}"
        for name, measured in work["peers"].items()
        if measured["target"] is not None
    ]
    if work["limit"] is not None:
        least = "at least" if work["shown"] == "rate" else "at most"
        told.append(f"{least} {shown(work, work['limit'])}: {_verdict(work['met'])}")
    return "; ".join(told) or NONE


def _memory_targets(works: Mapping[str, Any]) -> list[str]:
    full = works.get("full")
    if full is None or (ours := _peak(full, "pybridge")) is None:
        return []
    told = []
    for name, most in _MEMORY_TARGETS.items():
        theirs = _peak(full, name)
        if theirs is not None:
            share = ours / theirs
            told.append(
                f"{share:.2f} of {PEER[name].title} (target: at most {_number(most)}, {_verdict(share <= most)})",
            )
    shares = [work["peers"]["pybridge"]["share"] for work in works.values() if "pybridge" in work["peers"]]
    known = [share for share in shares if share is not None]
    lines = [f"Fine-tuning all of the network holds {' and '.join(told)}."] if told else []
    if known:
        lines.append(f"The bridge's own share is to be under {_SHARE_TARGET:.0%}: {_verdict(max(known) < _SHARE_TARGET)}.")
    return lines


def _notes(works: Mapping[str, Any]) -> Iterable[str]:
    for work in works.values():
        for name, measured in work["peers"].items():
            if measured["failure"] is not None:
                yield f"{work['title']}: {PEER[name].title} failed: {measured['failure'].splitlines()[0]}."
            elif name not in _COLUMNS:
                yield f"{work['title']}: {PEER[name].title}: {_cell(work, measured)}."


def _peak(work: Mapping[str, Any], name: str) -> Any:
    return work["peers"].get(name, {}).get("peak_memory")


def _verdict(met: bool | None) -> str:
    return "not measured" if met is None else "met" if met else "**missed**"


def _amount(plan: Mapping[str, Any]) -> str:
    epochs = f" x {plan['epochs']} epochs" if plan["epochs"] > 1 else ""
    return f"{plan['images']:,}{epochs}{f' {_REDUCED}' if plan['reduced'] else ''}"


def _number(value: float) -> str:
    return (
        f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
