#!/usr/bin/python3
"""Stands where LiteLLM's own entrypoint stands: brings the database to the schema this LiteLLM ships, then serves.

Prisma's query engine is in no package registry. So LiteLLM's own SQL migrations are applied with psycopg and recorded
in Prisma's own table, and DATABASE_URL is taken away before LiteLLM starts, which would otherwise insist on the engine.
What is lost by that: virtual keys, spend rows, and 401 for a wrong key (it is 400 "no_db_connection" here).
"""

import hashlib
import os
import pathlib
import sys
import time
import uuid

import psycopg

MIGRATIONS = pathlib.Path("/opt/litellm/litellm_proxy_extras/migrations")
TABLE = """
CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
  id VARCHAR(36) PRIMARY KEY, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ,
  migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)
"""


def connect(url: str) -> psycopg.Connection:
    """Return a connection, or end the process: at once when the password is wrong, after a minute otherwise."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return psycopg.connect(url, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError as error:
            if "password" in str(error) or time.monotonic() > deadline:
                sys.exit(f"database: {error}")
            time.sleep(1)


def migrate(url: str) -> None:
    """Apply the migrations that the database does not have yet, in the order of their names."""
    started = time.monotonic()
    with connect(url) as database:
        database.execute("SELECT pg_advisory_lock(72707369)")
        database.execute(TABLE)
        rows = database.execute('SELECT migration_name FROM "_prisma_migrations" WHERE finished_at IS NOT NULL')
        done = {row[0] for row in rows}
        applied = 0
        for script in sorted(MIGRATIONS.glob("*/migration.sql")):
            name, body = script.parent.name, script.read_bytes()
            if name in done:
                continue
            try:
                database.execute(body)
            except psycopg.Error as error:
                sys.exit(f"migration {name} failed: {error}")
            database.execute(
                'INSERT INTO "_prisma_migrations" (id, checksum, finished_at, migration_name, applied_steps_count)'
                " VALUES (%s, %s, now(), %s, 1)",
                (str(uuid.uuid4()), hashlib.sha256(body).hexdigest(), name),
            )
            applied += 1
    print(f"database: {applied} migrations applied, {len(done)} were there, {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    database_url = os.environ.pop("DATABASE_URL", None)
    # A check of the configuration must not need a database.
    if database_url and "--validate_config" not in sys.argv:
        migrate(database_url)
    os.execvp("litellm", ["litellm", *sys.argv[1:]])
