"""Every metric name, every PromQL query, the dashboard and the alerts, in one place."""
