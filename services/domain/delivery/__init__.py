"""Getting changes to destinations, decided: routing, merging, cutting into batches, judging answers, counting.

Pure, like all of `services.domain`. `services.activation` drives it; `services.connectors` speak its items.
"""
