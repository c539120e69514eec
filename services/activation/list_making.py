"""The list that a connection's deliveries go to: as its settings name it, or found at the platform, or made there.

Called before each request. A connection that asks for a list has one lane (decision 0032), so nobody else looks for it
at the same time; its id is in the catalogue before anything is sent, and whoever dies before that is followed by one
that finds the list by its name.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from contracts import codes
from contracts.instants import instant_text
from contracts.messages.delivery import Delivery, ListMade
from contracts.messages.entities import Audience, Connection
from services.activation.exchanges import (
    Exchange,
    Ready,
    Trouble,
    exchange,
    forget_credentials,
    hindrance,
    keep_to_rate,
)
from services.activation.lane_events import ListTaken
from services.activation.lane_ports import LanePorts
from services.activation.lane_reports import outcome
from services.connectors.base import ListingConnector, ListsFound, Settings, Target
from services.connectors.declaration import connection_mistakes, filled
from services.domain.delivery.answers import NOT_UNDERSTOOD, Fate, Verdict
from services.runtime.failures import Unavailable
from services.runtime.web import WebRequest

LISTED_POLL_SECONDS: Final = 0.1  # control answers within milliseconds, and a list is made once
PAGES_MAX: Final = 200
_PASSING: Final = frozenset({Fate.UNAVAILABLE, Fate.UNAUTHORIZED, Fate.BLOCKED})
_UNKNOWN: Final = Verdict(Fate.REFUSED, codes.DELIVERY_CONNECTION_UNKNOWN, codes.DELIVERY_CONNECTION_UNKNOWN.title)


async def listed(of: Delivery, to: Ready, ports: LanePorts) -> Settings | Trouble:
    """The settings of a delivery's connection, its list among them, for a connector that declares any."""
    declaration = to.connector.declaration
    if not declaration.connection_settings:
        return {}
    making = declaration.list_making
    while True:
        connection = ports.catalogue.get(Connection, of.space_id, of.connection_id)
        if connection is None:
            return Trouble(_UNKNOWN)
        settings = _settings(connection, to)
        if isinstance(settings, Trouble) or making is None or settings[making.id_setting] is not None:
            return settings
        trouble = await _ListTaking(connection, settings, to, ports).done()
        if trouble is not None:
            return trouble


def _settings(connection: Connection, to: Ready) -> Settings | Trouble:
    declaration = to.connector.declaration
    why = hindrance(connection_mistakes(declaration, connection.connection_settings))
    if why is not None:
        return Trouble(why)
    settings = filled(declaration.connection_settings, connection.connection_settings)
    making = declaration.list_making
    if making is not None and settings[making.id_setting] is None:
        settings[making.id_setting] = connection.external_audience_id
    return settings


class _ListTaking:
    """Finds or makes the list that one form of a connection asks for, and has control remember it."""

    def __init__(self, connection: Connection, settings: Settings, to: Ready, ports: LanePorts) -> None:
        assert isinstance(to.connector, ListingConnector), "whoever declares list making can do it"
        self._connector = to.connector
        self._connection = connection
        self._settings = settings
        self._to = to
        self._ports = ports

    async def done(self) -> Trouble | None:
        """Returns when the connection has a list, or is another by now; else the reason why it has none."""
        try:
            await self._ports.catalogue.caught_up()  # whoever had the lane before us may have done it
        except Unavailable as error:
            verdict = Verdict(Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE, "the catalogue can't be read")
            return Trouble(verdict, error.retry_after_seconds)
        if not self._is_present():
            return None
        audience = self._ports.catalogue.get(Audience, self._connection.space_id, self._connection.audience_id)
        if audience is None:
            return Trouble(_UNKNOWN)
        taken = await self._found(audience.id_type)
        how = "found"
        if taken is None:
            taken, how = await self._made(audience.id_type), "made"
        if isinstance(taken, Trouble):
            return taken
        return await self._remembered(taken, how)

    def _is_present(self) -> bool:
        space_id, connection_id = self._connection.space_id, self._connection.connection_id
        return self._ports.catalogue.get(Connection, space_id, connection_id) == self._connection

    async def _found(self, id_type: str) -> str | Trouble | None:
        """The one list of the name; None where there is none."""
        ids: list[str] = []
        page: str | None = None
        for _ in range(PAGES_MAX):
            made = await self._asked(partial(self._connector.list_search, page=page))
            if isinstance(made, Trouble):
                return made
            found = self._connector.lists_found(made.answer, made.target, id_type)
            if not isinstance(found, ListsFound):
                return self._trouble(found, made)
            ids += found.ids
            page = found.next_page
            if page is None:
                break
        if page is not None or len(ids) > 1:
            count = "too many lists to look through" if page is not None else f"{len(ids)} lists of the name"
            detail = f"there are {count}: the connection has to name one by its id"
            return Trouble(Verdict(Fate.BLOCKED, codes.DELIVERY_LIST_REFUSED, detail))
        return ids[0] if ids else None

    async def _made(self, id_type: str) -> str | Trouble:
        made = await self._asked(partial(self._connector.list_creation, id_type=id_type))
        if isinstance(made, Trouble):
            return made
        created = self._connector.list_created(made.answer)
        return created if isinstance(created, str) else self._trouble(created, made)

    async def _asked(self, make: Callable[[Target], WebRequest]) -> Exchange | Trouble:
        await keep_to_rate(self._to, self._ports)
        made = await exchange(self._to, self._settings, self._ports, make)
        return Trouble(_waiting(made.verdict), made.retry_after_seconds) if isinstance(made, Trouble) else made

    def _trouble(self, verdict: Verdict, made: Exchange) -> Trouble:
        if verdict.fate is Fate.UNAUTHORIZED:
            forget_credentials(self._to, made.target, self._ports)
        return Trouble(_waiting(verdict), made.retry_after_seconds(self._ports.clock.now_ms()))

    async def _remembered(self, list_id: str, how: str) -> Trouble | None:
        """Nothing is sent to a list before those who come after us know of it."""
        one, clock = self._connection, self._ports.clock
        making = self._to.connector.declaration.list_making
        assert making is not None
        named = {**one.connection_settings, making.id_setting: list_id}
        if hindrance(connection_mistakes(self._to.connector.declaration, named)) is not None:
            return Trouble(NOT_UNDERSTOOD)
        said = ListMade(
            space_id=one.space_id,
            connection_id=one.connection_id,
            version=one.version,
            external_audience_id=list_id,
            at=instant_text(clock.now_ms()),
        )
        ListTaken(one.space_id, one.connection_id, list_id, how).emit()
        await self._ports.reports.write([outcome(said, self._ports.outcome_partitions)])
        while self._is_present():
            await clock.sleep(LISTED_POLL_SECONDS)
        return None


def _waiting(verdict: Verdict) -> Verdict:
    """What is refused here is no member: all wait until somebody has acted."""
    return verdict if verdict.fate in _PASSING else Verdict(Fate.BLOCKED, codes.DELIVERY_LIST_REFUSED, verdict.detail)
