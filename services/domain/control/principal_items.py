"""Items about principals: who may send from the next command on."""

from contracts.messages.fields import Item
from contracts.messages.principal_commands import PrincipalCreate, PrincipalReference, PrincipalUpdate
from services.domain.catalogue.item import Origin
from services.domain.catalogue.principals import create_principal, deletable_principal, update_principal
from services.domain.control.answer import ItemAnswer, deleted_data
from services.domain.control.turn import Turn


def principal_changed(turn: Turn, item: Item, origin: Origin) -> ItemAnswer:
    """What it sent before stays."""
    catalogue = turn.state.catalogue
    match item:
        case PrincipalReference():
            principal = deletable_principal(item, catalogue)
            catalogue.principals.remove(principal.principal_id)
            turn.state.bury("principal", principal.principal_id)
            return ItemAnswer(deleted_data(principal))
        case PrincipalCreate():
            principal = create_principal(item, catalogue, origin)
        case _:
            assert isinstance(item, PrincipalUpdate)
            principal = update_principal(item, catalogue, origin)
    catalogue.principals.put(principal)
    return ItemAnswer(entity=principal)
