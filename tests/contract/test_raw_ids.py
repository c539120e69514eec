"""Hashes of e-mail addresses and phone numbers: the vectors of reference/destinations.md §4.1."""

import pytest

from contracts.raw_ids import email, hashed, phone

VECTORS = [
    ("email_md5", "john.doe@gmail.com", "e13743a7f1db7f4246badd6fd6ff54ff"),
    ("email_sha256", "john.doe@gmail.com", "375320dd9ae7ed408002f3768e16cb5f28c861062fd50dff9a3bff62e9dce4ef"),
    ("email_sha256", "johndoe@gmail.com", "06a240d11cc201676da976f7b49341181fd180da37cbe40a77432c0a366c80c3"),
    ("email_md5", "user@example.com", "b58996c504c5638798eb6b511e6f49af"),
    ("email_sha256", "user@example.com", "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514"),
    ("email_sha256", "alexz@example.com", "509e933019bb285a134a9334b8bb679dff79d0ce023d529af4bd744d47b4fd8a"),
    ("email_sha256", "test@contoso.com", "f25ad364d33972379a7a4f4df33db142205f5c40eb19cfdb2fc5aaf117e10101"),
    ("email_sha256", "john.sam@mail.com", "a7df77a9db89b44110c704b680a24978579a3069b419db95cbda84541094adba"),
    ("email_sha256", "\tJohn.Sam@MAIL.com \n", "a7df77a9db89b44110c704b680a24978579a3069b419db95cbda84541094adba"),
    ("email_sha1", "user@example.com", "63a710569261a24b3766275b7000ce8d7b32e2f7"),
    ("phone_sha256", "+18005550100", "92cfdc5fbcd4a20fbe5d3857af6c1aba31762105bba7f21a17155e920653046c"),
    ("phone_sha256", "1 (800) 555-0100", "92cfdc5fbcd4a20fbe5d3857af6c1aba31762105bba7f21a17155e920653046c"),
    ("phone_sha256", "+31614123456", "5253828bf4b74309f76c1b1b3fc379584d9dc139874764d5d134e6c0fc7235aa"),
    ("phone_sha256", "0031614123456", "5253828bf4b74309f76c1b1b3fc379584d9dc139874764d5d134e6c0fc7235aa"),
    ("phone_sha256", "+31 (0)6 14 12 34 56", "5253828bf4b74309f76c1b1b3fc379584d9dc139874764d5d134e6c0fc7235aa"),
]


@pytest.mark.parametrize(("id_type", "text", "digest"), VECTORS)
def test_vectors(id_type: str, text: str, digest: str) -> None:
    assert hashed(id_type, text) == digest


@pytest.mark.parametrize(
    "text", ["", " ", "nobody", "@example.com", "a@", "a b@example.com", "a@b@example.com", "a@exa mple.com", "a@\x00"]
)
def test_no_address(text: str) -> None:
    assert email(text) is None


@pytest.mark.parametrize("text", ["", "0614123456", "+", "12345", "+1234567890123456", "31x614123456", "٣" * 10])
def test_no_number_with_country_code(text: str) -> None:
    assert phone(text) is None
