"""Puts the database on the application; no connection is opened."""

from pathlib import Path

from flask import Flask
from flask_migrate import Migrate

from ai_gateway.settings import Settings
from ai_gateway.stores import embedded, sql
from ai_gateway.stores.tables import db


def init_database(app: Flask, settings: Settings, *, migrations: Path) -> None:
    """SQLite of our own, or the operator's database."""
    url = sql.driver_url(settings.database_url or embedded.database_url(settings.data_dir))
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = sql.engine_options(url)
    db.init_app(app)
    Migrate(app, db, directory=str(migrations))  # type: ignore[no-untyped-call]  # it ships no types
    is_worker = settings.worker_slot is not None
    busy_ms = sql.WORKER_BUSY_MS if is_worker else sql.BOOKKEEPER_BUSY_MS
    with app.app_context():
        sql.configure(db.engine, busy_ms=busy_ms)
