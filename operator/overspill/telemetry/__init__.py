"""Every metric name and every PromQL query, in one place."""
