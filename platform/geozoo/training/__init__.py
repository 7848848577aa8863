"""Training one model on one or several workers: loop, distributed pieces, checkpoints, curves; without Ray."""
