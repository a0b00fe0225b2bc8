"""The proxies that Overspill's sidecar is measured beside."""
