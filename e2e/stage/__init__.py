"""The ground of the e2e tests and the demo: Overspill by Helm, Prometheus, models, an app.

It talks to the cluster by kubectl and helm only, as a user would, and does not know which cluster
it is.
"""
