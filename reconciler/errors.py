"""Every exception the reconciler raises, and the exit code each one means.

::

    ReconcilerError                     1
      UsageError                       64   the command line makes no sense
      SpecError                         1   the spec is unreadable or invalid (carries diagnostics)
      PlanError                         1
        DependencyCycle                 1
        PlanFileError                   1   a plan file that is damaged or of an unknown version
        PlanRefused                     3   valid, but policy or missing approval stops it
        PlanStale                       3   what the plan saw has moved
      CheckoutError                     1   the local Git checkout cannot be read
      ClientError                       1
        TransportFailed                 1   no answer (``sent``: it may have arrived)
        DeadlineExceeded                1   the time allowed for the call ran out
        ApiError                        1   the service answered with an error
          AuthFailed  Forbidden  NotFound  Conflict  Throttled  ServiceUnavailable
      OperationError                    1
        OperationFailed                 1   a long-running operation ended in failure
        OperationTimedOut               1   it was still running when the time allowed ran out
      ActionError                       1   an action cannot be done; carries what to do about it
        PreconditionMoved               3   what the action relied on changed before it was sent
      JournalError                      1   a run's journal cannot be written or read
        JournalDamaged                  1   a line of it is no record
      LockError                         1
        LockFailed                      1   whether another run is under way cannot be found out
        LockHeld                        3   another run is under way on this estate
        LockLost                        1   the run may not write any more
      InternalError                     1   a bug

Users' mistakes in a spec are diagnostics, collected and shown together; exceptions are for
stopping. Messages never hold tokens, secrets, query strings or bodies that were sent.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # --help imports this module, and must stay instant
    from collections.abc import Sequence

    from reconciler.diagnostics import Diagnostic

__all__ = [
    "ActionError",
    "ApiError",
    "AuthFailed",
    "CheckoutError",
    "ClientError",
    "Conflict",
    "DeadlineExceeded",
    "DependencyCycle",
    "Forbidden",
    "InternalError",
    "JournalDamaged",
    "JournalError",
    "LockError",
    "LockFailed",
    "LockHeld",
    "LockLost",
    "NotFound",
    "OperationError",
    "OperationFailed",
    "OperationTimedOut",
    "PlanError",
    "PlanFileError",
    "PlanRefused",
    "PlanStale",
    "PreconditionMoved",
    "ReconcilerError",
    "ServiceUnavailable",
    "SpecError",
    "Throttled",
    "TransportFailed",
    "UsageError",
]


class ReconcilerError(Exception):
    """Anything the reconciler stops for; ``exit_code`` is what the process should return."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class UsageError(ReconcilerError):
    """The command line is wrong; the remedy is in the message."""

    exit_code = 64


class SpecError(ReconcilerError):
    """The spec is invalid; every finding is in ``diagnostics``."""

    def __init__(self, message: str, diagnostics: Sequence[Diagnostic] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class PlanError(ReconcilerError):
    """No plan can be made or used."""

    def __init__(
        self, message: str, *, remedy: str = "", diagnostics: Sequence[Diagnostic] = ()
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.diagnostics = tuple(diagnostics)


class DependencyCycle(PlanError):
    """Actions wait for each other in a circle; the message walks it."""


class PlanFileError(PlanError):
    """A plan file is damaged, truncated, edited, or of a version this tool does not read."""


class PlanRefused(PlanError):
    """The plan is valid and is not carried out: policy, or approval missing."""

    exit_code = 3


class PlanStale(PlanError):
    """What the plan was computed from has moved; make a new plan."""

    exit_code = 3


class CheckoutError(ReconcilerError):
    """The local Git checkout cannot be read, or lacks what was asked for."""


class ClientError(ReconcilerError):
    """A call to a service did not succeed."""


class TransportFailed(ClientError):
    """No answer came back.

    ``sent`` is true when the request may have reached the service, so that its effect is
    unknown and the state must be read again before anything is repeated.
    """

    def __init__(self, message: str, *, sent: bool, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.sent = sent


class DeadlineExceeded(TransportFailed):
    """The time allowed for the call, waits and retries included, ran out."""


class ApiError(ClientError):
    """The service answered with an error.

    Attributes:
        status: HTTP status.
        code: the service's own top-level code (Fabric ``errorCode``, Azure DevOps ``typeKey``),
            ``""`` when it gave none.
        codes: ``code`` and the codes nested in ``moreDetails``; match against this one.
        request_id: the id to give to the service's support, ``""`` when absent.
        method, path: the call, without query.
        is_retriable: Fabric's ``isRetriable``, None when absent.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        codes: Sequence[str] = (),
        request_id: str = "",
        method: str = "",
        path: str = "",
        is_retriable: bool | None = None,
        retry_after_s: float | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.code = code
        self.codes = frozenset(codes) | ({code} if code else frozenset())
        self.request_id = request_id
        self.method = method
        self.path = path
        self.is_retriable = is_retriable
        self.retry_after_s = retry_after_s


class AuthFailed(ApiError):
    """The caller is not signed in: 401, or a sign-in page where JSON was expected."""


class Forbidden(ApiError):
    """The caller is known and not allowed (403)."""


class NotFound(ApiError):
    """The resource is not there, or hidden from this caller (404)."""


class Conflict(ApiError):
    """The resource is in a state that forbids the call (409)."""


class Throttled(ApiError):
    """Too many calls (429), and the time allowed did not suffice to wait it out."""


class ServiceUnavailable(ApiError):
    """The service failed (5xx); a write may or may not have taken effect."""


class OperationError(ReconcilerError):
    """A long-running operation did not succeed."""

    def __init__(self, message: str, *, operation_id: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.operation_id = operation_id


class OperationFailed(OperationError):
    """The operation ended as Failed; ``codes`` holds its error codes, nested ones included."""

    def __init__(
        self,
        message: str,
        *,
        operation_id: str,
        code: str = "",
        codes: Sequence[str] = (),
        remedy: str = "",
    ) -> None:
        super().__init__(message, operation_id=operation_id, remedy=remedy)
        self.code = code
        self.codes = frozenset(codes) | ({code} if code else frozenset())


class OperationTimedOut(OperationError):
    """The operation was still running when the time allowed ran out; it goes on at the service."""


class ActionError(ReconcilerError):
    """An action cannot be carried out."""


class PreconditionMoved(ActionError):
    """What the plan saw is no longer so; nothing was sent."""

    exit_code = 3


class JournalError(ReconcilerError):
    """A run's journal cannot be written or read; what was not noted is not sent."""


class JournalDamaged(JournalError):
    """A journal holds something that is no record, other than a last line that was cut off."""


class LockError(ReconcilerError):
    """The lock that lets one apply at a time into an estate."""


class LockFailed(LockError):
    """The lock can neither be taken nor is it known to be held; nothing was written."""


class LockHeld(LockError):
    """Another run holds the lock; the message says whose it is. Nothing was written."""

    exit_code = 3


class LockLost(LockError):
    """This run held the lock and does not any more: it sends nothing more."""


class InternalError(ReconcilerError):
    """A bug in the reconciler itself."""
