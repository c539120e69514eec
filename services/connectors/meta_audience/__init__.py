"""Members of a custom audience at Meta, added and removed by the Marketing API; README.md says how.

`definition` what may be set · `users` what is sent, and what the answer means.
"""
