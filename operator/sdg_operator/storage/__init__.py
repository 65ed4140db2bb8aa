"""The bucket as a run's ledger: where each object lies, what each record says, and the containers that move them."""
