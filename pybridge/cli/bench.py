"""The verb that compares speeds."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from pybridge.cli.common import FAILED, SUCCESS, Verbs, answer, say


def add(verbs: Verbs) -> None:
    """Declares the verb of this file."""
    bench = verbs.add(
        "bench",
        _bench,
        "measure pybridge beside Keras, stock tfjs-node and a plain bridge, in one run on this machine",
        "pybridge bench --quick\n"
        "pybridge bench --work full head --peers keras-onednn tfjs --repeat 5 --out figures\n"
        "pybridge bench --markdown README.md --from figures/bench.json",
    )
    bench.add_argument("--work", nargs="+", metavar="NAME", help="only these works (see --list)")
    bench.add_argument("--peers", nargs="+", metavar="NAME", help="only these beside pybridge (see --list)")
    bench.add_argument("--list", action="store_true", help="say what can be measured, and who takes part")
    bench.add_argument("--repeat", type=int, metavar="N", help="repetitions, whose medians count (default 3)")
    size = bench.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small sizes: a look in one or two minutes")
    size.add_argument("--thorough", action="store_true", help="the sizes of the targets: more than an hour")
    bench.add_argument("--base", default="efficientnet_lite0", help="the base model (default efficientnet_lite0)")
    bench.add_argument(
        "--images", type=Path, metavar="FOLDER", help="one folder of JPEG files for each class, instead of our own"
    )
    bench.add_argument("--limit", type=float, default=600, metavar="SECONDS", help="for one repetition (default 600)")
    bench.add_argument("--out", type=Path, metavar="DIR", help="folder for bench.json, bench.md, bench.svg and bench.html")
    bench.add_argument("--from", dest="source", type=Path, metavar="FILE", help="show an earlier bench.json; measure nothing")
    bench.add_argument("--markdown", type=Path, metavar="PAGE", help="write the figures between the markers of a Markdown page")


def _bench(options: argparse.Namespace) -> int:
    from pybridge.benchmark.results import read_results, with_section, write_results
    from pybridge.benchmark.table import section
    from pybridge.storage.files import replace_file

    if options.list:
        return _list(options)
    page = None if options.markdown is None else options.markdown.read_text("utf-8")
    document = _measure(options) if options.source is None else read_results(options.source)
    written = [] if options.out is None else write_results(document, options.out)
    if page is not None:
        replace_file(options.markdown, with_section(page, document))
    for file in written:
        say(f"written  {file}")
    answer(options, document, section(document).rstrip())
    failed = any(work["peers"].get("pybridge", {}).get("failure") for work in document["works"].values())
    return FAILED if failed else SUCCESS


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from pybridge.benchmark import bench
    from pybridge.benchmark.sizes import QUICK, STANDARD, THOROUGH

    return bench(
        options.work,
        options.peers,
        sizes=QUICK if options.quick else THOROUGH if options.thorough else STANDARD,
        repeat=options.repeat,
        base=options.base,
        images=options.images,
        seconds=options.limit,
        say=logging.getLogger("pybridge.benchmark").info,
    )


def _list(options: argparse.Namespace) -> int:
    from pybridge.benchmark import PEERS, WORKS

    facts = {
        "works": {work.name: {"title": work.title, "peers": list(work.peers)} for work in WORKS},
        "peers": {peer.name: {"title": peer.title, "by_default": peer.by_default} for peer in PEERS},
    }
    lines = ["works (--work):", *(f"  {work.name:14} {work.title}" for work in WORKS), "", "peers (--peers):"]
    lines += [f"  {peer.name:14} {peer.title}{'' if peer.by_default else ' (only when asked for)'}" for peer in PEERS]
    answer(options, facts, "\n".join(lines))
    return SUCCESS
