"""Who is in which audience: a pure function of the input log of one partition (engine.md).

`partition.MembershipPartition` is the door; behind it a `Space` for each tenant, which owns identity tables, audiences
with their layers, imports in flight and activations. No clock, no I/O, no randomness: time comes from steps.
"""
