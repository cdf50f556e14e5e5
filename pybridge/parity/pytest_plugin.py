"""A pytest plugin: a project's own tests assert that its models compute the same everywhere.

It comes with the package and needs no set-up. Nothing heavy is imported before a test asks for it.

Example:
    With the fixture, and where several calls share options, with the marker::

        def test_model_is_portable(parity):
            parity("exported/model.json", runtimes=["tfjs-wasm"])

        @pytest.mark.parity(against="exported/")
        def test_export(parity):
            parity(build_model())
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pybridge.node import Node
    from pybridge.parity import ParityReport

_MARKER = "parity(**options): options for every call of the fixture `parity` in the test, as `pybridge.verify` takes them"


class Parity:
    """Calls `pybridge.verify` and fails the test where runtimes disagree.

    Args:
        node: Gives the Node.js process that all tests share.
        options: Of the test's marker.
    """

    def __init__(self, node: _SharedNode, options: dict[str, Any]) -> None:
        self._node = node
        self._options = options

    def __call__(self, model_or_run: Any, inputs: Any = None, **options: Any) -> ParityReport:
        """Asserts parity.

        Args:
            model_or_run: See `pybridge.verify`.
            inputs: See `pybridge.verify`.
            options: See `pybridge.verify`; they go before those of the marker.

        Returns:
            The report of a model that passed.
        """
        __tracebackhide__ = True
        from pybridge.parity import verify

        report = verify(model_or_run, inputs, **{"node": self._node.get(), **self._options, **options})
        if not report.passed:
            pytest.fail(f"Runtimes disagree:\n{report}", pytrace=False)
        return report


class _SharedNode:
    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._node: Node | None = None

    def get(self) -> Node:
        if self._node is None:
            from pybridge.node import Node

            self._node = self._stack.enter_context(Node())
        return self._node


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture(scope="session")
def _parity_node() -> Iterator[_SharedNode]:
    with ExitStack() as stack:
        yield _SharedNode(stack)


@pytest.fixture
def parity(request: pytest.FixtureRequest, _parity_node: _SharedNode) -> Parity:
    """A function that asserts that a model computes the same in Python, Node.js and TensorFlow.js.

    It takes what `pybridge.verify` takes, fails the test with the table of differences, and returns the report.
    """
    marker = request.node.get_closest_marker("parity")
    return Parity(_parity_node, dict(marker.kwargs) if marker is not None else {})
