"""Identifiers of a contact list at Criteo Retail Media, added and removed; README.md says how.

`definition` what may be set · `contact_list` what is sent, and what the answer means.
"""
