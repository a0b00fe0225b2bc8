"""The data plane: an HTTP proxy beside the app that routes each request and forwards it."""
