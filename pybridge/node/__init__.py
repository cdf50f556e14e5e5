"""Node.js for people: a process, the models in it, and functions of one's own JavaScript."""

from pybridge.node.model import Model
from pybridge.node.node import Node

__all__ = ["Model", "Node"]
