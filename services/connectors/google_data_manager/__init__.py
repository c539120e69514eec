"""Members of an audience at Google by its Data Manager API: ingested and removed, and asked about; README.md says how.

`definition` what may be set · `audience_members` what is sent, and what the answer means · `request_status` what became
of it.
"""
