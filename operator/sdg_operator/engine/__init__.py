"""The engine contract, the instructlab engine that keeps it, and the mix."""
