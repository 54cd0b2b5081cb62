"""The closed table of problems: what each ``type`` means and what to do about it.

A code is part of the API: it is never renamed, and never means something else.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem: the status it is answered with, its title, and what to do."""

    status: int
    title: str
    remedy: str


PROBLEMS: dict[str, Problem] = {
    "bad_request": Problem(
        400, "The request is malformed", "Compare it with the API's description, /openapi.json."
    ),
    "invalid_json": Problem(
        400,
        "The body is not valid JSON",
        "Send one JSON value in UTF-8, without NaN, lone surrogates or numbers beyond a double.",
    ),
    "duplicate_key": Problem(400, "A member is there twice", "Send each member of an object once."),
    "unauthorized": Problem(
        401,
        "No valid key",
        "Send one header Authorization: Bearer htk_... with a key that is not revoked.",
    ),
    "forbidden": Problem(
        403,
        "This key does not open that",
        "Use a key with a wider scope: a project's for managing, an operator's for projects.",
    ),
    "loop_detected": Problem(
        508,
        "A delivery came back to its sender",
        "Change the endpoint's URL: it leads to this server, which takes its own deliveries in "
        "request bins only.",
    ),
    "not_found": Problem(
        404,
        "No such thing",
        "Check the id. Anything outside the key's scope returns 404, too.",
    ),
    "method_not_allowed": Problem(
        405, "This method is not allowed here", "Use one of those that the Allow header names."
    ),
    "request_timeout": Problem(
        408, "The request came in too slowly", "Send it at once; it has 10 seconds and 50 KB/s."
    ),
    "body_too_large": Problem(413, "The body is too large", "Send less at once."),
    "unsupported_media_type": Problem(
        415,
        "This content type is not understood",
        "Send application/json in UTF-8 (a project file: application/toml).",
    ),
    "unsupported_encoding": Problem(
        415, "This content encoding is not understood", "Send the body without Content-Encoding."
    ),
    "head_too_large": Problem(
        431, "The head is too large", "Send a shorter URL, or fewer and shorter headers."
    ),
    "http_version": Problem(
        505, "This version of HTTP is not spoken here", "Use HTTP/1.1, or a proxy that speaks it."
    ),
    "transfer_coding": Problem(
        501, "This transfer coding is not understood", "Send the body as it is, or only chunked."
    ),
    "invalid_body": Problem(
        422, "The body breaks a rule", "See errors: each names the place and the rule."
    ),
    "invalid_query": Problem(
        422, "A query parameter breaks a rule", "See errors: each names the parameter and the rule."
    ),
    "invalid_cursor": Problem(
        422,
        "This cursor belongs to no such list",
        "Use next_cursor as it was given, with the same key and the same filters; or start again.",
    ),
    "too_deep": Problem(422, "The JSON is nested too deeply", "Nest at most 64 levels."),
    "invalid_project": Problem(
        422,
        "The project file is wrong",
        "See errors for the line, the key and the reason. Nothing was changed.",
    ),
    "project_name_differs": Problem(
        422, "The file is for another project", "Use the file's own name in the path."
    ),
    "project_in_use": Problem(409, "The project has accounts", "Remove its accounts first."),
    "plan_in_use": Problem(
        409,
        "Accounts are on a plan that would go",
        "Move them to another plan first. Nothing was changed.",
    ),
    "too_many_event_types": Problem(
        409,
        "The project has as many event types as it may",
        "The detail says how many. Remove one that is not used any more. Nothing was changed.",
    ),
    "event_types_in_use": Problem(
        409,
        "Endpoints want event types that would be removed",
        "The detail names them. Keep them in the project, or add ?remove_event_types=true. "
        "Nothing was changed.",
    ),
    "project_exists": Problem(
        422, "There is a project of this name", "Choose another name, or change that project."
    ),
    "plan_exists": Problem(
        422, "There is a plan of this name", "Choose another name, or change that plan."
    ),
    "type_exists": Problem(
        422, "There is an event type of this name", "Choose another name, or change that type."
    ),
    "default_plan": Problem(
        422,
        "The default plan cannot be removed",
        "Make another plan the default one first. Nothing was changed.",
    ),
    "edit_conflict": Problem(
        409,
        "Somebody else changed this meanwhile",
        "Nothing was changed. Read what is there now, and make your change to that.",
    ),
    "project_missing": Problem(
        422, "The project is not named", "Name it: an operator's key reaches all of them."
    ),
    "account_exists": Problem(
        409, "There is an account with this reference", "Use that account, or another reference."
    ),
    "account_missing": Problem(
        422, "The account is not named", "Name it, by its acc_ id or the product's own reference."
    ),
    "delivery_held": Problem(
        409, "The delivery is held", "It is sent by itself when the plan's hour has room."
    ),
    "last_operator_key": Problem(
        409,
        "This is the last operator's key",
        "Make another one first, or add ?force=true. A new key is also made by starting the server "
        "with HOOKTIDE_OPERATOR_KEY.",
    ),
    "key_known": Problem(409, "This key was in use before", "Make another one."),
    "ambiguous_account": Problem(
        409,
        "Several projects have this reference",
        "Name the project, in the Hooktide-Project header or with --project; or give the account's "
        "acc_ id.",
    ),
    "invalid_reference": Problem(
        422,
        "This reference cannot be used",
        "Use 1 to 200 visible characters that do not look like an acc_ id.",
    ),
    "invalid_text": Problem(
        422, "This text cannot be used", "Leave out control characters and spaces at its ends."
    ),
    "unknown_plan": Problem(
        422, "The project has no such plan", "Use one of the plans in the project's file."
    ),
    "invalid_key_scope": Problem(
        422,
        "The scope and what it names do not fit",
        'Name a project for "project", an account for "account", and neither for "operator".',
    ),
    "user_exists": Problem(
        409, "Somebody has this name", "Choose another; capitals make no difference."
    ),
    "last_owner": Problem(
        409, "Nobody would be left who owns all projects", "Make somebody else an owner first."
    ),
    "invalid_password": Problem(
        422,
        "This password cannot be used",
        "Use 12 to 200 characters, at least 5 different ones, and not the user name.",
    ),
    "login_failed": Problem(
        401, "Nobody is logged in with that", "Check the name and the password, or the key."
    ),
    "too_many_logins": Problem(
        429,
        "Too many logins failed",
        "Wait as long as Retry-After says, or log in with a link or a key.",
    ),
    "unknown_event_type": Problem(
        422, "The project has no such event type", "See GET /v1/event-types."
    ),
    "invalid_event_type": Problem(
        422, "The event type breaks a rule", "See errors: each names the place and the rule."
    ),
    "invalid_url": Problem(
        422,
        "This URL cannot be sent to",
        "Use a public https:// URL. errors names the rule that it breaks.",
    ),
    "invalid_kind": Problem(
        422,
        "The URL is not of this kind",
        "Leave kind out: the URL says what it is. A chat on a host of your own has to be named by "
        "the server's operator, with --chat-host.",
    ),
    "invalid_headers": Problem(
        422, "These headers cannot be added", "errors names the header and the rule."
    ),
    "webhooks_not_offered": Problem(
        403,
        "Webhooks are not offered to this account",
        "Add the account's reference to accounts in the project's file.",
    ),
    "event_type_not_offered": Problem(
        403,
        "This event type is not offered to this account",
        "Add the account's reference to the event type's accounts in the project's file.",
    ),
    "plan_limit_reached": Problem(
        403,
        "The account's plan is used up",
        "limit says how much it allows. Move the account to a larger plan, or wait where "
        "Retry-After says so.",
    ),
    "too_many_tests": Problem(
        429,
        "Too many tests",
        "Wait as long as Retry-After says: for a test that is out to end, or for the plan's next.",
    ),
    "too_many_changes": Problem(
        429,
        "Too many changes at once",
        "Wait as long as Retry-After says. An account's own key and portal are limited to the "
        "plan's changes_per_second; a project's key is not.",
    ),
    "disabled_by_provider": Problem(
        403, "The provider disabled the endpoint", "Ask the provider's support to enable it."
    ),
    "endpoint_disabled": Problem(
        409, "The endpoint is disabled", "Enable it first: POST /v1/endpoints/{id}/enable."
    ),
    "endpoint_deleted": Problem(
        409, "The endpoint was removed", "Nothing can be sent to it any more; make a new one."
    ),
    "invalid_replay": Problem(
        422,
        "The replay is not fully said",
        'Give since for "failed" and "missed", and event, alone, for "event".',
    ),
    "replay_running": Problem(
        409,
        "A replay of this endpoint is running",
        "Wait until it is done, or cancel it: POST /v1/replays/{id}/cancel. detail names it.",
    ),
    "too_many_secrets": Problem(
        409, "Too many secrets sign at once", "Wait until the oldest has retired."
    ),
    "too_many_bins": Problem(
        409,
        "This scope has 100 bins",
        "Use one of them again, or remove one; give new ones a shorter ttl_seconds.",
    ),
    "invalid_event": Problem(
        422, "The event breaks a rule", "See errors: each names the place and the rule."
    ),
    "invalid_batch": Problem(422, "The batch is empty or too long", "Send 1 to 1,000 events."),
    "invalid_time": Problem(
        422, "This is no instant", "Write it like 2026-01-31T12:00:00Z, with its offset."
    ),
    "payload_too_large": Problem(413, "The payload is too large", "Send 256 KB at most."),
    "payload_breaks_schema": Problem(
        422, "The payload breaks its schema", "errors names each place and rule."
    ),
    "payload_not_an_object": Problem(
        422, "The payload is not an object", "This project's envelope takes members from it."
    ),
    "payload_member_missing": Problem(
        422, "The payload lacks a member", "This project's envelope takes it from the payload."
    ),
    "transition_missing": Problem(
        422, "The transition is missing", "This project's events tell what happened: add it."
    ),
    "transition_too_long": Problem(422, "The transition is too long", "200 characters at most."),
    "invalid_idempotency_key": Problem(
        422, "The idempotency key cannot be used", "Send 255 characters at most, without U+0000."
    ),
    "idempotency_key_of_batch": Problem(
        422,
        "The Idempotency-Key header is for one event",
        "Give each event of an array its own idempotency_key.",
    ),
    "idempotency_key_twice": Problem(
        422, "Two idempotency keys", "Send it in the header or in the body, not two of them."
    ),
    "idempotency_key_reuse": Problem(
        422,
        "The idempotency key was used for another event",
        "Use a new key for a new event. Nothing was stored.",
    ),
    "project_not_live": Problem(
        409,
        "The project is in test mode",
        'Publish with "test": true, or set mode = "live" in the project\'s file.',
    ),
    "internal": Problem(
        500,
        "Something went wrong here",
        "It is our fault. Tell the operator the instance: the log has it too.",
    ),
    "storage_full": Problem(
        507,
        "No room for more events",
        "Make the same request again after Retry-After seconds; the operator has to free storage.",
    ),
    "unavailable": Problem(
        503,
        "Not available just now",
        "Make the same request again after Retry-After seconds; publish with an idempotency key.",
    ),
}
