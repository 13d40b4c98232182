"""The own page: budgets and their pace, cost, models, the last calls, and why some were refused."""

from flask import request

from ai_gateway.domain.house_rules import user_pause
from ai_gateway.web.admin.conditions import pause_of
from ai_gateway.web.admin.ranges import earlier, later, range_options, read_range
from ai_gateway.web.admin.user_detail import burn_up_chart
from ai_gateway.web.admin.wording import outcome_words, refusal_words
from ai_gateway.web.context import services
from ai_gateway.web.me.advice import advice
from ai_gateway.web.me.frame import owner, render


def overview() -> str:
    """At /me/."""
    user = owner()
    page = services().own_pages.read(user.user_id, read_range(request.args))
    period, zone = page.detail.usage.period, services().zone
    return render(
        "me/overview.html",
        user=user,
        page=page,
        zone=zone,
        ranges=range_options(),
        shifts=(earlier(period, zone), later(period, zone)),
        chart=burn_up_chart(page.detail),
        pause=pause_of(user_pause(user.user_id)),
        outcome_words=outcome_words,
        refusal_words=refusal_words,
        advice=advice,
        base_url=request.url_root,
    )
