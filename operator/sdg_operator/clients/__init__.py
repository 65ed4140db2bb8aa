"""The operator's only I/O: the Kubernetes API and the users' buckets, each behind a small protocol (`protocols`)."""
