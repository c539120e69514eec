"""Objects of membership changes in a bucket of the user's; README.md says what they hold.

`definition` what may be set · `rows`, `parquet` what they hold · `requests` which are made · `send` how one is put.
"""
