"""A secret's value on its way from the secret store to what sends it; shows itself only to who asks by name."""


class Secret:
    """Equal where the values are, so that what is opened with it can be kept by it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


class SecretUnavailable(Exception):  # noqa: N818 - named for the state of the secret, as the failure tree does
    """A secret can't be read, or isn't of the form that the connector needs; the text never holds its value."""
