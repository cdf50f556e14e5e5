"""Side by side: pybridge, Keras, stock tfjs-node, and a plain bridge, at the same work in one run."""

from pybridge.benchmark.catalogue import PEERS, WORKS
from pybridge.benchmark.suite import bench

__all__ = ["PEERS", "WORKS", "bench"]
