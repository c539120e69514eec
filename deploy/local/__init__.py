"""The local stack: a real Apache Kafka, and S3 and SQS by moto, on loopback, without containers.

`stack` brings it up and down, `state` says where it is (and needs nothing but msgspec, so that every `usher`
command can read it). Only a development install has the `local` dependency group that `stack` imports.
"""
