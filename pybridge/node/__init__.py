"""Node.js for people: a process, the models in it, and functions of one's own JavaScript."""

from pybridge.node.node import Model, Node

__all__ = ["Model", "Node"]
