"""First-party data at The Trade Desk: members of a segment with a time to live; README.md says how.

`definition` what may be set · `advertiser_data` what is sent, and what the answer means.
"""
