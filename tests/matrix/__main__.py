"""`python tests/matrix [--write docs/keras-layers.md] [name ...]`: every Keras layer through TensorFlow.js and back."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cases import all_cases
from crossing import Outcome, cross
from table import document

import pybridge as pb


def main() -> int:
    """Run the cases, print those that fail, and the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the table to this file")
    parser.add_argument("--verbose", action="store_true", help="print every case")
    parser.add_argument("names", nargs="*", help="only the cases whose names contain one of these")
    options = parser.parse_args()
    chosen = [case for case in all_cases() if not options.names or any(part in case.name for part in options.names)]
    outcomes = []
    start = time.monotonic()
    with pb.Node() as node:
        for case in chosen:
            try:
                outcome = cross(case, node)
            except Exception as error:
                outcome = Outcome(problem=f"{type(error).__name__}: {error}"[:400])
                if options.verbose:
                    traceback.print_exc()
            outcomes.append((case, outcome))
            if options.verbose or not outcome.passes(case):
                print("ok  " if outcome.passes(case) else "FAIL", case.name, outcome, flush=True)
    passed = sum(outcome.passes(case) and not case.refused for case, outcome in outcomes)
    refused = sum(outcome.passes(case) and bool(case.refused) for case, outcome in outcomes)
    print(f"{passed} pass, {refused} refused by name, {len(chosen) - passed - refused} fail, {time.monotonic() - start:.0f} s")
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(document(outcomes), encoding="utf-8")
    return 0 if passed + refused == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
