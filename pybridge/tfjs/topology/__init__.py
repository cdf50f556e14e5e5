"""The topology of a TF.js layers model: the JSON under ``model_config``, read, checked and written here only.

``parse`` makes a `Topology` of it as TF.js would load it: ``checks`` refuses values on which TF.js would loop for ever, ``uses``
numbers the calls of shared layers. ``flat`` lifts nested models to the top, ``write`` makes JSON again, ``compare`` tells whether
two topologies describe the same layers, ``names`` has the spelling of names.

Example:
    >>> topology = parse_topology(LayersModel.read(Path("mobilenet")).topology)
    >>> [layer.class_name for layer in topology.layers.values()][:2]
    ['InputLayer', 'ZeroPadding2D']
"""

from pybridge.tfjs.topology.flat import FlatLayer, FlatTopology, parse_flat, parse_nested
from pybridge.tfjs.topology.layers import CONTAINERS, LayerNode, Reference, Topology, Use
from pybridge.tfjs.topology.parse import check_topology, keeps_state, parse_topology

__all__ = [
    "CONTAINERS",
    "FlatLayer",
    "FlatTopology",
    "LayerNode",
    "Reference",
    "Topology",
    "Use",
    "check_topology",
    "keeps_state",
    "parse_flat",
    "parse_nested",
    "parse_topology",
]
