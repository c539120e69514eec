"""Membership changes as signed JSON over HTTP, by the Standard Webhooks specification 1.0; README.md says what arrives.

`definition` what may be set · `requests` what is sent · `send` how one attempt is signed and its answer judged.
"""
