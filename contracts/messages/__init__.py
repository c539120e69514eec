"""Message types, one module for each conversation; the JSON Schemas in `contracts/schemas` are made from them.

The reading rule: readers ignore fields they do not know and accept values of open strings they do not know.
"""
