"""Tests of `overspill.explain`."""
