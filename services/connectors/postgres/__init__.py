"""The members of each activation as a table of a Postgres; README.md says how it is kept.

`definition` what may be set, and which rows are written.
"""
