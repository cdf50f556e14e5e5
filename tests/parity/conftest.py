"""One bench for all tests of this room: it shares the session's processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pybridge as pb
from pybridge.graphs import TensorFlowProcess
from pybridge.parity import ParityReport
from pybridge.parity.bench import Bench
from pybridge.parity.comparison import compare
from pybridge.parity.edge_cases import edge_cases
from pybridge.parity.inputs import given_cases
from pybridge.parity.runtimes import choose
from pybridge.parity.subjects import as_subject, input_specs
from pybridge.tfjs.layers_model import LayersModel

Compared = Callable[..., ParityReport]


@pytest.fixture(scope="session")
def bench(node: pb.Node, tensorflow: TensorFlowProcess) -> Iterator[Bench]:
    with Bench(node) as shared:
        yield shared


@pytest.fixture
def compared(bench: Bench) -> Compared:
    """`pb.verify` of models, with the session's processes."""

    def run(model: Any, *names: str, against: LayersModel | None = None, inputs: Any = None, **options: Any) -> ParityReport:
        subject = as_subject(model)
        tested = subject if against is None else as_subject(against)
        wanted = choose(names or None, tested, same=against is None)
        with bench.loaded(subject) as (loaded, _):
            specs = input_specs(subject, loaded)
        cases = edge_cases(specs) if inputs is None else given_cases(inputs, specs, subject, bench)
        return compare(bench, subject, tested, wanted, cases, **options)

    return run
