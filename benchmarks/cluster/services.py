"""What the nodes share, on the disk that counts: a MongoDB and a Redis, each a process of ours."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from benchmarks.cpu import cpu_s
from tests.support.services import Mongod, Service, mongod, redis_server


@dataclass(frozen=True, slots=True)
class Services:
    """The services.

    Attributes:
        mongo: The store, a replica set of one.
        redis: The bus.
    """

    mongo: Mongod
    redis: Service

    @property
    def redis_url(self) -> str:
        """Where the Redis is."""
        return f"redis://127.0.0.1:{self.redis.port}/0"

    def environment(self, database: str) -> Mapping[str, str]:
        """Return what a node needs to know; nodes with the same database are one cluster."""
        return {
            "MONGODB_URI": self.mongo.uri(database),
            "REDIS_URL": self.redis_url,
            "CHATOPS_CLUSTER_PREFIX": database,
        }

    def cpu_s(self) -> dict[str, float]:
        """Return the processor seconds of each so far."""
        return {"mongod": cpu_s(self.mongo.pid), "redis": cpu_s(self.redis.pid)}

    def versions(self) -> dict[str, str]:
        """Return which versions run."""
        with self.mongo.client() as mongo, Redis.from_url(self.redis_url) as redis:
            return {
                "mongod": mongo.server_info()["version"],
                "redis-server": redis.info("server")["redis_version"],
            }


@contextmanager
def services(folder: Path) -> Iterator[Services]:
    """Run both, with their files in the folder, until the block ends."""
    with mongod(folder / "mongo") as mongo, redis_server(folder / "redis") as redis:
        yield Services(mongo, redis)
