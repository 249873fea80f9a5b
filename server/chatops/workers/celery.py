"""Tickets over Celery: they tell workers that there may be work; the work itself is in the store.

A ticket that is lost, doubled or late does no harm, so Redis is trusted with nothing.
"""

import asyncio
import logging
import os
import socket
import threading
import warnings
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog
from celery import Celery
from celery.exceptions import CPendingDeprecationWarning
from celery.worker import WorkController
from celery.worker import state as worker_state
from celery.worker.control import Panel

from chatops.backtests.ports import Tickets
from chatops.tasks import Supervisor
from chatops.workers.broker import broker_settings

log = structlog.get_logger(__name__)

QUEUE = "backtests"
TICKET = "chatops.ticket"

_MOST_TICKETS = 1_000
_LOOP_LOOK_S = 1.0


class CeleryTickets:
    """Sends tickets from a thread of its own; whoever offers them waits for nothing.

    Only the newest offer is kept, and none while Redis is away: offers are repeated as long as
    jobs wait.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._app = _app(url, prefix)
        self._offered = threading.Condition()
        self._wanted = 0
        self._closing = False
        self._thread = threading.Thread(target=self._send, name="tickets", daemon=True)
        self._connection: Any = None
        self._away = False

    def open(self) -> None:
        """Begin to send what is offered. Redis may be away."""
        self._thread.start()

    async def close(self, within_s: float) -> None:
        """Send what was offered last and end; this takes so many seconds at most."""
        with self._offered:
            self._closing = True
            self._offered.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, within_s)

    def offer(self, ready: int) -> None:
        """See that so many tickets wait for workers; those that wait already count."""
        with self._offered:  # held by the thread for no longer than a turn takes
            self._wanted = ready
            self._offered.notify()

    def _send(self) -> None:
        closing = False
        while not closing:
            with self._offered:
                self._offered.wait_for(lambda: self._wanted or self._closing)
                wanted, self._wanted = self._wanted, 0
                closing = self._closing
            try:
                self._fill_up(min(wanted, _MOST_TICKETS))
            # Three libraries have errors of their own, and all mean that Redis is not there.
            except Exception as error:  # noqa: BLE001
                self._disconnect()
                self._judge(away=True, reason=type(error).__name__)
            else:
                self._judge(away=False, reason="")
        self._disconnect()

    def _fill_up(self, wanted: int) -> None:
        if not wanted:
            return
        if self._connection is None:
            connection = self._app.connection_for_write()
            connection.connect()
            self._connection = connection
        with self._connection.channel() as channel:
            waiting = self._app.amqp.queues[QUEUE](channel).queue_declare().message_count
            producer = self._app.amqp.Producer(channel)
            for _ in range(wanted - waiting):
                self._app.send_task(TICKET, producer=producer, retry=False, ignore_result=True)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it is given up in any case
                connection.collect(socket_timeout=0.1)

    def _judge(self, *, away: bool, reason: str) -> None:
        if away != self._away:
            self._away = away
            if away:
                log.warning("tickets_not_sent", reason=reason)
            else:
                log.info("tickets_sent_again")


class CeleryTaker:
    """Takes tickets, ``slots`` at once, and does for each what it is for.

    Celery's own loop has a thread, its pool ``slots`` more; the work runs on the event loop. Only
    one taker can be in a process: Celery keeps a part of a worker's state in its modules.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        supervisor: Supervisor,
        *,
        slots: int,
        take: Callable[[], Awaitable[object]],
    ) -> None:
        """Make it; ``take`` is what a ticket is for, and is not cancelled by :meth:`close`."""
        self._app = _app(url, prefix)
        self._app.task(self._take_in_thread, name=TICKET, shared=False)
        self._supervisor = supervisor
        self._slots = slots
        self._take = take
        self._loop: asyncio.AbstractEventLoop | None = None
        self._controller: Any = None
        self._thread = threading.Thread(target=self._run, name="taker", daemon=True)

    def open(self) -> None:
        """Begin to take tickets. Redis may be away."""
        self._loop = asyncio.get_running_loop()
        worker_state.should_stop = None  # not in the thread, which may begin after a stop
        self._thread.start()

    def stop(self) -> None:
        """Take no more tickets from now on. A repeat does nothing."""
        worker_state.should_stop = 0
        hub = getattr(self._controller, "hub", None)
        if hub is not None:
            hub.call_soon(lambda: None)  # so that its loop looks at once

    async def close(self, within_s: float) -> None:
        """Stop, and wait for Celery to end, for so many seconds at most.

        It ends when every ticket that was taken is done. One that has not come to its end by then
        goes to another worker, which finds out whether there is still work.
        """
        self.stop()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, within_s)
        if self._thread.is_alive():
            log.warning("taker_does_not_end")

    def _run(self) -> None:
        logging.getLogger("celery").setLevel(logging.WARNING)  # else two lines for each ticket
        # At each loss of Redis it would tell of a setting that we have chosen.
        warnings.simplefilter("ignore", CPendingDeprecationWarning)
        # Whoever reaches Redis may ask who is there, and must not command anything.
        for command in Panel.data.keys() - {"ping"}:
            del Panel.data[command]
        # The threads of its pool look for the app in this place.
        self._app.set_default()
        self._controller = WorkController(
            app=self._app,
            hostname=f"chatops-{os.getpid()}@{socket.gethostname()}",
            pool="threads",
            concurrency=self._slots,
            loglevel="WARNING",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._controller.start()

    def _take_in_thread(self) -> None:
        assert self._loop is not None  # noqa: S101 - tickets come after open
        done: Future[None] = Future()
        self._loop.call_soon_threadsafe(self._start, done)
        while not done.done() and not self._loop.is_closed():
            wait([done], _LOOP_LOOK_S)

    def _start(self, done: Future[None]) -> None:
        task = self._supervisor.start(self._work(), "ticket")
        task.add_done_callback(lambda _: done.set_result(None))

    async def _work(self) -> None:
        await self._take()


def _app(url: str, prefix: str) -> Any:
    """Return a Celery app that carries tickets and touches nothing else of the process."""
    app = Celery("chatops", set_as_current=False, fixups=[])
    app.conf.update(
        broker_settings(url, prefix),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=True,
        worker_send_task_events=False,
    )
    return app


if TYPE_CHECKING:
    _: type[Tickets] = CeleryTickets
