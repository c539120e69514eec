"""Objects of membership changes in a bucket of the user's; README.md says what they hold.

`definition` what may be set · `rows` what an object holds · `requests` which objects are made · `send` how one is put.
"""
