"""The engine contract and the estimate; the engine that keeps it and the mix come next."""
