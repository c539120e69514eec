"""The catalogue of a space, decided: what entities may look like, how references resolve, what an item changes.

Pure, like all of `services.domain`. `services.domain.control` drives it item by item.
"""
