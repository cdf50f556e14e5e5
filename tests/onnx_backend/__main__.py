"""`python tests/onnx_backend [--write docs/onnx-operations.md] [name ...]`: ONNX's own tests of its operations through TF.js."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from backend import WAYS, Outcome, Way, all_cases, frozen, run

import pybridge as pb

_FAULTS = ("wrong", "crash", "called damaged", "unclear")


def main() -> int:
    """Run the cases both ways, print those that must not be, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the counts to this file")
    parser.add_argument("--verbose", action="store_true", help="print every case")
    parser.add_argument("names", nargs="*", help="only the cases whose names contain one of these")
    options = parser.parse_args()
    cases = all_cases(options.names)
    outcomes: dict[Way, list[tuple[str, Outcome]]] = {way: [] for way in WAYS}
    start = time.monotonic()
    with pb.Node(restart="silent") as node, tempfile.TemporaryDirectory() as folder:
        for case in cases:
            for way, one in zip(WAYS, (case, frozen(case) or case), strict=True):
                outcome = run(one, node, Path(folder))
                outcomes[way].append((case.group, outcome))
                if options.verbose or outcome.result in _FAULTS:
                    print(outcome.result, case.name, f"({way})", outcome.message.replace("\n", " ")[:300], flush=True)
    for way, found in outcomes.items():
        counts = Counter(outcome.result for _, outcome in found)
        print(f"{way}: {', '.join(f'{count} {result}' for result, count in counts.most_common())}")
    print(f"{len(cases)} cases, {time.monotonic() - start:.0f} s")
    if options.write:
        options.write.write_text(document(outcomes), encoding="utf-8")
    return int(any(outcome.result in _FAULTS for found in outcomes.values() for _, outcome in found))


def document(outcomes: dict[Way, list[tuple[str, Outcome]]]) -> str:
    """The counts by operation, as a page of docs/."""
    first, second = (outcomes[way] for way in WAYS)
    groups = sorted({group for group, _ in first})
    rows = []
    for group in groups:
        cells = [[outcome.result for name, outcome in found if name == group] for found in (first, second)]
        rows.append(f"| {group} | {len(cells[0])} | {cells[0].count('passes')} | {cells[1].count('passes')} |")
    totals = [sum(outcome.result == "passes" for _, outcome in found) for found in (first, second)]
    faults = sum(outcome.result in _FAULTS for found in (first, second) for _, outcome in found)
    return _PAGE.format(total=len(first), passed=totals[0], frozen=totals[1], faults=faults, rows="\n".join(rows))


_PAGE = """# Operations of ONNX

Written by `python tests/onnx_backend --write docs/onnx-operations.md`: the tests of operations that come with ONNX, each
converted to a layers model, computed by TensorFlow.js and compared with the answer that ONNX gives. *As it is*: every input of
the test is an input of the model. *Frozen*: all inputs but one are constants of the file, as weights, shapes and axes are in
real networks. What does not pass is refused, and the error names the operation and the reason.

Of {total} tests {passed} pass as they are, and {frozen} with frozen inputs; {faults} give a wrong answer, crash, or are called
damaged.

| operation | tests | pass as they are | pass frozen |
|---|---|---|---|
{rows}
"""


if __name__ == "__main__":
    sys.exit(main())
