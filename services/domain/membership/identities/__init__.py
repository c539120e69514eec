"""Identities as dense numbers: what makes a set of members a bitmap.

`table.IdentityTable` is the door: one for each space and id type. Behind it one `forms.FormTable` for each form of
identifier, over an append-only arena (`arenas`).
"""
