"""Exact rewrites of Keras layers and operations into layers that TF.js has; each module registers its own."""
