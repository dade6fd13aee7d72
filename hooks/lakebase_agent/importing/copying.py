"""Copying threads and facts to the keys of their owners; nothing is deleted, or copied twice."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from lakebase_agent.importing.owners import FACTS, MEMORIES, Owners, user_key

CHECKPOINTS = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
# A key of the memory has a slash after its user; a thread of one's own rarely has one.
THREADS = """
    SELECT thread_id, array_agg(DISTINCT metadata->>'user_id') AS users FROM {}
    WHERE thread_id NOT LIKE '%%/%%' GROUP BY thread_id ORDER BY thread_id"""
NAMESPACES = "SELECT DISTINCT prefix FROM {} WHERE prefix LIKE %s ORDER BY prefix"
SESSIONS = "SELECT count(*) FROM {} WHERE session_id NOT LIKE '%%/%%'"
COLUMNS = """
    SELECT column_name FROM information_schema.columns
    WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position"""
ROWS = """
    INSERT INTO {new} ({key}, {columns}) SELECT %(new)s, {columns} FROM {old}
    WHERE {key} = %(old)s ON CONFLICT DO NOTHING"""
VALUES = "SELECT key, value, created_at, updated_at FROM {} WHERE prefix = %s ORDER BY key"
FACT = """
    INSERT INTO {} (prefix, key, value, created_at, updated_at) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING"""
VECTOR = """
    INSERT INTO {new} (prefix, key, field_name, embedding) SELECT %s, key, 'memory', embedding
    FROM {old} WHERE prefix = %s AND key = %s LIMIT 1 ON CONFLICT DO NOTHING"""
SEVERAL, NOBODY = "name several users", "name no user"


@dataclass
class Copied:
    """What was copied, by kind, for which users, and what could not be: how many, and why."""

    counts: Counter[str] = field(default_factory=Counter)
    users: set[str] = field(default_factory=set)
    left: Counter[str] = field(default_factory=Counter)
    unclear: list[str] = field(default_factory=list)  # ids of which it can't be told who is meant


@dataclass
class Copying:
    """A copy from the tables of one schema to those of another, which may be the same."""

    connection: psycopg.Connection
    old: str
    new: str
    given: dict[str, str]
    copied: Copied = field(default_factory=Copied)

    def run(self) -> Copied:
        """Copy everything in the transaction of the connection; raises psycopg.Error."""
        threads = list(self._threads())
        known = {str(user) for _, users in threads for user in users if user}
        owners = Owners(self.given, frozenset(known))
        for thread, users in threads:
            self._copy_thread(thread, users, owners)
        for prefix in self._namespaces():
            self._copy_facts(prefix, owners)
        if self._has(self.old, "agent_sessions"):
            [count] = self._rows(SESSIONS, "agent_sessions")[0]
            self.copied.left[f"sessions {NOBODY}"] += count
        return self.copied

    def _threads(self) -> Iterator[tuple[str, list[str | None]]]:
        if self._has(self.old, "checkpoints"):
            yield from self._rows(THREADS, "checkpoints")

    def _copy_thread(self, thread: str, users: list[str | None], owners: Owners) -> None:
        owner = owners.of_thread(users)
        if not owner:
            why = SEVERAL if len([user for user in users if user]) > 1 else NOBODY
            self.copied.left[f"threads {why}"] += 1
            return
        there = [t for t in CHECKPOINTS if self._has(self.old, t) and self._has(self.new, t)]
        new = f"{user_key(owner)}/{thread}"
        if any([self._copy_rows(table, thread, new) for table in there]):
            self._count("threads", owner)

    def _copy_rows(self, table: str, old: str, new: str) -> int:
        query = sql.SQL(ROWS).format(
            new=sql.Identifier(self.new, table),
            old=sql.Identifier(self.old, table),
            key=sql.Identifier("thread_id"),
            columns=sql.SQL(", ").join(map(sql.Identifier, self._columns(table))),
        )
        return self.connection.execute(query, {"old": old, "new": new}).rowcount

    def _columns(self, table: str) -> list[str]:
        both = [
            self.connection.execute(COLUMNS, (schema, table)) for schema in (self.old, self.new)
        ]
        old, new = ([str(row[0]) for row in rows] for rows in both)
        return [name for name in old if name in new and name != "thread_id"]

    def _namespaces(self) -> list[str]:
        if not self._has(self.old, "store"):
            return []
        return [str(row[0]) for row in self._rows(NAMESPACES, "store", (f"{FACTS}.%",))]

    def _copy_facts(self, prefix: str, owners: Owners) -> None:
        owner = owners.of_namespace(prefix)
        rows = self._rows(VALUES, "store", (prefix,))
        if not owner:
            self.copied.left["facts do not say clearly whose they are"] += len(rows)
            self.copied.unclear.append(prefix.removeprefix(f"{FACTS}."))
            return
        target = f"{MEMORIES}.{user_key(owner)}"
        for key, value, created, updated in rows:
            fact = json.dumps({"memory": text_of(value)})
            query = sql.SQL(FACT).format(sql.Identifier(self.new, "store"))
            if self.connection.execute(query, (target, key, fact, created, updated)).rowcount:
                self._copy_vector(prefix, key, target)
                self._count("facts", owner)

    def _copy_vector(self, prefix: str, key: str, target: str) -> None:
        """Copy the vector of a fact: its text stays the one that the vector is of."""
        if self._has(self.old, "store_vectors") and self._has(self.new, "store_vectors"):
            query = sql.SQL(VECTOR).format(
                new=sql.Identifier(self.new, "store_vectors"),
                old=sql.Identifier(self.old, "store_vectors"),
            )
            self.connection.execute(query, (target, prefix, key))

    def _count(self, kind: str, owner: str) -> None:
        self.copied.counts[kind] += 1
        self.copied.users.add(owner)

    def _has(self, schema: str, table: str) -> bool:
        return self.connection.execute(COLUMNS, (schema, table)).fetchone() is not None

    def _rows(self, query: Any, table: str, values: tuple[Any, ...] = ()) -> list[Any]:
        composed = sql.SQL(query).format(sql.Identifier(self.old, table))
        return self.connection.execute(composed, values).fetchall()


def text_of(value: Any) -> str:
    """Return a fact as one text: as LangGraph's store reads a value without an index of fields."""
    if isinstance(value, dict) and list(value) == ["memory"]:
        return str(value["memory"])
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
