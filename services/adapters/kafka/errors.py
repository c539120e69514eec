"""The one table from aiokafka's errors to our failure tree.

Every error class of `aiokafka.errors` stands in it by itself (a test holds that), so an upgrade that brings a new one
makes somebody decide. Used by everything in this package through `translated`.
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal

from aiokafka import errors as kafka

from contracts import codes
from services.runtime.failures import Fatal, Fenced, OffsetLost, Rejected, Unavailable

Home = Literal["fenced", "fatal", "offset-lost", "rejected", "unavailable"]

_FENCED: Final = (
    kafka.ProducerFenced,
    kafka.InvalidProducerEpoch,
    # The id was forgotten by the broker (unused for a week) and may have a new owner: only a rejoin can tell.
    kafka.InvalidProducerIdMapping,
)
_OFFSET_LOST: Final = (kafka.OffsetOutOfRangeError,)
_REJECTED: Final = (kafka.MessageSizeTooLargeError, kafka.RecordListTooLargeError)

# What waiting does not cure: permissions, credentials, settings, versions, and what would be a mistake of ours.
_FATAL: Final = (
    kafka.AuthenticationFailedError,
    kafka.AuthenticationMethodNotSupported,
    kafka.ClusterAuthorizationFailedError,
    kafka.DelegationTokenAuthDisabled,
    kafka.DelegationTokenAuthorizationFailed,
    kafka.DelegationTokenExpired,
    kafka.DelegationTokenNotFound,
    kafka.DelegationTokenOwnerMismatch,
    kafka.DelegationTokenRequestNotAllowed,
    kafka.GroupAuthorizationFailedError,
    kafka.GroupIdNotFound,
    kafka.IllegalArgumentError,
    kafka.IllegalSaslStateError,
    kafka.IncompatibleBrokerVersion,
    kafka.InconsistentGroupProtocolError,
    kafka.InvalidCommitOffsetSizeError,
    kafka.InvalidConfigurationError,
    kafka.InvalidFetchRequestError,
    kafka.InvalidGroupIdError,
    kafka.InvalidPartitionsError,
    kafka.InvalidPrincipalType,
    kafka.InvalidReplicationAssignmentError,
    kafka.InvalidReplicationFactorError,
    kafka.InvalidRequestError,
    kafka.InvalidRequiredAcksError,
    kafka.InvalidSessionTimeoutError,
    kafka.InvalidTimestampError,
    kafka.InvalidTopicError,
    kafka.InvalidTransactionTimeout,
    kafka.KafkaConfigurationError,
    kafka.NoOffsetForPartitionError,
    kafka.NonEmptyGroup,
    kafka.OffsetMetadataTooLargeError,
    kafka.PolicyViolationError,
    kafka.RecordTooLargeError,
    kafka.SaslAuthenticationFailed,
    kafka.SecurityDisabled,
    kafka.TopicAuthorizationFailedError,
    kafka.TransactionalIdAuthorizationFailed,
    kafka.UnrecognizedBrokerVersion,
    kafka.UnsupportedCodecError,
    kafka.UnsupportedForMessageFormatError,
    kafka.UnsupportedSaslMechanismError,
    kafka.UnsupportedVersionError,
)

# Passing states of brokers and coordinators, and every answer after which nobody knows what has happened.
_UNAVAILABLE: Final = (
    kafka.BrokerNotAvailableError,
    kafka.BrokerResponseError,
    kafka.Cancelled,
    kafka.CommitFailedError,
    kafka.ConcurrentTransactions,
    kafka.ConsumerStoppedError,
    kafka.CorrelationIdError,
    kafka.CorruptRecordException,
    kafka.DuplicateSequenceNumber,
    kafka.FetchSessionIdNotFound,
    kafka.GroupCoordinatorNotAvailableError,
    kafka.GroupLoadInProgressError,
    kafka.IllegalGenerationError,
    kafka.IllegalOperation,
    kafka.IllegalStateError,
    kafka.InvalidFetchSessionEpoch,
    kafka.InvalidTxnState,
    kafka.KafkaConnectionError,
    kafka.KafkaError,
    kafka.KafkaProtocolError,
    kafka.KafkaStorageError,
    kafka.KafkaTimeoutError,
    kafka.KafkaUnavailableError,
    kafka.LeaderNotAvailableError,
    kafka.ListenerNotFound,
    kafka.LogDirNotFound,
    kafka.MemberIdRequired,
    kafka.MetadataEmptyBrokerList,
    kafka.NoBrokersAvailable,
    kafka.NoError,
    kafka.NodeNotReadyError,
    kafka.NotControllerError,
    kafka.NotCoordinatorForGroupError,
    kafka.NotEnoughReplicasAfterAppendError,
    kafka.NotEnoughReplicasError,
    kafka.NotLeaderForPartitionError,
    kafka.OperationNotAttempted,
    kafka.OutOfOrderSequenceNumber,
    kafka.ProducerClosed,
    kafka.QuotaViolationError,
    kafka.ReassignmentInProgress,
    kafka.RebalanceInProgressError,
    kafka.ReplicaNotAvailableError,
    kafka.RequestTimedOutError,
    kafka.StaleControllerEpochError,
    kafka.StaleLeaderEpochCodeError,
    kafka.StaleMetadata,
    kafka.TooManyInFlightRequests,
    kafka.TopicAlreadyExistsError,
    kafka.TransactionCoordinatorFenced,
    kafka.UnknownError,
    kafka.UnknownMemberIdError,
    kafka.UnknownProducerId,
    kafka.UnknownTopicOrPartitionError,
)

HOMES: Final[Mapping[type[Exception], Home]] = (
    dict.fromkeys(_FENCED, "fenced")
    | dict.fromkeys(_OFFSET_LOST, "offset-lost")
    | dict.fromkeys(_REJECTED, "rejected")
    | dict.fromkeys(_FATAL, "fatal")
    | dict.fromkeys(_UNAVAILABLE, "unavailable")
)

_LOGIN: Final = (
    kafka.AuthenticationFailedError,
    kafka.AuthenticationMethodNotSupported,
    kafka.IllegalSaslStateError,
    kafka.SaslAuthenticationFailed,
    kafka.UnsupportedSaslMechanismError,
)
_RIGHTS: Final = (
    kafka.ClusterAuthorizationFailedError,
    kafka.GroupAuthorizationFailedError,
    kafka.TopicAuthorizationFailedError,
    kafka.TransactionalIdAuthorizationFailed,
)
_ADVICE: Final = "the operator must check settings and versions of Kafka"
_ADVICE_LOGIN: Final = (
    "the operator must put the name, password and mechanism that the brokers know into USHER_KAFKA_SASL_USERNAME, "
    "USHER_KAFKA_SASL_PASSWORD and USHER_KAFKA_SASL_MECHANISM, and restart"
)
_ADVICE_RIGHTS: Final = (
    "the operator must give the principal of USHER_KAFKA_* that right (services/README.md, Access to Kafka)"
)
_ADVICE_TLS: Final = (
    "the operator must name the authority of the brokers' certificates in USHER_KAFKA_SSL_CA_FILE, renew them, or put "
    "the names that they were made for into USHER_KAFKA_BOOTSTRAP_SERVERS"
)


@contextmanager
def translated(doing: str, about: object = None) -> Iterator[None]:
    """Raises what aiokafka and the network raise as a failure of ours.

    `doing` says what was tried, `about` on what: it is put into words only when there is a failure.
    """
    try:
        yield
    except (
        kafka.KafkaError,
        kafka.ConsumerStoppedError,
        kafka.IllegalOperation,
        OSError,
    ) as error:
        raise failure(error, _words(doing, about)) from error
    except UnicodeDecodeError as error:
        # aiokafka can't get past such a record, nor at its neighbours in the same batch.
        raise Fatal(
            f"{_words(doing, about)}: a record has a header name that is not UTF-8; move the offset past it"
        ) from error


def failure(error: BaseException, doing: str) -> Rejected | Unavailable | Fenced | Fatal:
    """Our failure for an error of aiokafka's."""
    known = _told(error)
    words = f"{doing}: {known!r}"
    if isinstance(known, ssl.SSLCertVerificationError):
        return Fatal(f"{words}; {_ADVICE_TLS}")
    home = HOMES.get(type(known), "unavailable") if isinstance(known, Exception) else "unavailable"
    match home:
        case "fenced":
            return Fenced(words)
        case "offset-lost":
            return OffsetLost(f"{words}; the log no longer reaches back to the position: restore from elsewhere")
        case "rejected":
            return Rejected(codes.MESSAGE_TOO_LARGE, words)
        case "fatal":
            return Fatal(f"{words}; {_advice(known)}")
        case "unavailable":
            return Unavailable(words)


def _advice(error: BaseException) -> str:
    if isinstance(error, _LOGIN):
        return _ADVICE_LOGIN
    return _ADVICE_RIGHTS if isinstance(error, _RIGHTS) else _ADVICE


def _words(doing: str, about: object) -> str:
    return doing if about is None else f"{doing} {about}"


def _told(error: BaseException) -> BaseException:
    """What was really meant: aiokafka's background tasks wrap an error in a bare `KafkaError`."""
    while type(error) is kafka.KafkaError and error.__cause__ is not None:
        error = error.__cause__
    return error
