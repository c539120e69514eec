"""One event for each identity that entered or exited, on a topic of any Kafka; README.md says what arrives.

`definition` what may be set, and the write · `hashes` where Kafka puts a key.
"""
