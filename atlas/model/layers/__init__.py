"""Which nodes are layers, and the names that they bear."""
