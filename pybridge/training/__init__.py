"""Training in Node: options, trainers, the epoch loop, callbacks, checkpoints and run directories."""
