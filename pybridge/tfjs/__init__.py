"""A TF.js model as data: its topology, its weights, and the classes of our own in it."""
