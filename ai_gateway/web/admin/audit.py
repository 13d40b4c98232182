"""The audit: who did what, when, from where, to whom, with what result. Nobody can change it."""

from datetime import datetime
from typing import Any

from flask import Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from werkzeug.datastructures import MultiDict

from ai_gateway.domain.audit import Action, Change, Result, Target, TargetKind
from ai_gateway.domain.audit_list import AuditLine, AuditPosition, AuditSelection, exact_target
from ai_gateway.domain.roles import Permission
from ai_gateway.domain.virtual_key import key_id_of, parse_key
from ai_gateway.services.audit_report import AuditPage, AuditQuery
from ai_gateway.services.periods import AskedRange
from ai_gateway.web.admin import audit_csv
from ai_gateway.web.admin.links import here, user_page
from ai_gateway.web.admin.ranges import range_options, read_range
from ai_gateway.web.admin.staff import StaffView, current_actor
from ai_gateway.web.admin.wording import RESULT_WORDS, action_words, result_words
from ai_gateway.web.context import services
from ai_gateway.web.csv_export import csv_response

MAX_NAME_CHARACTERS = 254
KEY_START = "agw_"
ALL_TIMES = (None, "All")
BEFORE, AFTER = "before", "after"


class AuditView(StaffView):
    """At /admin/audit/."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "Audit"
    address = "audit"
    icon = "log"

    @expose("/")
    def index(self) -> ResponseReturnValue:
        searched = request.args.get("target", "").strip()
        if parse_key(searched):
            # A whole key that somebody looks for must stand in no page and no address.
            return redirect(here(target=f"{TargetKind.KEY}:{key_id_of(searched)}"))
        page = services().audit_report.page(read_query(request.args))
        return self.render(
            "admin/audit.html",
            page=page,
            links=Links(page),
            actions={action.value: action_words(action) for action in Action},
            results={result.value: words for result, (_, _, words) in RESULT_WORDS.items()},
            ranges=[ALL_TIMES, *range_options()],
            action_words=action_words,
            result_words=result_words,
            target_page=target_page,
        )

    @expose("/export.csv")
    def export(self) -> Response:
        """Every entry of the filters, whatever page was shown."""
        query, now = read_query(request.args), services().clock()
        report = services().audit_report
        batches = audit_csv.batches(report.all(query), services().zone)
        name = f"audit-as-of-{now.astimezone(services().zone):%Y-%m-%d}.csv"
        response = csv_response(name, audit_csv.HEADER, batches)
        services().audit.record(
            Action.EXPORT,
            current_actor(),
            Target(TargetKind.REPORT, "audit"),
            Change(after=_parameters(query)),
        )
        return response


class Links:
    """Addresses of the same list seen otherwise."""

    def __init__(self, page: AuditPage) -> None:
        self._page = page

    def newer(self) -> str:
        return _turned(AFTER, self._page.newer)

    def older(self) -> str:
        return _turned(BEFORE, self._page.older)

    def export(self) -> str:
        return url_for("audit.export", **_parameters(self._page.query))

    def chips(self) -> list[tuple[str, str]]:
        """What narrows the list: words, and the address without it; the window is seen above."""
        selection = self._page.query.selection
        found = []
        if selection.actor:
            found.append((f"by {selection.actor}", here(actor=None, page=None)))
        if selection.action is not None:
            found.append((action_words(selection.action), here(action=None, page=None)))
        if selection.target:
            found.append((f"about {_target_words(selection)}", here(target=None, page=None)))
        if selection.result is not None:
            found.append((RESULT_WORDS[selection.result][2], here(result=None, page=None)))
        return found


def target_page(line: AuditLine) -> str:
    """The page of what an entry is about, where there is one."""
    target_id = line.target_id or ""
    if line.target_kind == TargetKind.USER and target_id.isdigit():
        return user_page(int(target_id))
    if line.target_kind == TargetKind.KEY:
        return url_for("keys.index", q=KEY_START + target_id)
    if line.target_kind == TargetKind.ALERT_RULE:
        return url_for("alerts.index")
    if line.target_kind == TargetKind.PRICE:
        provider, _, model = (line.target_name or "").partition("/")
        return url_for("prices.model", provider=provider, model=model)
    return ""


def read_query(arguments: MultiDict[str, str]) -> AuditQuery:
    """Read the address; what makes no sense narrows nothing."""
    direction, _, place = arguments.get("page", "").partition("_")
    position = _position(place)
    return AuditQuery(
        AuditSelection(
            actor=_name(arguments.get("actor", "")),
            target=_target(_name(arguments.get("target", ""))),
            action=_action(arguments.get("action", "")),
            result=_result(arguments.get("result", "")),
        ),
        read_range(arguments) if "range" in arguments else None,
        before=position if direction == BEFORE else None,
        after=position if direction == AFTER else None,
    )


def _name(text: str) -> str:
    # PostgreSQL takes no NUL in a text.
    return text.replace("\0", "").strip()[:MAX_NAME_CHARACTERS]


def _target(text: str) -> str:
    """The begin of a key, as lists show it, names the key."""
    return f"{TargetKind.KEY}:{key_id_of(text)}" if text.startswith(KEY_START) else text


def _target_words(selection: AuditSelection) -> str:
    exact = exact_target(selection.target)
    return selection.target if exact is None else f"{exact[0].replace('_', ' ')} {exact[1]}"


def _action(word: str) -> Action | None:
    return Action(word) if word in set(Action) else None


def _result(word: str) -> Result | None:
    return Result(word) if word in set(Result) else None


def _position(text: str) -> AuditPosition | None:
    moment, _, number = text.partition("_")
    try:
        position = AuditPosition(datetime.fromisoformat(moment), int(number))
    except ValueError:
        return None
    return position if position.at.tzinfo and 0 < position.number < 2**63 else None


def _turned(direction: str, position: AuditPosition | None) -> str:
    if position is None:
        return ""
    return here(page=f"{direction}_{position.at.isoformat()}_{position.number}")


def _parameters(query: AuditQuery) -> dict[str, Any]:
    """What `read_query` reads back, without the page; nothing for what narrows nothing."""
    selection, asked = query.selection, query.asked
    values = {
        "actor": selection.actor,
        "action": selection.action or "",
        "target": selection.target,
        "result": selection.result or "",
    }
    return {name: str(value) for name, value in values.items() if value} | _window(asked)


def _window(asked: AskedRange | None) -> dict[str, str]:
    if asked is None:
        return {}
    days = {"from": asked.first, "to": asked.last}
    return {"range": asked.name.value} | {
        name: day.isoformat() for name, day in days.items() if day is not None
    }
