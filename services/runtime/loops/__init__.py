"""The insides of the two loops: what stands in `fold` and `deliver` is for services, what stands here is for them."""
