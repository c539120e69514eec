"""Checkpoints: the whole state of one partition at one offset, as blobs and a manifest (architecture.md §5).

`take.take` makes a copy between two folds, `take.Copy.blobs` its bytes at any later time, `load.Loading` the state
again. Each state class says what it keeps (`saved`, `restored`) in the words of `shape`; its sets and arrays go to
`packing`. Where blobs are stored is the service's business.
"""
