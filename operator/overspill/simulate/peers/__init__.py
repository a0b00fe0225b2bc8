"""Other autoscalers, reproduced: what they would have asked for on the same demand.

Each is a pure core, held against its own project's published test tables, and a small adapter
that the simulator drives.
"""
