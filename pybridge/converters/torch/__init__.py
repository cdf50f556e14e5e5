"""PyTorch modules as TF.js layers models."""
