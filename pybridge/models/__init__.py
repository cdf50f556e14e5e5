"""Where a model comes from and what it is.

Every source becomes one representation, :class:`~pybridge.models.layers_model.LayersModel`: the topology and the
weights of a TF.js layers model, in memory. The rest of this room reads it (``weights``), takes it apart and puts it
together (``topology``, ``cuts``), finds it (``zoo``, ``download``, ``base_model``), makes it of a Keras model
(``from_keras``) and rebuilds it in Keras (``to_keras``).
"""
