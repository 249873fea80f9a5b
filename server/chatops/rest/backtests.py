"""Backtests over HTTP: start one, read it, fetch its files, compare several."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from chatops.access.identity import SYSTEM, Person
from chatops.access.permissions import Action, Target, authorize
from chatops.assistant.calls import Caller
from chatops.assistant.narrative import SERVICE, Words
from chatops.backtests.answers import ending, figure, job_text, links
from chatops.backtests.job import Job
from chatops.backtests.jobs.schedule import typical_s
from chatops.chat.asking import Asked, error_of
from chatops.errors import NotFoundError
from chatops.protocol.base import rfc3339
from chatops.rest.bodies import Acting
from chatops.rest.operations import Call, Operation, answered
from chatops.rest.run_bodies import (
    ComparedFigures,
    CompareRequest,
    Comparison,
    NotYet,
    Statistics,
    Triggered,
    TriggerRequest,
)
from chatops.rest.services import Services

HTTP_SESSION = "http"
"""Where runs happen that name no session."""

_BASE = "/api/v1/backtests/{id}"
_DURATIONS = 20
_TYPES = {
    "png": "image/png",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
}


class Backtests:
    """The operations on backtests."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.job_store

    def operations(self) -> list[Operation]:
        """Return them."""
        tag = "Backtests"
        return [
            Operation(
                "POST",
                "/api/v1/chatops-advanced/strategies/compare",
                tag,
                "Compare 2 to 5 strategies, and wait for the figures and the words",
                self.compare,
                Comparison,
                Acting,
                CompareRequest,
                (400, 404, 502, 504),
            ),
            Operation(
                "POST",
                "/api/v1/chatops-advanced/backtest/trigger",
                tag,
                "Start a backtest",
                self.trigger,
                Triggered,
                Acting,
                TriggerRequest,
                (400, 404, 502, 504),
            ),
            Operation(
                "GET",
                _BASE,
                tag,
                "Say where a backtest stands, and its result when it has one",
                self.backtest,
                "application/json",
                Acting,
                errors=(404,),
            ),
            Operation(
                "GET",
                f"{_BASE}/report",
                tag,
                "Read the report of a backtest",
                self.report,
                "text/markdown",
                Acting,
                errors=(404,),
                accepted=NotYet,
            ),
            Operation(
                "GET",
                f"{_BASE}/{{file}}",
                tag,
                "Fetch a file of a completed backtest",
                self.file,
                "image/png, text/csv, application/json",
                Acting,
                errors=(404,),
            ),
        ]

    # ------------------------------------------------------------------ running

    async def compare(self, call: Call) -> Comparison:
        """Run ``/compare_strategies``, and have its result put into words."""
        wish: CompareRequest = call.body
        # Before anything runs, so that a model that is not allowed costs nothing.
        self._services.policies.validate_model_for_service(wish.model_id, SERVICE)
        session_id = await self._session(wish.session_id)
        command = self._services.dispatcher.resolve_values(
            "compare_strategies", {"strategies": [*wish.strategy_ids], "symbols": [*wish.symbols]}
        )
        async with self._services.asking.ask(session_id, call.person, command.text) as asked:
            reply = await asked.whole()
        data = reply.data or {}
        if not reply.success:
            raise error_of(data["error"])
        query = wish.natural_language_query or f"Compare {' and '.join(wish.strategy_ids)}."
        caller = Caller(call.person, session_id, SERVICE)
        facts = _facts(data, wish.metrics)
        told = await self._services.narrator.tell(caller, query, facts, wish.model_id)
        words = told.words if told else Words.model_validate(data)
        return Comparison(
            query=query,
            strategies=[_figures(one, wish.metrics) for one in data["strategies"]],
            ranking=data["ranking"],
            statistics=Statistics.model_validate(
                {
                    "correlation": data["correlation"],
                    "monte_carlo": data["monteCarlo"],
                    "regimes": data["regimes"],
                }
            ),
            **words.model_dump(),
            worded_by=told.model_id if told else None,
            backtest_id=data["backtestId"],
            session_id=session_id,
        )

    async def trigger(self, call: Call) -> Triggered:
        """Run ``/run_backtest``; return as soon as its job is known."""
        wish: TriggerRequest = call.body
        session_id = await self._session(wish.session_id)
        config = wish.strategy_config.config.model_dump(mode="json", exclude_none=True)
        params = wish.strategy_config.config.model_extra or {}
        values = {
            **{name: value for name, value in config.items() if name not in params},
            "strategy": config["config_type"],
            "params": {name: str(value) for name, value in params.items()},
        }
        del values["config_type"]
        command = self._services.dispatcher.resolve_values("run_backtest", values)
        about = {
            "name": wish.strategy_config.name,
            "description": wish.strategy_config.description,
            "reason": wish.trigger_reason,
            "notify": wish.notify_on_completion,
        }
        async with self._services.asking.ask(
            session_id, call.person, command.text, metadata={"trigger": about}
        ) as asked:
            job = await self._job_of(asked)
        usual_s = typical_s(await self._store.durations_s(job.kind, _DURATIONS))
        return Triggered(
            backtest_id=job.id,
            status=job.state,
            estimated_duration_seconds=usual_s,
            report_url=f"/api/v1/backtests/{job.id}/report" if wish.generate_report else None,
            session_id=session_id,
        )

    async def _job_of(self, asked: Asked) -> Job:
        """Wait until the command has met its job, and return that."""
        while asked.reply is None:
            for now in self._services.jobs.standing():
                if any(one.command_id == asked.posted.command_id for one in now.job.askers):
                    return now.job
            await asked.hear()
        data = asked.reply.data or {}
        if "backtestId" not in data:
            raise error_of(data["error"])
        return await self._found(data["backtestId"])

    async def _session(self, named: str | None) -> str:
        """Return the session to run in: the one that was named, or that of HTTP."""
        if named is None:
            await self._services.sessions.enter(HTTP_SESSION, SYSTEM)
        return named or HTTP_SESSION

    # ------------------------------------------------------------------ reading

    async def backtest(self, call: Call) -> web.Response:
        """Serve a job: where it stands, and its result when it has one."""
        job = await self._job(call)
        told = {
            "backtestId": job.id,
            "kind": job.kind,
            "title": job.title,
            "state": job.state,
            "phase": job.phase,
            "progress": _percent(job),
            "requestedBy": {"id": job.requested_by.id, "name": job.requested_by.name},
            "createdAt": rfc3339(job.created_at),
            "endedAt": rfc3339(job.ended_at) if job.ended_at else None,
            "fingerprint": job.fingerprint,
            "provenance": job.provenance,
            "request": job.spec,
            "links": links(job) if job.state == "completed" else {},
            "files": list(await self._store.file_names(job.id)),
            "error": job.failure and {"code": job.failure.code, "message": job.failure.message},
            "result": job.summary,
        }
        return web.json_response(told, dumps=lambda v: json.dumps(v, ensure_ascii=False))

    async def report(self, call: Call) -> web.Response:
        """Serve a completed job in words; 202 while it has still to end."""
        job = await self._job(call)
        if job.is_active:
            not_yet = NotYet.model_validate(
                {
                    "backtest_id": job.id,
                    "status": job.state,
                    "phase": job.phase,
                    "progress": _percent(job),
                    "hint": "Ask again in a moment; the report is here when the run has ended.",
                }
            )
            return answered(not_yet, status=202)
        if job.state != "completed":
            raise NotFoundError(
                f"{job.id} has no report. {ending(job)}", f"Type /rerun {job.id} to run it again."
            )
        downloads = "\n".join(f"- [{name}]({path})" for name, path in links(job).items())
        return web.Response(text=f"{job_text(job)}\n\n{downloads}\n", content_type="text/markdown")

    async def file(self, call: Call) -> web.Response:
        """Serve a file of a completed job."""
        job = await self._job(call)
        name = call.part("file")
        body = await self._store.file(job.id, name)
        if body is None:
            names = ", ".join(await self._store.file_names(job.id)) or "none yet"
            raise NotFoundError(f"{job.id} has no file {name[:64]}.", f"Its files: {names}.")
        kind = _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        headers = {"Content-Type": kind, "Cache-Control": "private, max-age=31536000, immutable"}
        if not kind.startswith("image/"):
            headers["Content-Disposition"] = f'attachment; filename="{job.id}-{name}"'
        return web.Response(body=body, headers=headers)

    async def _job(self, call: Call) -> Job:
        job = await self._found(call.part())
        _may_read(call.person, job)
        return job

    async def _found(self, job_id: str) -> Job:
        job = await self._store.get(job_id)
        if job is None:
            raise NotFoundError(
                f'There is no backtest "{job_id[:64]}".', "Ids begin with bt_ or cmp_."
            )
        return job


def _may_read(person: Person, job: Job) -> None:
    authorize(person, Action.READ_RESULT, Target(session_id=job.session_id, name=job.id))


def _percent(job: Job) -> int:
    return 100 if job.state == "completed" else min(int(job.fraction * 100), 99)


def _figures(strategy: Mapping[str, Any], wanted: Sequence[str]) -> ComparedFigures:
    """Return a strategy of a comparison with the metrics that were asked for."""
    known = strategy["metrics"]
    metrics = {name: known[name] for name in wanted or known}
    return ComparedFigures.model_validate({**strategy, "metrics": metrics})


def _facts(data: Mapping[str, Any], wanted: Sequence[str]) -> str:
    """Return the results in the words that were made of the figures, and the figures asked for."""
    lines = [data["summary"], data["recommendation"], data["reasoning"]]
    places = {row["name"]: row["rank"] for row in data["ranking"]}
    for one in data["strategies"]:
        known = one["metrics"]
        told = ", ".join(f"{name} {figure(name, known[name])}" for name in wanted or known)
        lines.append(f"Place {places[one['name']]}: {one['name']}: {told}")
    return "\n".join(lines)
