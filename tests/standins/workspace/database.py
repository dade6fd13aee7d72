"""A Lakebase database: TLS on port 5432, tokens as passwords, and what a test does to it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg

from tests.standins.workspace.embedded import EmbeddedPostgres
from tests.standins.workspace.gateway import Gateway


@dataclass(frozen=True)
class LakebaseDatabase:
    """A running database `databricks_postgres`."""

    postgres: EmbeddedPostgres
    gateway: Gateway

    @property
    def host(self) -> str:
        """Where it is, on port 5432."""
        return self.gateway.host

    @property
    def logins(self) -> list[str]:
        """Who logged in so far, by name."""
        return self.gateway.logins

    @property
    def refused(self) -> list[str]:
        """Whose password was wrong or too old."""
        return self.gateway.refused

    def create_role(self, name: str, owner: bool = False) -> None:
        """Let `name` log in; an `owner` may create roles, and in any schema of its own."""
        self.postgres.create_role(name, owner)

    def admin(self) -> AbstractContextManager[psycopg.Connection]:
        """Return a connection of the superuser, past TLS and tokens."""
        return self.postgres.admin()

    def reset(self) -> None:
        """Empty the database."""
        self.postgres.reset()

    def drop(self) -> None:
        """Break every connection; new ones work."""
        self.gateway.drop()

    def restart(self, how: Literal["fast", "immediate"] = "fast") -> None:
        """Restart Postgres, in order or not."""
        self.postgres.restart(how)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Break every connection, and serve none until the end."""
        self.gateway.switches.away = True
        self.gateway.drop()
        try:
            yield
        finally:
            self.gateway.switches.away = False

    def asleep(self, failures: int = 0, seconds: float = 0.0) -> None:
        """Let the next logins fail, and each take a while."""
        self.gateway.switches.failures = failures
        self.gateway.switches.seconds = seconds


@contextmanager
def open_database(
    folder: Path, may_log_in: Callable[[str, str], bool]
) -> Iterator[LakebaseDatabase]:
    """Yield a new database whose data is in `folder`."""
    postgres = EmbeddedPostgres(folder)
    try:
        postgres.start()
        gateway = Gateway(folder, lambda: postgres.port, may_log_in)
        gateway.start()
        try:
            yield LakebaseDatabase(postgres, gateway)
        finally:
            gateway.stop()
    finally:
        postgres.stop()
