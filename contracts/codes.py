"""Every code that a reply, import, dead letter or activation can carry, declared once.

A code says what was wrong, who must act, and whether trying again can help. Services use these constants and nothing
else; `tests/contract/test_codes.py` fails for an undeclared code and for one that no test exercises.
"""

from typing import Final

import msgspec

SENDER: Final = "sender"  # whoever sent the data or the command
DESTINATION_OWNER: Final = "destination-owner"
OPERATOR: Final = "operator"
NOBODY: Final = "nobody"  # usher retries by itself


class Code(msgspec.Struct, frozen=True):
    """One declared code: `type` groups codes as problem documents do, `actor` is who must act."""

    code: str
    type: str
    title: str
    actor: str
    retryable: bool = False


ALL: Final[dict[str, Code]] = {}


def _declare(code: str, kind: str, title: str, actor: str, *, retryable: bool = False) -> Code:
    assert code not in ALL, code
    ALL[code] = Code(code=code, type=kind, title=title, actor=actor, retryable=retryable)
    return ALL[code]


# Commands as a whole: the reply is `rejected` and the original is kept in dead letters.
AUTHORIZATION_DENIED = _declare("authorization-denied", "authorization", "The sender may not do this", SENDER)
AUTHORIZATION_INVALID = _declare(
    "authorization-invalid", "authorization", "The sender is not who it says, or is not known", SENDER
)
AUTHORIZATION_REQUIRED = _declare("authorization-required", "authorization", "Nobody known sends this", SENDER)
COMMAND_ID_MISSING = _declare("command-id-missing", "malformed", "The command has no id or no source", SENDER)
COMMAND_INVALID = _declare("command-invalid", "malformed", "The command's data has the wrong form", SENDER)
COMMAND_NOT_JSON = _declare("command-not-json", "malformed", "The command is not JSON", SENDER)
COMMAND_TOO_LARGE = _declare("command-too-large", "limit", "The command has too many items or identifiers", SENDER)
COMMAND_TYPE_UNKNOWN = _declare("command-type-unknown", "malformed", "No such command type", SENDER)
DUPLICATE_JSON_KEY = _declare("duplicate-json-key", "malformed", "A JSON object names a key twice", SENDER)
IDEMPOTENCY_KEY_REUSED = _declare("idempotency-key-reused", "conflict", "Same source and id, other content", SENDER)
NOT_A_CLOUDEVENT = _declare("not-a-cloudevent", "malformed", "The record is not a CloudEvents 1.0 event", SENDER)
QUOTA_EXCEEDED = _declare("quota-exceeded", "limit", "The space has no more of it for now", SENDER, retryable=True)
SPACE_MISMATCH = _declare("space-mismatch", "malformed", "The record key and spaceid name different spaces", SENDER)
SPACE_UNKNOWN = _declare("space-unknown", "not-found", "No such space", SENDER)

# Items of a command: the item has failed, its neighbours have not.
ACTIVATION_NOT_RUNNING = _declare("activation-not-running", "conflict", "Only a running one can do this", SENDER)
AUDIENCE_DELIVERED = _declare(
    "audience-delivered", "validation", "Its members were delivered: the space keeps it", SENDER
)
AUDIENCE_NOT_LIST = _declare("audience-not-list", "validation", "Only list audiences take members", SENDER)
AUDIENCE_NOT_SCHEDULED = _declare("audience-not-scheduled", "validation", "Its changes wait for no run", SENDER)
CLOCK_BACKWARDS = _declare("clock-backwards", "validation", "The clock only moves forward", SENDER)
CLOCK_TOO_FAR = _declare("clock-too-far", "limit", "More is due by then than one command may do", SENDER)
CLOCK_NOT_MANUAL = _declare("clock-not-manual", "conflict", "The space keeps system time", SENDER)
CONNECTION_EXISTS = _declare(
    "connection-exists", "conflict", "The audience has a connection to this destination", SENDER
)
CONNECTOR_UNKNOWN = _declare("connector-unknown", "validation", "No such connector", SENDER)
ENTITY_TOO_LARGE = _declare("entity-too-large", "limit", "Larger than the catalogue takes", SENDER)
EXPRESSION_CYCLE = _declare("expression-cycle", "validation", "The audience would be part of itself", SENDER)
EXPRESSION_EMPTY = _declare("expression-empty", "validation", "An and/or without parts", SENDER)
EXPRESSION_INVALID = _declare("expression-invalid", "validation", "Not an expression node", SENDER)
EXPRESSION_MIXED_ID_TYPES = _declare(
    "expression-mixed-id-types", "validation", "All parts must have one id type and member type", SENDER
)
EXPRESSION_MIXED_OWNERS = _declare(
    "expression-mixed-owners", "validation", "All parts must have the owner of the composition", SENDER
)
EXPRESSION_TOO_DEEP = _declare("expression-too-deep", "limit", "Deeper than 16 levels", SENDER)
EXPRESSION_TOO_MANY_LEAVES = _declare("expression-too-many-leaves", "limit", "More than 200 leaves", SENDER)
EXTERNAL_ID_TAKEN = _declare(
    "external-id-taken", "validation", "Another one has this external id under the same name", SENDER
)
FIELD_IMMUTABLE = _declare("field-immutable", "validation", "The field can't be changed", SENDER)
FIELD_INVALID = _declare("field-invalid", "validation", "The field has a wrong value or type", SENDER)
FIELD_READ_ONLY = _declare("field-read-only", "validation", "A field that only usher sets was ignored", SENDER)
FIELD_REQUIRED = _declare("field-required", "validation", "A required field is missing", SENDER)
FEED_SOURCE_TAKEN = _declare("feed-source-taken", "conflict", "Another feed of the space reads this source", SENDER)
ID_TAKEN = _declare("id-taken", "conflict", "The id is or was in use in this space", SENDER)
IDENTIFIER_INVALID = _declare("identifier-invalid", "validation", "Not an identifier of this id type", SENDER)
ID_TYPE_MISMATCH = _declare("id-type-mismatch", "validation", "Not the id type of the audience", SENDER)
ID_TYPE_UNKNOWN = _declare("id-type-unknown", "validation", "No such id type in this space", SENDER)
ID_SYNC_UNAVAILABLE = _declare(
    "id-sync-unavailable", "validation", "A member has one identifier, of its audience's id type", SENDER
)
IMPORT_NOT_HELD = _declare("import-not-held", "conflict", "No held import of this id", SENDER)
IN_USE = _declare("in-use", "validation", "Something still uses it", SENDER)
LIFECYCLE_REFUSED = _declare(
    "lifecycle-refused", "validation", "The audience's lifecycle state does not allow it", SENDER
)
LOOKBACK_REQUIRED = _declare("lookback-required", "validation", "An append feed needs lookback_days", SENDER)
MAPPING_INVALID = _declare("mapping-invalid", "validation", "The mapping can't be applied", SENDER)
MAPPING_UNAVAILABLE = _declare("mapping-unavailable", "validation", "The destination has no fields to map", SENDER)
NAME_MUST_BE_UNIQUE = _declare("name-must-be-unique", "validation", "The name is in use in this space", SENDER)
NOT_FOUND = _declare("not-found", "not-found", "The reference names nothing in this space", SENDER)
NOT_SUPPORTED_YET = _declare("not-supported-yet", "validation", "Announced, but not built yet", SENDER)
PERSONALIZATION_UNAVAILABLE = _declare(
    "personalization-unavailable", "validation", "Members have no traits and no entities beside them", SENDER
)
RAW_IDENTIFIERS_REFUSED = _declare("raw-identifiers-refused", "authorization", "The space takes hashes only", SENDER)
REFERENCES_DIFFER = _declare("references-differ", "validation", "The item's references name different things", SENDER)
SECRET_REFUSED = _declare(
    "secret-refused",
    "authorization",
    "A secret that the operator has not put aside for the space",
    DESTINATION_OWNER,
    retryable=True,
)
SPACE_EXISTS = _declare("space-exists", "conflict", "The space exists", SENDER)
UNKNOWN_FIELD = _declare("unknown-field", "validation", "A field that usher does not know", SENDER)
VERSION_CONFLICT = _declare("version-conflict", "conflict", "expected_version is not the present one", SENDER)

# Notifications.
NOTIFICATION_NOT_JSON = _declare("notification-not-json", "malformed", "The notification is not JSON", OPERATOR)
NOTIFICATION_RECORD_INVALID = _declare(
    "notification-record-invalid", "malformed", "A record of the notification is unreadable", OPERATOR
)
NOTIFICATION_UNKNOWN_DIALECT = _declare(
    "notification-unknown-dialect", "malformed", "No known notification dialect", OPERATOR
)
NO_FEED_FOR_OBJECT = _declare("no-feed-for-object", "not-found", "No feed reads this object's prefix", SENDER)

# The log: one record can't be written.
MESSAGE_TOO_LARGE = _declare("message-too-large", "limit", "Larger than its topic takes", OPERATOR)
RECORD_UNREADABLE = _declare("record-unreadable", "malformed", "A record between services is unreadable", OPERATOR)

# Imports: the whole object.
DAY_INVALID = _declare("day-invalid", "validation", "The folder names a date that does not exist", SENDER)
IDENTITIES_TOO_MANY = _declare(
    "identities-too-many", "limit", "The space may know no more identities of this id type", OPERATOR
)
IMPORT_EXPIRED = _declare("import-expired", "validation", "What it adds would already have expired", SENDER)
IMPORT_HOLD_LAPSED = _declare("import-hold-lapsed", "conflict", "Held, and nobody decided in time", SENDER)
IMPORT_MARKER_TIMEOUT = _declare(
    "import-marker-timeout", "validation", "The folder's marker, or all else, did not come", SENDER
)
IMPORT_REJECTED = _declare("import-rejected", "conflict", "Held, and then rejected by a command", NOBODY)
IMPORT_SUPERSEDED = _declare("import-superseded", "conflict", "A newer full refresh stands in its place", NOBODY)
IMPORTS_TOO_MANY = _declare("imports-too-many", "limit", "Too many imports of the space are under way", SENDER)
IMPORT_TOO_MANY_OBJECTS = _declare("import-too-many-objects", "limit", "More objects than one import takes", SENDER)
LAYERS_TOO_MANY = _declare("layers-too-many", "limit", "Too many appends of an audience have not expired", SENDER)
OBJECT_ACCESS_DENIED = _declare("object-access-denied", "authorization", "usher may not read the object", OPERATOR)
OBJECT_DUPLICATE = _declare("object-duplicate", "conflict", "This object version was announced before", NOBODY)
OBJECT_GONE = _declare("object-gone", "not-found", "The object was deleted before it was read", SENDER)
OBJECT_HEADER_INVALID = _declare("object-header-invalid", "validation", "The header lacks a named column", SENDER)
OBJECT_OVERWRITTEN = _declare("object-overwritten", "conflict", "A newer version took the object's place", NOBODY)
OBJECT_TOO_LARGE = _declare("object-too-large", "limit", "Larger than the limit once decompressed", SENDER)
OBJECT_TRUNCATED = _declare("object-truncated", "malformed", "The compressed object ends early or is damaged", SENDER)
OBJECT_UNCOMPRESSED = _declare("object-uncompressed", "limit", "Read, but too large to come uncompressed", SENDER)
OBJECT_UNREADABLE = _declare(
    "object-unreadable", "transient", "The object store did not answer", NOBODY, retryable=True
)
READING_LATE = _declare("reading-late", "transient", "The reading passed its deadline", NOBODY, retryable=True)

# Rows of an object, and events of a topic feed: the row is rejected, the object or topic continues.
EVENT_INVALID = _declare("event-invalid", "malformed", "The event is not an object of id, audience and op", SENDER)
ROW_AUDIENCE_UNKNOWN = _declare("row-audience-unknown", "not-found", "No such list audience", SENDER)
ROW_COLUMNS = _declare("row-columns", "malformed", "The row has a wrong number of columns", SENDER)
ROW_CONSENT_MISSING = _declare(
    "row-consent-missing", "validation", "The row does not say that its identity consents", SENDER
)
ROW_ENCODING = _declare("row-encoding", "malformed", "The row is not UTF-8 or holds control characters", SENDER)
ROW_IDENTIFIER_EMPTY = _declare("row-identifier-empty", "validation", "The identifier is empty", SENDER)
ROW_IDENTIFIER_INVALID = _declare(
    "row-identifier-invalid", "validation", "Not an identifier of the feed's id type", SENDER
)
ROW_QUOTES = _declare("row-quotes", "malformed", "A quote is not closed, or text follows a closing one", SENDER)
ROW_TOO_LONG = _declare("row-too-long", "limit", "The row is longer than the limit", SENDER)

# Delivery.
DESTINATION_NOT_VERIFIED = _declare(
    "destination-not-verified", "transient", "Nobody answered in time", OPERATOR, retryable=True
)
DELIVERY_AUTHENTICATION = _declare(
    "delivery-authentication", "authorization", "The destination refuses our credentials", DESTINATION_OWNER
)
DELIVERY_DESTINATION_GONE = _declare(
    "delivery-destination-gone",
    "not-found",
    "The destination answered 410 and is disabled",
    DESTINATION_OWNER,
)
DELIVERY_ADDRESS_REFUSED = _declare(
    "delivery-address-refused",
    "authorization",
    "The address is private, loopback or link-local",
    DESTINATION_OWNER,
)
DELIVERY_CONNECTION_UNKNOWN = _declare(
    "delivery-connection-unknown", "not-found", "The connection was deleted before delivery", DESTINATION_OWNER
)
DELIVERY_DESTINATION_DISABLED = _declare(
    "delivery-destination-disabled", "conflict", "The destination is disabled", DESTINATION_OWNER, retryable=True
)
DELIVERY_DESTINATION_UNKNOWN = _declare(
    "delivery-destination-unknown", "not-found", "The destination was deleted before delivery", DESTINATION_OWNER
)
DELIVERY_FAILED_LATER = _declare(
    "delivery-failed-later",
    "validation",
    "The destination took members and says now that they failed",
    DESTINATION_OWNER,
)
DELIVERY_ID_TYPE_REFUSED = _declare(
    "delivery-id-type-refused", "validation", "The destination takes no identities of this id type", SENDER
)
DELIVERY_LIST_REFUSED = _declare(
    "delivery-list-refused",
    "validation",
    "The connection's list can't be found or made there",
    DESTINATION_OWNER,
    retryable=True,
)
DELIVERY_PERMANENT = _declare(
    "delivery-permanent", "validation", "The destination refuses this delivery for good", DESTINATION_OWNER
)
DELIVERY_REDIRECTED = _declare(
    "delivery-redirected", "validation", "The destination answered a redirect", DESTINATION_OWNER
)
DELIVERY_REPLACEMENT_BROKEN = _declare(
    "delivery-replacement-broken",
    "transient",
    "The replacement of a whole list broke off",
    DESTINATION_OWNER,
    retryable=True,
)
DELIVERY_SECRET_UNAVAILABLE = _declare(
    "delivery-secret-unavailable",
    "authorization",
    "A secret that the destination refers to can't be read",
    OPERATOR,
    retryable=True,
)
DELIVERY_SETTINGS_INVALID = _declare(
    "delivery-settings-invalid",
    "validation",
    "The destination's settings don't fit its connector",
    DESTINATION_OWNER,
    retryable=True,
)
DELIVERY_UNAVAILABLE = _declare(
    "delivery-unavailable",
    "transient",
    "The destination did not answer well",
    DESTINATION_OWNER,
    retryable=True,
)
DELIVERY_UNREADABLE = _declare(
    "delivery-unreadable", "malformed", "A record on its way to a destination can't be read", OPERATOR
)
