"""Keras 3 models as TF.js layers models.

``conversion`` walks through the graph of a model (``graph``, ``masks``, ``variables``). For each call it asks the exact
``rewrites`` that are declared for the class, and else writes the class that Keras and TF.js have in common (``common_layers``).
What they write with is ``call``: layers of TF.js (``emitter``), classes of our own (``own_layers``, ``own_operations``), weights
rearranged (``expressions``). ``record`` keeps what the Keras model was, for the way back.
"""
