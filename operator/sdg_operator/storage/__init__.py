"""The bucket as a run's ledger: where each object lies and what each record says."""
