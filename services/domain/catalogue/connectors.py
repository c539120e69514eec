"""What the catalogue has to know of a connector, without knowing one: its judgement on entries, and its description.

Told by `services.control.app`, asked when a destination, a connection or an activation is saved.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from contracts import codes
from contracts.codes import Code
from contracts.messages.entities import Activation, Connection, Destination
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.failed import fail, quoted
from services.domain.catalogue.item import refuse_used

Remark = tuple[Code, str]
_REMARKS_MAX: Final = 10
_DETAIL_CHARS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class ConnectorRules:
    """`on_destination` and `on_connection` find what is wrong with entries; `unknown-field` is no hindrance.

    `on_activation` looks at the mapping alone. `refuses` says why identities of an id type can't be sent to a
    destination, None: they can. `replaces`: a resync over the connection empties the list there first. `members_min`:
    so many an audience must have before a destination is told of any. `refresh_days`: how often members must be sent
    again, None: they stay without. `list_of`: by what the connection's list is found and made over there, None: its
    settings don't ask for that.
    """

    on_destination: Callable[[Destination], Sequence[Remark]]
    on_connection: Callable[[Connection], Sequence[Remark]]
    on_activation: Callable[[Activation], Sequence[Remark]]
    refuses: Callable[[Destination, str], str | None]
    replaces: Callable[[Connection], bool]
    list_of: Callable[[Connection], Hashable | None]
    description: Mapping[str, object]
    members_min: Callable[[Destination], int]
    refresh_days: int | None = None


Connectors = Mapping[str, ConnectorRules]
"""By the connector's slug."""


def check_destination(destination: Destination, connectors: Connectors) -> tuple[Remark, ...]:
    """Remarks on a destination that may be saved; raises `ItemFailed`."""
    return _remarks(_rules(destination, connectors).on_destination(destination))


def check_connection(connection: Connection, catalogue: Catalogue, connectors: Connectors) -> tuple[Remark, ...]:
    """Remarks on a connection that may be saved; raises `ItemFailed`, also where its audience can't be sent there."""
    destination = catalogue.destinations.get(connection.destination_id)
    audience = catalogue.audiences.get(connection.audience_id)
    assert destination is not None, "a connection is made with both ends"
    assert audience is not None, "a connection is made with both ends"
    rules = _rules(destination, connectors)
    why = rules.refuses(destination, audience.id_type)
    if why is not None:
        fail(codes.DELIVERY_ID_TYPE_REFUSED, why)
    return _remarks(rules.on_connection(connection))


def check_activation(activation: Activation, catalogue: Catalogue, connectors: Connectors) -> None:
    """Raises `ItemFailed`(mapping-…) with all that is wrong with the mapping, as far as a reply holds it."""
    destination = catalogue.destinations.get(activation.destination_id)
    assert destination is not None, "a destination with an activation is not deleted"
    found = _rules(destination, connectors).on_activation(activation)
    if found:
        fail(found[0][0], "; ".join(detail for _, detail in found)[:_DETAIL_CHARS_MAX])


def kept_alive(activation: Activation, catalogue: Catalogue, connectors: Connectors) -> Activation:
    """The activation as one that sends all members again before they expire over there, if they do."""
    destination = catalogue.destinations.get(activation.destination_id)
    assert destination is not None, "a destination with an activation is not deleted"
    days = _rules(destination, connectors).refresh_days
    if days is None:
        return activation
    return structs.replace(activation, recurring=True, recurring_days=min(activation.recurring_days, days))


def replaces(connection: Connection, destination: Destination, connectors: Connectors) -> bool:
    """Whether a resync over the connection empties the list there first; not where the connector is not known."""
    rules = connectors.get(destination.connector)
    return rules is not None and rules.replaces(connection)


def list_of(connection: Connection, destination: Destination, connectors: Connectors) -> Hashable | None:
    """By what the connection's list is found and made over there; None where it is not."""
    rules = connectors.get(destination.connector)
    return None if rules is None else rules.list_of(connection)


def relisted(before: Connection, after: Connection, catalogue: Catalogue, connectors: Connectors) -> Connection:
    """The next form of a connection, which forgets its list where the settings are of another.

    Raises `ItemFailed`(in-use) where the way of resyncs, or of having a list, changes under activations: another lane
    would write them.
    """
    destination = catalogue.destinations.get(before.destination_id)
    assert destination is not None, "a destination with a connection is not deleted"
    replaced, replacing = (replaces(one, destination, connectors) for one in (before, after))
    known, wanted = (list_of(one, destination, connectors) for one in (before, after))
    if replaced != replacing or (known is None) != (wanted is None):
        refuse_used("connection", before.connection_id, catalogue)
    return after if known == wanted else structs.replace(after, external_audience_id=None)


def _rules(destination: Destination, connectors: Connectors) -> ConnectorRules:
    rules = connectors.get(destination.connector)
    if rules is None:
        fail(codes.CONNECTOR_UNKNOWN, f"connector {quoted(destination.connector)}")
    return rules


def _remarks(found: Sequence[Remark]) -> tuple[Remark, ...]:
    remarks = tuple((code, detail[:300]) for code, detail in found)
    for code, detail in remarks:
        if code != codes.UNKNOWN_FIELD:
            fail(code, detail)
    return remarks[:_REMARKS_MAX]
