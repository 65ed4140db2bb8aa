"""A small real Git server over https: for the demo's documents inside a cluster, and for tests."""
