"""The board for administrators: states of budgets, who is near a limit, who spends most."""

from grafana.classic import Board, Row
from grafana.panel import Link, Look, Panel
from grafana.queries import BUDGET, INSTANCE, JOB, SCOPE, USER, WINDOW, promql
from grafana.visualisations import bars, lines, named_stats, stacked, stat, table

USERS_PAGE = Link("Users on the staff pages", "${gateway_url}/admin/ai-analytics/users/")

STATE = Row(
    "State",
    (
        Panel(
            "Budgets by state",
            named_stats,
            "short",
            (18, 4),
            "Complete count without any user's name: how many budgets are fine, near their limit "
            "or beyond it.",
            (
                promql(
                    "max by (scope, state) (ai_gateway_budgets{<JOB>})",
                    "{{scope}} {{state}}",
                ),
            ),
            looks={
                "/ ok$/": Look(steps=((0, "text"),)),
                "/ warning$/": Look(steps=((0, "text"), (1, "yellow"))),
                "/ exceeded$/": Look(steps=((0, "text"), (1, "red"))),
            },
        ),
        Panel(
            "Requests blocked",
            stat,
            "short",
            (6, 4),
            "Effect of the limits: decisions in the chosen time that refused a call.",
            (
                promql(
                    "sum(increase(ai_gateway_budget_decisions_total"
                    '{<SEL>,decision="block"}[$__range])) or vector(0)'
                ),
            ),
            steps=((0, "green"), (1, "yellow"), (100, "red")),
        ),
    ),
)

BUDGETS = Row(
    "Budgets",
    (
        Panel(
            "Budget table",
            table,
            "currencyUSD",
            (24, 9),
            "The working view of an administrator: the installation, and of users and keys the "
            "twenty nearest to their limit, by internal id.",
            (
                promql(
                    "max by (scope, name, window) (ai_gateway_budget_limit_usd{<BUD>})", "Limit"
                ),
                promql(
                    "max by (scope, name, window) (ai_gateway_budget_spent_usd{<BUD>})", "Spent"
                ),
                promql(
                    "max by (scope, name, window) (ai_gateway_budget_reserved_usd{<BUD>})",
                    "Reserved",
                ),
                promql(
                    "max by (scope, name, window) (ai_gateway_budget_limit_usd{<BUD>}"
                    " - ai_gateway_budget_spent_usd{<BUD>}"
                    " - ai_gateway_budget_reserved_usd{<BUD>})",
                    "Remaining",
                ),
                promql(
                    "max by (scope, name, window) (ai_gateway_budget_spent_usd{<BUD>}"
                    " / (ai_gateway_budget_limit_usd{<BUD>} > 0))",
                    "Used",
                ),
                promql(
                    "max by (scope, name, window)"
                    " (ai_gateway_budget_reset_timestamp_seconds{<BUD>}) - time()",
                    "Resets in",
                ),
            ),
            looks={
                "Used": Look(
                    unit="percentunit",
                    steps=((0, "green"), (0.8, "yellow"), (1, "red")),
                    cell="gauge",
                ),
                "Resets in": Look(unit="s"),
            },
            link=USERS_PAGE,
        ),
        Panel(
            "Highest use",
            bars,
            "percentunit",
            (8, 9),
            "Who will be blocked next: the fifteen budgets of which the greatest part is spent.",
            (
                promql(
                    "topk(15, max by (scope, name, window) (ai_gateway_budget_spent_usd{<BUD>}"
                    " / (ai_gateway_budget_limit_usd{<BUD>} > 0)))",
                    "{{scope}} {{name}} {{window}}",
                ),
            ),
            steps=((0, "green"), (0.8, "yellow"), (1, "red")),
        ),
        Panel(
            "Time to empty",
            bars,
            "s",
            (8, 9),
            "What remains over the slope of the last hour, for the ten that end first. Read it "
            "next to the reset: a budget that lasts beyond it is no trouble.",
            (
                promql(
                    "bottomk(10, max by (scope, name, window) ((ai_gateway_budget_limit_usd{<BUD>}"
                    " - ai_gateway_budget_spent_usd{<BUD>} > 0)"
                    " / (deriv(ai_gateway_budget_spent_usd{<BUD>}[1h]) > 0)))",
                    "{{scope}} {{name}} {{window}}",
                ),
            ),
            steps=((0, "red"), (3600, "yellow"), (86400, "green")),
        ),
        Panel(
            "Users near or over the limit",
            stacked,
            "short",
            (8, 9),
            "Are the limits set well? A band that never empties means that they are too low, or "
            "that somebody needs a word.",
            (
                promql(
                    'max by (state) (ai_gateway_budgets{<JOB>,scope="user",state!="ok"})',
                    "{{state}}",
                ),
            ),
            looks={"warning": Look(colour="yellow"), "exceeded": Look(colour="red")},
        ),
    ),
)

DECISIONS = Row(
    "Decisions",
    (
        Panel(
            "Budget decisions",
            stacked,
            "reqps",
            (12, 8),
            "Calls allowed, allowed with a warning, and blocked; fail closed means that Redis was "
            "away, and nobody was let through unmetered.",
            (
                promql(
                    "sum by (decision)"
                    " (rate(ai_gateway_budget_decisions_total{<SEL>}[$__rate_interval]))",
                    "{{decision}}",
                ),
            ),
            looks={
                "allow": Look(colour="green"),
                "warn": Look(colour="yellow"),
                "block": Look(colour="orange"),
                "fail_closed": Look(colour="red"),
            },
        ),
        Panel(
            "Reserved against settled",
            lines,
            "percentunit",
            (12, 8),
            "Worst cases that were reserved over what the calls cost. Too high: users are blocked "
            "early; below 100 %: calls cost more than was held for them.",
            (
                promql(
                    "sum(rate(ai_gateway_reserved_usd_total{<SEL>}[1h])) / "
                    "(sum(rate(ai_gateway_cost_usd_total{<SEL>}[1h])) > 0)",
                    "reserved / settled",
                ),
            ),
            steps=((0, "transparent"), (3, "yellow")),
        ),
    ),
)

USERS = Row(
    "Users",
    (
        Panel(
            "Top users by spend",
            bars,
            "currencyUSD",
            (10, 14),
            "The twenty with the highest spend of the chosen window. Internal ids; the staff "
            "pages have the names.",
            (
                promql(
                    "topk(20, max by (user) (ai_gateway_user_spend_usd"
                    '{<JOB>,window="$window",user=~"$user",user!="__other__"}))',
                    "{{user}}",
                ),
            ),
            link=USERS_PAGE,
        ),
        Panel(
            "User table",
            table,
            "short",
            (14, 14),
            "Today, to export for show-back; __other__ is everybody else, so that sums are right.",
            (
                promql(
                    'max by (user) (ai_gateway_user_spend_usd{<JOB>,window="day",user=~"$user"})',
                    "Spend",
                ),
                promql(
                    'max by (user) (ai_gateway_user_requests{<JOB>,window="day",user=~"$user"})',
                    "Requests",
                ),
                promql(
                    'max by (user) (ai_gateway_user_tokens{<JOB>,window="day",user=~"$user"})',
                    "Tokens",
                ),
            ),
            looks={"Spend": Look(unit="currencyUSD")},
            link=USERS_PAGE,
        ),
    ),
)

BOARD = Board(
    uid="ai-gateway-users",
    title="AI Gateway: users and budgets",
    description="Which budgets are near their limit, what the limits do, and who spends most.",
    since="now-7d",
    refresh="1m",
    choices=(JOB, INSTANCE, SCOPE, BUDGET, USER, WINDOW),
    staff_page=Link("Staff pages: users", "${gateway_url}/admin/ai-analytics/users/"),
    rows=(STATE, BUDGETS, DECISIONS, USERS),
)
