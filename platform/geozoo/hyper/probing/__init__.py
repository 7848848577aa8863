"""Property prediction: features of weights, readouts, and the probes that score them on held-out members."""
