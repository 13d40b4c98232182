"""A page with every widget on it, for the tests of the widgets alone."""

from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from flask import request
from flask_admin.base import expose
from jinja2 import ChoiceLoader, FileSystemLoader

from ai_gateway.domain.money import NANO_PER_USD
from ai_gateway.domain.roles import Permission
from ai_gateway.web import formatting
from ai_gateway.web.admin.charts import (
    Chart,
    ChartKind,
    Series,
    SeriesRole,
    fold_series,
    sparkline,
)
from ai_gateway.web.admin.staff import StaffView
from tests.seeding import NOW, UTC_ZONE
from tests.web.staff_app import PROJECT, StaffApp

ADDRESS = "/admin/gallery/"
LABELS = tuple(f"{day} Nov" for day in range(17, 24))
USERS = tuple(f"user-{number}" for number in range(1, 12))


@dataclass
class Served:
    """How often the page was asked for, and what it shall answer next."""

    fragments: int = 0
    answers: list[int] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)


class GalleryView(StaffView):
    """At /admin/gallery/."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "Gallery"
    address = "gallery"
    icon = "list"

    def __init__(self, served: Served) -> None:
        super().__init__()
        self._served = served

    @expose("/")
    def index(self) -> tuple[str, int]:
        if "X-Fragment" in request.headers:
            self._served.fragments += 1
            if self._served.answers and (status := self._served.answers.pop(0)) != 200:
                return "", status
        page = self.render(
            "gallery.html",
            now=NOW + timedelta(seconds=self._served.fragments),
            zone=UTC_ZONE,
            count=self._served.fragments,
            seconds=int(request.args.get("seconds", "0")),
            bars=bars(),
            lines=lines(),
            nothing=Chart("nothing", "Nothing", ChartKind.LINES, (), (), formatting.money),
            spark=sparkline((1, 4, None, 3, 9, 2)),
            rows=USERS[:3],
        )
        return page, 200

    @expose("/reset/", methods=["GET", "POST"])
    def reset(self) -> str:
        if request.method == "POST":
            self._served.posts.append(request.form.to_dict(flat=False))
        chosen = request.args.getlist("selected")
        return self.render("gallery_reset.html", chosen=chosen)


def add_gallery(made: StaffApp, served: Served) -> None:
    """Put the page on an application that has served nothing yet."""
    here = FileSystemLoader(Path(__file__).parent)
    made.app.jinja_loader = ChoiceLoader([FileSystemLoader(PROJECT / "templates"), here])
    (admin,) = made.app.extensions["admin"]
    admin.add_view(GalleryView(served))


def bars() -> Chart:
    """Eleven users of whom the eight with the highest cost are shown, and the pace of a budget."""
    costs = [
        tuple(NANO_PER_USD * (place + 2) * (12 - number) // 3 for place in range(7))
        for number in range(len(USERS))
    ]
    series = fold_series([Series(name, cost) for name, cost in zip(USERS, costs, strict=True)])
    pace = Series("Pace of the budget", tuple([150 * NANO_PER_USD] * 7), SeriesRole.PLAN)
    return Chart(
        "cost",
        "Cost over time",
        ChartKind.BARS,
        LABELS,
        (*series, pace),
        formatting.money,
        links=tuple(f"{ADDRESS}?day={place}" for place in range(7)),
        label_name="Day",
    )


def lines() -> Chart:
    """A rate whose third day is unknown."""
    rates = (Fraction(1, 100), Fraction(2, 100), None, Fraction(5, 100), Fraction(4, 100))
    return Chart(
        "rate",
        "Error rate",
        ChartKind.LINES,
        LABELS[:5],
        (Series("errors", rates),),
        formatting.rate,
    )
