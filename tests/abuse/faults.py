"""What goes wrong with a database, done to a real one, and undone."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

ROLE = "app"
# Modelled: what Postgres raises when its disk is full, at the third event of a run.
FULL = """
    CREATE OR REPLACE FUNCTION {schema}.is_full() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'no space left on device'; END $$;
    CREATE TRIGGER is_full BEFORE INSERT ON {schema}.{table}
    FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION {schema}.is_full()"""


@dataclass(frozen=True)
class Database:
    """The Postgres of an agent, as its administrator sees it."""

    url: str
    schema: str = "of_the_app"

    def app_url(self, port: int = 0, name: str = "postgres") -> str:
        """Return the URL for a role that may not do everything, which is created."""
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute("CREATE EXTENSION IF NOT EXISTS vector")
            with contextlib.suppress(psycopg.errors.DuplicateObject):
                admin.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE}'")
            admin.execute(f"GRANT ALL ON DATABASE {name} TO {ROLE}")
        return f"postgresql://{ROLE}:{ROLE}@127.0.0.1:{port or urlsplit(self.url).port}/{name}"

    @contextmanager
    def changed(self, do: str, undo: str) -> Iterator[None]:
        """Execute `do`, and `undo` at the end."""
        self.execute(do)
        try:
            yield
        finally:
            self.execute(undo)

    def execute(self, *statements: str) -> None:
        """Execute statements, each on its own."""
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute(f"SET search_path = {self.schema}, public")
            for statement in statements:
                admin.execute(statement)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Refuse all writes, as a standby does."""
        reload = "SELECT pg_reload_conf()"
        self.execute("ALTER SYSTEM SET default_transaction_read_only = on", reload)
        try:
            yield
        finally:
            self.execute("ALTER SYSTEM RESET default_transaction_read_only", reload)

    def without_table(self, table: str) -> contextlib.AbstractContextManager[None]:
        """Take a table away."""
        away = f"ALTER TABLE {table} RENAME TO away"
        return self.changed(away, f"ALTER TABLE away RENAME TO {table}")

    def without_column(self, table: str, name: str) -> contextlib.AbstractContextManager[None]:
        """Take a column away."""
        rename = f"ALTER TABLE {table} RENAME COLUMN"
        return self.changed(f"{rename} {name} TO away", f"{rename} away TO {name}")

    def without_privilege(self, table: str) -> contextlib.AbstractContextManager[None]:
        """Revoke what the app needs."""
        return self.changed(
            f"REVOKE INSERT ON {table} FROM {ROLE}", f"GRANT INSERT ON {table} TO {ROLE}"
        )

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Lock a table against everybody."""
        with psycopg.connect(self.url) as admin:
            admin.execute(f"LOCK TABLE {self.schema}.{table} IN ACCESS EXCLUSIVE MODE")
            yield

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the processes that serve the app, which still acknowledge what they are sent."""
        with psycopg.connect(self.url) as admin:
            query = "SELECT pid FROM pg_stat_activity WHERE usename = %s"
            pids = [row[0] for row in admin.execute(query, [ROLE])]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def modelled_full(
        self, table: str, condition: str = "true"
    ) -> contextlib.AbstractContextManager[None]:
        """Raise at rows of a table what Postgres raises when its disk is full."""
        model = FULL.format(schema=self.schema, table=table, condition=condition)
        return self.changed(model, f"DROP TRIGGER is_full ON {table}")

    @contextmanager
    def small_disk(self, megabytes: int) -> Iterator["SmallDisk"]:
        """Yield a database on a disk of its own; only root may mount one."""
        with _mounted(megabytes) as folder:
            with psycopg.connect(self.url, autocommit=True) as admin:
                [data] = admin.execute("SHOW data_directory").fetchone() or [""]
                os.chown(folder, Path(data).stat().st_uid, -1)
                admin.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
                admin.execute("CREATE DATABASE small TABLESPACE small")
            try:
                url = f"{self.url.removesuffix('/postgres')}/small"
                yield SmallDisk(url, self.schema, ballast=folder / "ballast")
            finally:
                self.execute("DROP DATABASE small WITH (FORCE)", "DROP TABLESPACE small")


@dataclass(frozen=True)
class SmallDisk(Database):
    """A database on a disk that can be filled."""

    ballast: Path = Path()

    @contextmanager
    def full(self) -> Iterator[None]:
        """Fill the disk, to its last page; not with rows, which a full Postgres may not drop."""
        with contextlib.suppress(OSError), self.ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        try:
            yield
        finally:
            self.ballast.unlink()


@contextmanager
def _mounted(megabytes: int) -> Iterator[Path]:
    # Not below a folder of the test's: Postgres runs as a user who may not see those.
    folder = Path(tempfile.mkdtemp(prefix="small-disk-", dir="/tmp"))
    size = f"size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()
