"""The running operator: watch events mark keys, workers take keys and look, decide, act and report."""
