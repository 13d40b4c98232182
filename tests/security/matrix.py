"""The security matrix as data: each attack, what has to come of it, and what shows that it does.

`python -m tests.security.matrix` writes docs/security-matrix.md anew.
"""

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "security-matrix.md"
HEAD = """# The security matrix

What was tried against the gateway, what has to come of it, and the tests of `make test` that show
it. Written by `python -m tests.security.matrix` from `tests/security/matrix.py`; a test compares.
Where the remark says so, something is left open. Who could attack, and what is not covered at all,
is in [SECURITY.md](../SECURITY.md).

"""


FUZZING = Path(__file__).with_name("fuzz") / "section.md"
"""What is written below the matrix, with the figures of a run."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One row. `tests` show it; `remark` is what they leave open, or why there is none."""

    row: str
    attack: str
    outcome: str
    tests: tuple[str, ...] = ()
    remark: str = ""


FRONT = "security/test_front.py::"
BYTES = FRONT + "test_what_two_servers_could_read_differently_is_refused"
BAD_INPUT = "e2e/test_bad_input.py::test_bad_request_is_refused_with_its_reason_and_costs_nothing"
HOSTILE = "security/test_hostile_calls.py::"
FUZZ = "security/test_fuzz.py::"
ROUTES = "security/test_every_route.py::"
CANARIES = "security/test_canaries.py::"
LOG_IN = "web/admin/test_login.py::"
ANSWERS = "web/admin/test_answers.py::"

ATTACKS = (
    Attack(
        "S1",
        "Length and chunks, two lengths, a signed or hexadecimal length",
        "400, closed",
        (BYTES, FRONT + "test_nothing_that_comes_after_a_refused_request_is_answered"),
    ),
    Attack("S2", "Unknown or doubled transfer codings, chunks in HTTP/1.0", "400 or 501", (BYTES,)),
    Attack(
        "S3",
        "Space before a colon, folded lines, NUL; lines that end in a line feed alone",
        "400; or written anew, so that both servers read the same",
        (BYTES,),
        "nginx takes a line feed alone, as RFC 9112 allows, and writes the header anew",
    ),
    Attack("S4", "A wrong or endless size of a chunk", "400, closed", (BYTES,)),
    Attack(
        "S5",
        "No host, two, an unknown one, another in the address",
        "400 or 421; one name is served",
        (BYTES, FRONT + "test_only_the_name_of_the_gateway_is_served"),
        "the gateway without nginx serves every name",
    ),
    Attack(
        "S6",
        "`X_Api_Key` for `X-Api-Key`",
        "never reaches the gateway",
        (FRONT + "test_a_client_says_nothing_of_addresses_names_and_keys_that_it_may_not",),
    ),
    Attack("S7", "101 headers, a header or an address of 9 KB", "400, 414 or 431", (BYTES,)),
    Attack(
        "S8",
        "Heads and bodies that are sent slowly",
        "hung up on; the gateway sees none of them",
        (FRONT + "test_who_sends_slowly_is_hung_up_on_and_never_reaches_the_gateway",),
        "a byte now and then keeps a connection of nginx, and nothing of the gateway; how others "
        "fare meanwhile was not measured",
    ),
    Attack(
        "S9",
        "Clients that read nothing",
        "little is held for them, hung up on after 30 s",
        (
            FRONT + "test_who_does_not_read_is_hung_up_on_and_little_waits_for_them",
            "services/test_relay.py::test_client_that_reads_nothing_stops_the_reader",
        ),
        "one at a time, not 200",
    ),
    Attack(
        "S10",
        "Line ends in models, names, addresses, queries",
        "refused or escaped; in no header",
        (
            ROUTES + "test_a_line_end_makes_no_header",
            BAD_INPUT,
            "web/test_unmatched.py::test_nothing_that_was_sent_comes_back_unescaped",
        ),
    ),
    Attack("S11", "A body above 20 MB, with and without a length", "413", (BAD_INPUT, BYTES)),
    Attack("S12", "A compressed body", "415", (BAD_INPUT,)),
    Attack(
        "S13",
        "JSON: depth 100,000, a million members, endless lists, NaN, half a surrogate",
        "400 after few steps",
        (
            HOSTILE + "test_a_bomb_is_refused_after_few_steps",
            HOSTILE + "test_a_text_may_have_as_many_signs_as_it_likes",
            "providers/test_requests.py::test_any_bytes_are_read_or_refused",
            FUZZ + "test_changed_bytes_are_read_right",
        ),
        "20 MB of the smallest parts are refused after 3 to 70 ms of CPU; what is just allowed "
        "takes up to 100 ms to read",
    ),
    Attack(
        "S14",
        "Fields named twice, or in another case",
        "what was checked is what is sent",
        ("providers/test_requests.py::test_the_later_of_two_equal_names_counts_and_alone_goes_on",),
    ),
    Attack(
        "S15",
        "Caps of -1, 1e18, text; `n` of a million",
        "400, or counted in the hold",
        (BAD_INPUT, "providers/test_requests.py::test_choices_of_openai_are_counted"),
    ),
    Attack(
        "S16",
        "`base_url`, `api_key`, a provider or a proxy in body, header or query",
        "the call goes where the operator said, with the operator's key",
        (HOSTILE + "test_no_request_says_where_it_goes_or_with_which_key",),
    ),
    Attack(
        "S17",
        "Addresses of pictures: metadata, files, hosts inside",
        "passed on, never fetched",
        (HOSTILE + "test_an_address_in_a_prompt_is_passed_on_and_not_fetched",),
    ),
    Attack(
        "S19",
        "A provider that leads elsewhere",
        "not followed, 502",
        (
            "providers/test_transport.py::test_redirect_is_not_followed",
            "e2e/test_bad_input.py::test_fault_of_the_provider_is_told_and_settled_once",
        ),
    ),
    Attack(
        "S20",
        "Cookies and other headers of a provider",
        "dropped",
        ("services/test_proxy.py::test_no_header_of_the_provider_leaks",),
    ),
    Attack(
        "S21",
        "Models like `../admin`, with a line end, of 10 KB",
        "host and path are the operator's",
        (BAD_INPUT, "e2e/test_stored_responses.py::test_name_that_is_no_name_leads_nowhere"),
    ),
    Attack(
        "S22",
        "Keys with signs of SQL, Redis, patterns; of a megabyte; not ASCII",
        "401, nothing is asked",
        (
            HOSTILE + "test_what_is_no_key_is_refused_without_a_question",
            "domain/test_virtual_key.py::test_any_text_is_a_key_or_none_without_an_error",
        ),
    ),
    Attack(
        "S23",
        "A known key with a wrong secret, an unknown key",
        "the same answer after the same steps",
        (
            HOSTILE + "test_a_wrong_secret_and_an_unknown_key_are_told_apart_by_nothing",
            "web/test_error_bodies.py::test_every_fault_of_a_key_has_one_and_the_same_answer",
        ),
        "by the questions asked and digests made; a key that a worker knows costs two more "
        "comparisons of 64 bytes, below a microsecond",
    ),
    Attack(
        "S24",
        "Keys tried by the thousand",
        "401; neither store is asked; limits by address in nginx",
        (
            HOSTILE + "test_what_is_no_key_is_refused_without_a_question",
            "telemetry/test_refusals.py::test_a_flood_of_strangers_is_one_entry_for_each_reason",
        ),
        "a key of the right form and checksum costs one question to Redis",
    ),
    Attack(
        "S25",
        "Revoked and expired keys, disabled users",
        "refused on the very next call",
        (
            (
                "web/test_key_lifecycle.py::"
                "test_after_a_revoke_the_very_next_call_at_another_worker_is_refused"
            ),
            (
                "web/admin/test_disabled_user.py::"
                "test_keys_stop_with_the_next_call_and_sessions_with_the_next_page"
            ),
            "e2e/test_bad_input.py::test_key_is_refused_what_it_is_not_for",
        ),
    ),
    Attack(
        "S26",
        "A key in the address",
        "not taken, in no log; who sends it is told to revoke it",
        (
            "e2e/test_bad_input.py::test_key_in_the_address_is_not_taken",
            CANARIES + "test_no_secret_is_anywhere",
            FRONT + "test_no_log_has_what_was_in_a_query_or_a_header",
            HOSTILE + "test_whoever_sends_a_key_in_the_address_is_told_to_revoke_it",
        ),
    ),
    Attack(
        "S27",
        "Two different keys in one request",
        "400",
        (HOSTILE + "test_two_keys_in_one_request_are_refused_everywhere",),
    ),
    Attack(
        "S28",
        "Calls, keys, responses of another user, by every route",
        "404, and no trace of them",
        (
            "web/test_two_users.py::test_nothing_that_is_read_tells_of_another",
            "web/test_two_users.py::test_nothing_of_another_is_changed",
            ROUTES + "test_what_is_deleted_is_ones_own",
            "e2e/test_stored_responses.py::test_response_of_another_user_does_not_exist",
        ),
    ),
    Attack(
        "S29",
        "A user's key with more rights than the user",
        "refused",
        (
            "web/me/test_keys.py::test_a_key_is_never_wider_than_its_owner",
            "services/test_key_admin.py::test_what_is_wider_than_the_owner_or_makes_no_sense_is_refused",
        ),
    ),
    Attack(
        "S30",
        "Fields that a form or a body has not: role, spend, owner",
        "no effect, or 400",
        (
            "web/admin/test_users.py::test_a_field_that_is_not_in_the_form_changes_nothing",
            "web/api/test_keys.py::test_what_makes_no_key",
        ),
    ),
    Attack(
        "S31",
        "A route that says not who may use it",
        "closed to all; the tests fail",
        (
            "web/admin/test_access.py::test_a_view_without_a_permission_is_closed_to_all",
            "web/admin/test_access.py::test_every_route_belongs_to_a_page_and_every_page_has_one",
            ROUTES + "test_without_credentials_every_method_of_every_route_is_closed",
        ),
    ),
    Attack(
        "S32",
        "Every method of every route without credentials",
        "401, 403, 404, 405; 400 for a form without its token; people are led to the log-in",
        (
            ROUTES + "test_without_credentials_every_method_of_every_route_is_closed",
            ROUTES + "test_a_session_is_worth_nothing_where_a_key_is_asked_for",
        ),
    ),
    Attack(
        "S33",
        "Many passwords for one user, one for many users",
        "pauses, and nothing told of who exists",
        (
            "stores/test_log_in_limits.py::test_one_address_fails_thirty_times_over_all_users",
            (
                "stores/test_log_in_limits.py::"
                "test_a_user_attacked_from_everywhere_waits_longer_each_time_and_never_for_good"
            ),
            LOG_IN + "test_every_failure_reads_the_same",
            "services/test_sign_in.py::test_a_stranger_does_the_same_work_as_a_wrong_password",
            FRONT + "test_log_ins_from_one_address_are_few",
        ),
    ),
    Attack(
        "S34",
        "A session from before the log-in, after the log-out, after another password",
        "worthless",
        (
            LOG_IN + "test_logging_out_kills_the_session_and_not_only_the_cookie",
            LOG_IN + "test_each_log_in_has_a_session_of_its_own_and_ends_the_one_before",
            LOG_IN + "test_a_token_of_a_form_from_before_the_log_in_is_worthless_after_it",
            (
                "web/admin/test_password.py::"
                "test_after_a_change_only_the_new_one_works_and_other_sessions_are_gone"
            ),
        ),
    ),
    Attack(
        "S35",
        "The cookie",
        "exact flags, on TLS and at loopback",
        (
            LOG_IN + "test_the_cookie_everywhere_else",
            LOG_IN + "test_the_cookie_on_plain_http_at_loopback",
        ),
    ),
    Attack(
        "S36",
        "A form of another site; a form that is sent with HEAD",
        "400, nothing is changed",
        (
            ROUTES + "test_another_site_can_have_a_session_change_nothing",
            ROUTES + "test_a_head_is_a_get_and_changes_nothing",
            "web/admin/test_access.py::test_no_page_takes_a_form_without_its_token",
            "web/api/test_reset.py::test_without_the_token_of_the_session_nothing_changes",
        ),
    ),
    Attack(
        "S37",
        "`?next=//evil`, `javascript:` and the like",
        "the home page",
        (
            LOG_IN + "test_a_foreign_target_becomes_the_home_page",
            LOG_IN + "test_a_log_in_is_not_led_elsewhere",
        ),
    ),
    Attack(
        "S38",
        "Script in names, models, labels, errors",
        "text; the policy blocks it as well",
        (
            "web/admin/test_pages.py::test_names_and_searches_are_text",
            "web/admin/test_alerts.py::test_a_name_is_text_on_the_page",
            ANSWERS + "test_scripts_run_by_a_nonce_that_is_new_each_time",
            ANSWERS + "test_no_page_has_inline_styles_handlers_or_foreign_addresses",
        ),
    ),
    Attack(
        "S39",
        "A staff page in a frame",
        "blocked",
        (ANSWERS + "test_every_answer_has_the_headers",),
    ),
    Attack(
        "S40",
        "Cells that a spreadsheet would run",
        "text; numbers stay numbers",
        (
            "web/test_csv_export.py::test_text_is_harmless_and_numbers_are_untouched",
            "test_cli_ledger.py::test_text_of_a_client_is_no_formula_in_a_spreadsheet",
        ),
    ),
    Attack(
        "S41",
        "Patterns in a search, order by a secret column",
        "taken as text; no such column",
        (
            "web/admin/test_users.py::test_a_search_takes_every_sign_as_it_is",
            "web/admin/test_users.py::test_hashes_of_passwords_are_neither_shown_nor_found",
            "web/api/test_paging.py::test_a_search_is_no_pattern",
        ),
    ),
    Attack(
        "S42",
        "An error of the database",
        "a reference, no SQL",
        (
            "web/admin/test_users.py::test_what_the_database_refuses_has_a_reference_and_no_sql",
            ANSWERS + "test_a_fault_shows_a_reference_that_the_log_has_and_nothing_else",
        ),
    ),
    Attack(
        "S43",
        "Debuggers, consoles, TRACE, files of the project",
        "404 or 405",
        (
            ROUTES + "test_without_credentials_every_method_of_every_route_is_closed",
            BYTES,
            "web/test_unmatched.py::test_a_program_elsewhere_gets_the_plain_answer",
        ),
    ),
    Attack(
        "S44",
        "`/metrics` from outside; a flood of paths, models, methods",
        "403, 404 through nginx; the number of series stays",
        (
            "web/test_probes.py::test_a_proxy_on_loopback_needs_the_token",
            "web/test_probes.py::test_from_afar_only_the_token_opens",
            BYTES,
            "telemetry/test_live_metrics.py::test_strange_requests_do_not_move_the_number_of_series",
        ),
    ),
    Attack(
        "S45",
        "A false `X-Forwarded-For`",
        "counts only as far as a known proxy wrote it",
        (
            (
                "web/test_client_address.py::"
                "test_a_header_counts_only_as_far_as_known_proxies_wrote_it"
            ),
            "web/test_client_address.py::test_without_proxies_nobody_is_believed",
            FRONT + "test_a_client_says_nothing_of_addresses_names_and_keys_that_it_may_not",
        ),
    ),
    Attack(
        "S46",
        "A false scheme, host, prefix or script name",
        "overwritten, or not believed",
        (
            FRONT + "test_a_client_says_nothing_of_addresses_names_and_keys_that_it_may_not",
            FRONT + "test_only_known_proxies_say_that_a_browser_speaks_tls",
        ),
    ),
    Attack(
        "S47",
        "`baggage`, `langsmith-trace`, `traceparent` of a client",
        "go nowhere",
        (HOSTILE + "test_no_request_says_where_it_goes_or_with_which_key",),
    ),
    Attack(
        "S48",
        "A prompt, a key, a provider's key, a password, planted everywhere",
        "in no log, trace, figure, page, answer, and in neither store",
        (
            CANARIES + "test_no_secret_is_anywhere",
            CANARIES + "test_what_was_looked_through_is_what_there_is",
            (
                "langsmith/test_calls.py::"
                "test_a_call_is_one_run_with_our_tokens_cost_user_and_no_content"
            ),
        ),
        "not looked for in a core dump; the tests' database is SQLite",
    ),
    Attack(
        "S49",
        "Stolen copies of both stores",
        "no key in them works",
        (CANARIES + "test_a_stolen_copy_of_both_stores_holds_no_key_that_works",),
    ),
    Attack(
        "S51",
        "Secrets that are empty, known, or readable by others",
        "it does not start",
        (
            "test_settings.py::test_wrong_value_is_refused_with_one_line_that_names_the_variable",
            "test_factory.py::test_stores_of_the_operator_need_secrets_of_the_operator",
            "stores/test_embedded.py::test_secrets_that_others_can_reach_are_refused",
        ),
    ),
    Attack(
        "S52",
        "Another `SECRET_KEY` while sessions live",
        "old ones read, new ones signed with it",
        (LOG_IN + "test_sessions_outlive_another_secret_key_and_new_ones_are_signed_with_it",),
        "a form that was open has to be loaded anew",
    ),
    Attack(
        "S53",
        "A request's `Idempotency-Key` with another user or body",
        "kept apart, or refused",
        (
            "services/test_idempotency.py::test_two_users_with_one_value_are_strangers",
            "services/test_idempotency.py::test_two_keys_of_one_user_are_strangers",
            "web/test_idempotency.py::test_another_body_under_the_same_key_is_answered_422",
            "services/test_idempotency.py::test_neither_the_provider_nor_redis_sees_the_value",
            "web/api/test_reset.py::test_the_same_key_acts_once_and_answers_the_same",
            "services/test_key_admin.py::test_a_request_that_is_sent_twice_makes_one_key_and_tells_it_once",
        ),
    ),
    Attack(
        "S54",
        "Hanging up before the last chunk, again and again",
        "charged for what was made",
        (
            "e2e/test_clients_leave.py::test_many_clients_that_leave_at_any_moment_lose_nothing",
            "services/test_settlement.py::test_lower_bound_is_raised_to_what_was_relayed",
        ),
    ),
    Attack(
        "S55",
        "Many calls at once, the first call of a user, the edge of a day",
        "never above the limit",
        (
            "e2e/test_budget_is_a_ceiling.py::test_calls_at_once_do_not_pass_the_limit",
            "stores/test_scripts.py::test_a_call_keeps_the_windows_of_its_admission",
        ),
    ),
    Attack(
        "S56",
        "Usage that is negative, tiny or missing",
        "counted, never credited",
        (
            "providers/test_readings.py::test_negative_count_is_an_anomaly_and_gives_no_credit",
            "services/test_settlement.py::test_missing_usage_is_counted_by_bytes",
            "services/test_settlement.py::test_call_of_which_nothing_is_known_is_never_free",
        ),
    ),
    Attack(
        "S57",
        "Events, ends and usage made up within a text",
        "text stays text",
        (
            "providers/test_readings.py::test_text_of_the_model_is_never_taken_for_the_protocol",
            "providers/test_sse.py::test_each_event_ends_with_a_blank_line_and_holds_no_other",
        ),
    ),
    Attack(
        "S58",
        "An answer that a cache keeps for others",
        "`no-store` everywhere",
        (
            "web/api/test_access.py::test_every_answer_may_be_kept_nowhere",
            ANSWERS + "test_every_answer_has_the_headers",
            "web/test_gateway.py::test_an_answer_names_its_request_and_its_cost",
        ),
    ),
    Attack(
        "S59",
        "Connections that go on after a call was given up",
        "closed, never used again",
        (
            "providers/test_transport.py::test_connection_that_was_interrupted_is_not_used_again",
            (
                "providers/test_transport.py::"
                "test_connection_is_not_used_again_while_something_is_left_on_it"
            ),
        ),
        "for providers; of Redis and SQL the libraries' own rule is relied on",
    ),
    Attack(
        "S60",
        "What a refusal tells of others",
        "figures of one's own budgets and of the one that refused",
        (
            "web/test_error_bodies.py::test_a_refusal_names_the_budget_and_its_figures",
            "web/test_two_users.py::test_nothing_that_is_read_tells_of_another",
        ),
    ),
    Attack(
        "S61",
        "Whoever has the gateway's user of Redis",
        "only what the gateway does",
        (
            "security/test_redis_access.py::test_the_gateway_is_refused_nothing_that_it_does",
            "security/test_redis_access.py::test_what_it_has_no_need_of_is_refused",
            "security/test_redis_access.py::test_a_script_of_somebody_else_may_do_no_more_than_the_user",
            "security/test_redis_access.py::test_names_of_other_keys_can_be_seen_and_nothing_in_them",
        ),
        "a script of one's own can be loaded, names of keys be seen: operating.md tells",
    ),
    Attack(
        "S62",
        "A settled call that nobody can read",
        "put aside; the others flow",
        (
            "services/test_bookkeeping.py::test_an_unreadable_entry_is_set_aside_and_told",
            "stores/test_outbox.py::test_others_flow_past_what_cannot_be_understood",
        ),
    ),
    Attack(
        "S63",
        "Line ends and colours of a terminal in any field",
        "one line, escaped",
        (
            "telemetry/test_logs.py::test_no_text_forges_a_line",
            CANARIES + "test_what_a_client_sends_forges_no_line",
            FRONT + "test_no_log_has_what_was_in_a_query_or_a_header",
        ),
    ),
    Attack(
        "S64",
        "Another content of a pinned package",
        "the install fails",
        ("test_supply_chain.py::test_a_package_whose_content_was_swapped_is_not_installed",),
        "by pip's own check of hashes, with the options of our recipe; we publish no wheel",
    ),
    Attack(
        "S65",
        "HTTP/2: streams opened to be reset, endless headers",
        "bounded at nginx",
        (FRONT + "test_http_2_has_few_streams_at_once_and_bounded_headers",),
        "by nginx's own limits; the flood itself was not tried",
    ),
)


def page() -> str:
    """Write docs/security-matrix.md."""
    shown = sum(bool(attack.tests) for attack in ATTACKS)
    lines = [
        f"{shown} of {len(ATTACKS)} rows have a test; S18 and S50 were merged into others.",
        "",
    ]
    lines += [
        "| # | what is tried | what has to come of it | shown by | remark |",
        "|---|---|---|---|---|",
    ]
    for attack in ATTACKS:
        tests = "<br>".join(f"`{test.replace('::', ' ')}`" for test in attack.tests)
        lines.append(
            f"| {attack.row} | {attack.attack} | {attack.outcome} | {tests} | {attack.remark} |"
        )
    return HEAD + "\n".join(lines) + "\n\n" + FUZZING.read_text(encoding="utf-8")


if __name__ == "__main__":
    PAGE.write_text(page())
