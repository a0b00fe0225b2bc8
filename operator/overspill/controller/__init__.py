"""The operator: the shell that carries the pure core's decisions into a cluster."""
