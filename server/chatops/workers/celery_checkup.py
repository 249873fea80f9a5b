"""Whether Celery workers are there to run backtests."""

from celery import Celery
from kombu.exceptions import OperationalError

from chatops.errors import BadParameterError
from chatops.findings import Finding, failed, ok
from chatops.workers.broker import broker_settings

CHECK = "celery"

_PATIENCE_S = 2.0


def check_celery(url: str, prefix: str) -> Finding:
    """Ask every worker at the broker to answer within 2 s. Blocks: call it in a thread.

    Args:
        url: As of the setting ``redis_url``.
        prefix: As of the setting ``cluster_prefix``.
    """
    try:
        names = answering(url, prefix, _PATIENCE_S)
    except BadParameterError as error:
        return failed(CHECK, error.message, error.hint or "")
    except (OperationalError, OSError):
        return failed(
            CHECK, "the broker cannot be reached", "See the line of redis; Celery uses the same."
        )
    if not names:
        return failed(
            CHECK,
            f"no worker answers within {_PATIENCE_S:g} s, so no backtest runs",
            "Start one: chatops worker.",
        )
    noun = "worker answers" if len(names) == 1 else "workers answer"
    return ok(CHECK, f"{len(names)} {noun}: {', '.join(names)}")


def answering(url: str, prefix: str, patience_s: float) -> list[str]:
    """Return the names of the workers that answer in time.

    Raises:
        BadParameterError: The address cannot be read.
        OperationalError: The broker is away.
    """
    app = Celery("chatops", set_as_current=False, fixups=[])
    app.conf.update(broker_settings(url, prefix))
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=_PATIENCE_S)
            replies = app.control.ping(timeout=patience_s, connection=connection) or []
    finally:
        app.close()
    return sorted({name for reply in replies for name in reply})
