"""The closed table of problems: the meaning of each ``type``, and what to do about it.

A code is part of the API: it is never renamed, and its meaning never changes.
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
    "duplicate_key": Problem(
        400, "An object has a duplicate key", "Send each key of an object once."
    ),
    "unauthorized": Problem(
        401,
        "No valid key",
        "Send one header Authorization: Bearer htk_... with a key that is not revoked.",
    ),
    "forbidden": Problem(
        403,
        "This is not allowed with this key or role",
        "Use a key with a wider scope (a project key to manage accounts, an operator key for "
        "projects), or ask an owner for a role that allows it.",
    ),
    "loop_detected": Problem(
        508,
        "A delivery came back to its sender",
        "Change the endpoint's URL: it leads to this server, which accepts its own deliveries in "
        "request bins only.",
    ),
    "not_found": Problem(
        404,
        "Not found",
        "Check the id, name or reference. Anything outside the key's scope returns 404, too.",
    ),
    "method_not_allowed": Problem(
        405, "This method is not allowed here", "Use a method from the Allow header."
    ),
    "request_timeout": Problem(
        408, "The request arrived too slowly", "Send it faster: within 10 seconds, or at 50 KB/s."
    ),
    "body_too_large": Problem(413, "The body is too large", "Send a smaller body."),
    "unsupported_media_type": Problem(
        415,
        "This content type is not supported",
        "Send application/json in UTF-8 (a project file: application/toml).",
    ),
    "unsupported_encoding": Problem(
        415, "This content encoding is not supported", "Send the body without Content-Encoding."
    ),
    "head_too_large": Problem(
        431, "The request's head is too large", "Send a shorter URL, or fewer and shorter headers."
    ),
    "http_version": Problem(
        505, "This HTTP version is not supported", "Use HTTP/1.1, or a proxy that speaks it."
    ),
    "transfer_coding": Problem(
        501, "This transfer coding is not supported", "Send the body unencoded, or only chunked."
    ),
    "invalid_body": Problem(
        422, "The body is invalid", "See errors: each names a field and the rule it breaks."
    ),
    "invalid_query": Problem(
        422,
        "A query parameter is invalid",
        "See errors: each names a parameter and the rule it breaks.",
    ),
    "invalid_cursor": Problem(
        422,
        "This cursor is not valid for this list",
        "Use next_cursor unchanged, with the same key and filters, or start from the first page.",
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
    "project_in_use": Problem(409, "The project has accounts", "Delete its accounts first."),
    "plan_in_use": Problem(
        409,
        "Accounts are on a plan that would be deleted",
        "Move them to another plan first. Nothing was changed.",
    ),
    "too_many_event_types": Problem(
        409,
        "The project has the maximum number of event types",
        "The detail has the limit. Delete an unused event type first. Nothing was changed.",
    ),
    "event_types_in_use": Problem(
        409,
        "Endpoints subscribe to event types that would be deleted",
        "The detail names them. Keep them in the project, or add ?remove_event_types=true. "
        "Nothing was changed.",
    ),
    "project_exists": Problem(
        422, "A project with this name exists", "Choose another name, or edit the existing project."
    ),
    "plan_exists": Problem(
        422, "A plan with this name exists", "Choose another name, or edit the existing plan."
    ),
    "type_exists": Problem(
        422,
        "An event type with this name exists",
        "Choose another name, or edit the existing type.",
    ),
    "default_plan": Problem(
        422,
        "The default plan cannot be deleted",
        "Make another plan the default first. Nothing was changed.",
    ),
    "edit_conflict": Problem(
        409,
        "This was changed by someone else meanwhile",
        "Your change was not saved. Load the current version, and repeat your change there.",
    ),
    "project_missing": Problem(
        422,
        "The project is missing",
        "Name the project: an operator key has access to all of them.",
    ),
    "account_exists": Problem(
        409, "An account with this reference exists", "Use that account, or another reference."
    ),
    "account_missing": Problem(
        422, "The account is missing", "Name it by its acc_ id or your own reference."
    ),
    "payload_erased": Problem(
        410,
        "The payload of this event was erased",
        "It cannot be sent again. Publish the event again, with its payload.",
    ),
    "delivery_held": Problem(
        409, "The delivery is held", "It is sent automatically when the plan's hourly limit allows."
    ),
    "delivery_ended": Problem(
        409,
        "The delivery has ended",
        "Only a delivery that is pending can be retried now; pending and held ones can be stopped.",
    ),
    "last_operator_key": Problem(
        409,
        "This is the last operator key",
        "Create another one first, or add ?force=true. Starting the server with "
        "HOOKTIDE_OPERATOR_KEY also creates one.",
    ),
    "key_known": Problem(409, "This key was in use before", "Generate another one."),
    "ambiguous_account": Problem(
        409,
        "Several projects have an account with this reference",
        "Name the project, in the Hooktide-Project header or with --project; or give the account's "
        "acc_ id.",
    ),
    "invalid_reference": Problem(
        422,
        "This reference is invalid",
        "Use 1 to 200 visible characters that do not look like an id.",
    ),
    "invalid_text": Problem(
        422, "This text is invalid", "Remove control characters, and spaces at its ends."
    ),
    "unknown_plan": Problem(
        422, "The project has no such plan", "Use one of the plans in the project's file."
    ),
    "invalid_key_scope": Problem(
        422,
        "The scope and its owner do not match",
        'Name a project for "project", an account for "account", and neither for "operator".',
    ),
    "user_exists": Problem(
        409,
        "Another user has this name",
        "Choose another name; capitalisation makes no difference.",
    ),
    "last_owner": Problem(
        409, "This is the last owner of all projects", "Make another user an owner first."
    ),
    "invalid_password": Problem(
        422,
        "This password is not allowed",
        "Use 12 to 200 characters, at least 5 different ones, and not the user name.",
    ),
    "login_failed": Problem(
        401, "The login failed", "Check the name and the password, or the key."
    ),
    "too_many_logins": Problem(
        429,
        "Too many failed logins",
        "Wait for Retry-After, or log in with a link or a key.",
    ),
    "unknown_event_type": Problem(
        422, "The project has no such event type", "See GET /v1/event-types."
    ),
    "invalid_event_type": Problem(
        422, "The event type is invalid", "See errors: each names a field and the rule it breaks."
    ),
    "invalid_url": Problem(
        422,
        "This URL is not allowed",
        "Use a public https:// URL. See errors for the rule it breaks.",
    ),
    "invalid_kind": Problem(
        422,
        "The URL does not match the kind",
        "Omit kind: it is detected from the URL. Chats on your own host must be allowed by the "
        "server's operator, with --chat-host.",
    ),
    "invalid_headers": Problem(
        422, "These headers are not allowed", "See errors for the header and the rule."
    ),
    "invalid_filter": Problem(
        422,
        "The filter cannot be used",
        "See errors: the pointer names the member, and the detail says what would be right.",
    ),
    "invalid_channels": Problem(
        422,
        "The channels cannot be used",
        "See errors. A channel is 1 to 128 letters, digits and - _ . characters; an endpoint has "
        "10 at most, or as many as its plan allows, and an event 5.",
    ),
    "invalid_tags": Problem(
        422,
        "The tags cannot be used",
        "See errors. A tag is 1 to 128 letters, digits and - _ . : / # characters; an event has 10 "
        "at most.",
    ),
    "invalid_metadata": Problem(
        422,
        "The metadata cannot be used",
        "See errors. Metadata is an object of texts, 4,096 bytes as JSON at most, or what the plan "
        "allows.",
    ),
    "endpoint_reference_taken": Problem(
        409,
        "An endpoint of the account has this reference",
        "Use another reference, or change that endpoint.",
    ),
    "invalid_rate": Problem(
        422,
        "This rate is not allowed",
        "See errors: the pointer names the member, and the detail says what is allowed.",
    ),
    "invalid_schedule": Problem(
        422,
        "These delays or this timeout are not allowed",
        "See errors: the pointer names the member, and the detail says what is allowed.",
    ),
    "invalid_retention": Problem(
        422,
        "The payload cannot be kept for so long",
        "`retention_days` is 5 to 90, and at most the project's `retention`.",
    ),
    "webhooks_not_offered": Problem(
        403,
        "Webhooks are not offered to this account",
        "Add the account's reference to accounts in the project file.",
    ),
    "event_type_not_offered": Problem(
        403,
        "This event type is not offered to this account",
        "Add the account's reference to the event type's accounts in the project file.",
    ),
    "plan_limit_reached": Problem(
        403,
        "The account's plan limit is reached",
        "See limit. Move the account to a larger plan, or wait if there is a Retry-After.",
    ),
    "too_many_tests": Problem(
        429,
        "Too many tests",
        "Wait for Retry-After: for a running test to end, or for the plan's rate to allow another.",
    ),
    "too_many_changes": Problem(
        429,
        "Too many changes per second",
        "Wait for Retry-After. An account's own key and portal are limited to the "
        "plan's changes_per_second; a project's key is not.",
    ),
    "disabled_by_provider": Problem(
        403, "The provider disabled the endpoint", "Ask the provider's support to enable it."
    ),
    "endpoint_disabled": Problem(
        409, "The endpoint is disabled", "Enable it first: POST /v1/endpoints/{id}/enable."
    ),
    "endpoint_deleted": Problem(
        409,
        "The endpoint was deleted",
        "Create a new endpoint; nothing can be sent to a deleted one.",
    ),
    "not_indexed": Problem(
        422,
        "The project indexes nothing for search",
        'Name paths into its payloads in the project file: index = ["invoice.number"].',
    ),
    "invalid_search": Problem(
        422, "There is nothing to search for", "Give a text that is not only white space."
    ),
    "search_too_broad": Problem(
        422, "Too much begins with this text", "Give more of the value that you look for."
    ),
    "invalid_replay": Problem(
        422,
        "The replay is incomplete",
        'Give since for "failed" and "missed", and only event for "event".',
    ),
    "replay_running": Problem(
        409,
        "A replay of this endpoint is running",
        "Wait until it is done, or cancel it: POST /v1/replays/{id}/cancel. detail names it.",
    ),
    "job_running": Problem(
        409,
        "A job on these deliveries is running",
        "Wait until it is done, or cancel it: POST /v1/delivery-jobs/{id}/cancel. detail names it.",
    ),
    "too_many_secrets": Problem(
        409, "Too many active secrets", "Wait until the oldest has expired."
    ),
    "too_many_bins": Problem(
        409,
        "This scope has 100 bins",
        "Reuse or delete one of them; give new ones a shorter ttl_seconds.",
    ),
    "invalid_event": Problem(
        422, "The event is invalid", "See errors: each names a field and the rule it breaks."
    ),
    "invalid_batch": Problem(422, "The batch is empty or too long", "Send 1 to 1,000 events."),
    "invalid_time": Problem(
        422, "This is not a valid time", "Write it like 2026-01-31T12:00:00Z, with its offset."
    ),
    "payload_too_large": Problem(413, "The payload is too large", "Send 256 KB at most."),
    "payload_breaks_schema": Problem(
        422, "The payload does not match its schema", "See errors for each field and rule."
    ),
    "payload_not_an_object": Problem(
        422, "The payload is not an object", "This project's envelope uses fields of the payload."
    ),
    "payload_member_missing": Problem(
        422, "The payload lacks a field", "This project's envelope requires it in the payload."
    ),
    "transition_missing": Problem(
        422, "The transition is missing", "This project's events require a transition: add it."
    ),
    "transition_too_long": Problem(
        422, "The transition is too long", "Use at most 200 characters."
    ),
    "invalid_idempotency_key": Problem(
        422, "The idempotency key is invalid", "Use at most 255 characters, without U+0000."
    ),
    "idempotency_key_of_batch": Problem(
        422,
        "The Idempotency-Key header is for one event",
        "Give each event of an array its own idempotency_key.",
    ),
    "idempotency_key_twice": Problem(
        422, "Two idempotency keys", "Send the key either in the header or in the body."
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
        "Internal error",
        "Report the instance to the server's operator, who finds it in the log.",
    ),
    "storage_full": Problem(
        507,
        "The storage is full",
        "Repeat the request after Retry-After seconds; the operator must free storage.",
    ),
    "unavailable": Problem(
        503,
        "Temporarily unavailable",
        "Repeat the request after Retry-After seconds; publish with an idempotency key.",
    ),
}
