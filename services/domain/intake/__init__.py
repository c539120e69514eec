"""Reading objects: what a key says, which audience a row names, and the way from an object's bytes to row batches.

Pure: `services.intake` does the I/O. Wrong input ends in `ObjectRefused` (the object) or in `RefusedRows` (rows).
"""
