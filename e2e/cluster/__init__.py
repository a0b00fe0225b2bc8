"""A real Kubernetes control plane and node, built from pinned Go modules. See README.md."""
