"""All connectors by slug. A folder of `services/connectors` that is not here fails a test."""

from types import MappingProxyType
from typing import Final

from services.connectors.base import Connector
from services.connectors.files.definition import Files
from services.connectors.google_data_manager.definition import GoogleAudiences
from services.connectors.kafka.definition import Kafka
from services.connectors.meta_audience.definition import MetaAudience
from services.connectors.postgres.definition import Postgres
from services.connectors.retail_media.definition import RetailMedia
from services.connectors.trade_desk.definition import TradeDesk
from services.connectors.webhook.definition import Webhook

_ALL: Final[tuple[Connector, ...]] = (
    Files(),
    GoogleAudiences(),
    Kafka(),
    MetaAudience(),
    Postgres(),
    RetailMedia(),
    TradeDesk(),
    Webhook(),
)

CONNECTORS: Final = MappingProxyType({connector.declaration.slug: connector for connector in _ALL})
