"""What a policy would have cost over recorded demand, next to other autoscalers.

The decisions are the operator's own functions, driven over a trace.
"""
