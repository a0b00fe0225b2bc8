"""`make demo`: an hour of real conversation traffic in two and a half minutes, to watch."""
