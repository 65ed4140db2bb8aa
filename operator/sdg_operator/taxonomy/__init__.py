"""Reading, checking and packing a taxonomy. Knows nothing of Kubernetes.

`request` and `report` are what the operator shares with the container that checks; they import nothing heavy.
"""
