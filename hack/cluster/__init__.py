"""A real Kubernetes cluster on this machine, and the API-only one. Standard library only."""
