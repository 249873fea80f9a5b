"""What a person is told when MongoDB fails. The driver's own words go to the log alone."""

from typing import Literal

from chatops.errors import AppError, LimitExceededError, NotFoundError, StoreUnavailableError

RETRY_AFTER_S = 1.0

Doing = Literal["save", "read"]

DUPLICATE = 11000
_AUTHENTICATION_FAILED = frozenset({18, 8000})
_NOT_ALLOWED = 13
_DISK_FULL = 14031


def unavailable(error: BaseException, doing: Doing) -> StoreUnavailableError:
    """Return what a person is told of a driver's ``error``, or of a time limit of our own.

    Of a write that failed before it was sent the words say that it is surely not saved; of one
    that was sent they say that it may be, for the server may have done it without saying so.
    """
    code = getattr(error, "code", None)
    if code in _AUTHENTICATION_FAILED or code == _NOT_ALLOWED:
        return refused_login()
    if code == _DISK_FULL:
        return StoreUnavailableError(
            "The store could not save this because the disk of MongoDB is full.",
            "Free some space there, then try again.",
            retry_after_s=RETRY_AFTER_S,
        )
    if doing == "read":
        return unreadable()
    return unknown() if was_sent(error) else not_saved()


def was_sent(error: BaseException) -> bool:
    """Whether the server may have seen the operation that failed with ``error``."""
    from pymongo import errors

    return not isinstance(error, errors.ServerSelectionTimeoutError | errors.WaitQueueTimeoutError)


def is_callers(error: BaseException) -> bool:
    """Whether the error says something of one document, or of a transaction that met another."""
    from pymongo.errors import BulkWriteError, DocumentTooLarge, WriteError

    return isinstance(error, WriteError | BulkWriteError | DocumentTooLarge) or is_conflict(error)


def is_conflict(error: BaseException) -> bool:
    """Whether a transaction was undone because it met another, and may be tried again."""
    from pymongo.errors import OperationFailure

    return isinstance(error, OperationFailure) and error.has_error_label(
        "TransientTransactionError"
    )


def is_answer(error: BaseException) -> bool:
    """Whether the error shows that the server works, though it did not do what was asked."""
    from pymongo.errors import ExecutionTimeout, OperationFailure, WTimeoutError

    return isinstance(error, OperationFailure) and not isinstance(
        error, ExecutionTimeout | WTimeoutError
    )


def may_go_on(error: BaseException) -> bool:
    """Whether a transaction that failed with ``error`` may still be under way on the server."""
    return not is_answer(error) and (
        isinstance(error, StoreUnavailableError) or not isinstance(error, AppError)
    )


def key_pattern(error: BaseException) -> tuple[str, ...]:
    """Return the fields of the unique index that a duplicate broke; empty for another error."""
    details = getattr(error, "details", None) or {}
    for one in details.get("writeErrors", [details]):
        if one.get("code") == DUPLICATE:
            return tuple(one.get("keyPattern", ()))
    return ()


def unknown() -> StoreUnavailableError:
    """Return the error of a write of which nobody knows whether it was done."""
    return StoreUnavailableError(
        "The store did not answer in time, so this may or may not be saved.",
        "Send it again with the same id; it is saved once.",
        retry_after_s=RETRY_AFTER_S,
    )


def not_saved() -> StoreUnavailableError:
    """Return the error of a write that was surely not done."""
    return StoreUnavailableError(
        "The store cannot be reached, and this was not saved.",
        "Try again in a moment.",
        retry_after_s=RETRY_AFTER_S,
    )


def unreadable() -> StoreUnavailableError:
    """Return the error of a read."""
    return StoreUnavailableError(
        "The store could not be read.", "Try again in a moment.", retry_after_s=RETRY_AFTER_S
    )


def crowded() -> StoreUnavailableError:
    """Return the error of a write that lost against other nodes again and again."""
    return StoreUnavailableError(
        "Too many write here at the same time, and this was not saved.",
        "Try again in a moment.",
        retry_after_s=RETRY_AFTER_S,
    )


def closed() -> StoreUnavailableError:
    """Return the error of an operation on a store that is not open."""
    return StoreUnavailableError("The store is closed.", "Try again when the server has started.")


def no_session() -> NotFoundError:
    """Return the error of an entry for a session that does not exist."""
    return NotFoundError("There is no such session.", "Join the session first, then try again.")


def too_large(size: int, limit: int) -> LimitExceededError:
    """Return the error of an entry that MongoDB cannot hold."""
    return LimitExceededError(
        f"This is too large to be saved: {size / 1e6:.1f} MB, and at most {limit / 1e6:g} MB are.",
        "Send it in parts, or keep it in a file and send where it is.",
    )


def refused_login() -> StoreUnavailableError:
    """Return the error of a server that does not let us in, or not do what we must."""
    return StoreUnavailableError(
        "MongoDB does not accept the user or the password of MONGODB_URI, or not its rights.",
        "Check both; the user needs the role readWrite on the database of the address.",
    )


def bad_address() -> StoreUnavailableError:
    """Return the error of an address that the driver does not understand."""
    return StoreUnavailableError(
        "MONGODB_URI is not an address of MongoDB.",
        "It looks like mongodb://user:password@host:27017/chatops?replicaSet=rs0, with what is "
        "special in the password percent-encoded.",
    )


def unreachable(hosts: str) -> StoreUnavailableError:
    """Return the error of a server that was not found when the store was opened."""
    return StoreUnavailableError(
        f"No MongoDB that takes writes answers at {hosts}.",
        "Check that it runs and that MONGODB_URI is right; a replica set that is new needs "
        "rs.initiate() once.",
    )


def standalone(hosts: str) -> StoreUnavailableError:
    """Return the error of a server that is no replica set."""
    return StoreUnavailableError(
        f"The MongoDB at {hosts} is not a replica set, so it has no transactions and no majority.",
        "Start mongod with --replSet rs0 and run rs.initiate() once; one member is enough.",
    )


def newer(name: str, found: int, known: int) -> StoreUnavailableError:
    """Return the error of a database that a newer program has changed."""
    return StoreUnavailableError(
        f"The database {name} was written by a newer version of chatops (schema {found}; this "
        f"version knows {known}).",
        "Start the newer version, or choose another database (MONGODB_URI).",
    )
