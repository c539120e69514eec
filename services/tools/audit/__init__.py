"""`usher audit`: checks every promise of contracts.md against the public topics, as any consumer could.

Imports nothing of usher but `contracts`: what it finds is seen from outside.
"""
