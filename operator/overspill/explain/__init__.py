"""Where one request would go, why, and what the alternatives would cost."""
