"""Verbs about this machine, and the first that newcomers type."""

from __future__ import annotations

import argparse
from pathlib import Path

from pybridge.cli.common import FAILED, SUCCESS, Verbs, answer, say, set_up
from pybridge.cli.training import epoch_lines


def add(verbs: Verbs) -> None:
    """Declares the verbs of this file."""
    verbs.add(
        "doctor", _doctor, "say what was found on this machine, and what to do about what is wrong", "pybridge doctor --json"
    )
    setup = verbs.add("setup", _setup, "install the Node.js side ahead of time", "pybridge setup")
    setup.add_argument("--force", action="store_true", help="install anew what is there already")
    demo = verbs.add("demo", _demo, "train on real pictures that come along, and show the result", "pybridge demo --out demo")
    demo.add_argument("--out", type=Path, help="folder for pictures and run (default: a new temporary one)")
    verbs.add("zoo", _zoo, "list the base models that can be used by name", "pybridge zoo")


def _doctor(options: argparse.Namespace) -> int:
    from pybridge.runtime import doctor

    report = doctor(report=say)
    answer(options, report.to_dict(), str(report))
    return SUCCESS if report.ok else FAILED


def _setup(options: argparse.Namespace) -> int:
    from pybridge.runtime import ensure

    runtime = ensure(report=say, force=options.force)
    facts = {
        "node": str(runtime.node),
        "node_version": runtime.node_version,
        "tensorflow_version": runtime.tensorflow_version,
        "node_modules": str(runtime.node_modules),
        "addon": str(runtime.addon),
    }
    answer(options, facts, "\n".join(f"{name:18} {value}" for name, value in facts.items()))
    return SUCCESS


def _demo(options: argparse.Namespace) -> int:
    set_up()
    from pybridge.cli.demo import run_demo

    result = run_demo(options.out, say if options.json else print, [epoch_lines()])
    advice = (
        f"\nNext:\n  pybridge predict {result['run']} {result['test_photos']}/*/*.png\n"
        f"  pybridge verify {result['run']} {result['test_photos']}\n"
        f"  pybridge train YOUR_PHOTOS --out YOUR_RUN\n"
        f"The report, with pictures: {result['run']}/report.html"
    )
    answer(options, result, advice)
    return SUCCESS


def _zoo(options: argparse.Namespace) -> int:
    from pybridge import zoo

    entries = zoo.list()
    answer(options, [entry.to_dict() for entry in entries], zoo.table(entries))
    return SUCCESS
