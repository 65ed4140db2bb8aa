"""sdg-operator: synthetic training data from an InstructLab taxonomy, on a cluster's own GPUs."""
