"""SQL that violates each check of the audit: (check, for SQLite, for PostgreSQL).

If the change violates other checks too, their names follow.
"""

BREAKAGES: list[tuple[str, str, str]] = [
    (
        "fan_out",
        "UPDATE events SET deliveries = deliveries + 1 WHERE type = 'other.thing'",
        "UPDATE hooktide.events SET deliveries = deliveries + 1 WHERE type = 'other.thing'",
    ),
    (
        "fan_out",
        """INSERT INTO deliveries (id, event_id, endpoint_id, account_id, project_id, origin, state,
            attempts, claim, ended_at)
        SELECT id + 1024000, event_id, endpoint_id, account_id, project_id, origin, 'discarded',
            0, 0, 1
        FROM deliveries WHERE endpoint_id = :small""",
        """INSERT INTO hooktide.ended
        SELECT id + 1024000, event_id, endpoint_id, account_id, project_id, origin, 'discarded',
            0, 1, ''
        FROM hooktide.deliveries WHERE endpoint_id = :small""",
    ),
    (
        "missed unwanted",
        """UPDATE deliveries SET endpoint_id = :quiet WHERE endpoint_id = :good
        AND event_id IN (SELECT id FROM events WHERE type = 'contact.updated')""",
        """UPDATE hooktide.ended SET endpoint_id = :quiet WHERE endpoint_id = :good
        AND event_id IN (SELECT id FROM hooktide.events WHERE type = 'contact.updated')""",
    ),
    (
        "unwanted",
        "UPDATE events SET type = 'other.thing' WHERE type = 'invoice.sent'",
        "UPDATE hooktide.events SET type = 'other.thing' WHERE type = 'invoice.sent'",
    ),
    (
        "states",
        "UPDATE deliveries SET state = 'lost' WHERE endpoint_id = :removed",
        "UPDATE hooktide.ended SET state = 'lost' WHERE endpoint_id = :removed",
    ),
    (
        "states",
        "UPDATE deliveries SET due_at = NULL WHERE endpoint_id = :flaky AND state = 'pending'",
        "UPDATE hooktide.queue SET due_at = NULL WHERE endpoint_id = :flaky",
    ),
    (
        "orphans indexed_values",
        "DELETE FROM events WHERE type = 'other.thing'",
        "DELETE FROM hooktide.events WHERE type = 'other.thing'",
    ),
    (
        "orphans",
        """INSERT INTO attempts SELECT id + 2048, started_at, duration, status, error, detail,
            request_head, response_head, response_body, response_truncated
        FROM attempts ORDER BY id DESC LIMIT 1""",
        """INSERT INTO hooktide.attempts
        SELECT delivery_id + 2048000, number, account_id, started_at, duration, status, error,
            detail, request_head, response_head, response_body, response_truncated
        FROM hooktide.attempts ORDER BY delivery_id DESC LIMIT 1""",
    ),
    (
        "attempt_numbers",
        """DELETE FROM attempts WHERE id IN (
            SELECT id + 1 FROM deliveries WHERE endpoint_id = :flaky AND attempts = 2)""",
        """DELETE FROM hooktide.attempts WHERE number = 1 AND delivery_id IN (
            SELECT id FROM hooktide.ended WHERE endpoint_id = :flaky AND attempts = 2)""",
    ),
    (
        "attempt_numbers",
        "UPDATE deliveries SET attempts = 0 WHERE state = 'delivered' AND endpoint_id = :flaky",
        "UPDATE hooktide.ended SET attempts = 0 WHERE state = 'delivered' AND endpoint_id = :flaky",
    ),
    (
        "retries",
        """INSERT INTO attempts SELECT id + 1, started_at + 60000000, duration, status, error,
            detail, request_head, response_head, response_body, response_truncated
        FROM attempts WHERE id IN (
            SELECT id + 2 FROM deliveries WHERE endpoint_id = :flaky AND state = 'failed');
        UPDATE deliveries SET attempts = 3 WHERE endpoint_id = :flaky AND state = 'failed'""",
        """INSERT INTO hooktide.attempts
        SELECT delivery_id, 3, account_id, started_at + 60000000, duration, status, error, detail,
            request_head, response_head, response_body, response_truncated
        FROM hooktide.attempts WHERE number = 2 AND delivery_id IN (
            SELECT id FROM hooktide.ended WHERE endpoint_id = :flaky AND state = 'failed');
        UPDATE hooktide.ended SET attempts = 3 WHERE endpoint_id = :flaky AND state = 'failed'""",
    ),
    (
        "delivered",
        """UPDATE attempts SET status = 500 WHERE id IN (
            SELECT id + 1 FROM deliveries WHERE origin = 'resend')""",
        """UPDATE hooktide.attempts SET status = 500 WHERE delivery_id IN (
            SELECT id FROM hooktide.ended WHERE origin = 'resend')""",
    ),
    (
        "delivered",
        """UPDATE attempts SET status = 204 WHERE id IN (
            SELECT id + 2 FROM deliveries WHERE endpoint_id = :flaky AND state = 'failed')""",
        """UPDATE hooktide.attempts SET status = 204 WHERE number = 2 AND delivery_id IN (
            SELECT id FROM hooktide.ended WHERE endpoint_id = :flaky AND state = 'failed')""",
    ),
    (
        "delivered",
        """UPDATE attempts SET status = 200 WHERE id IN (
            SELECT id + 1 FROM deliveries WHERE endpoint_id = :flaky AND attempts = 2)""",
        """UPDATE hooktide.attempts SET status = 200 WHERE number = 1 AND delivery_id IN (
            SELECT id FROM hooktide.ended WHERE endpoint_id = :flaky AND attempts = 2)""",
    ),
    (
        "claims",
        """UPDATE deliveries SET claim = (SELECT max(id) FROM deliveries),
            due_at = (SELECT max(id) >> 11 FROM deliveries)
        WHERE endpoint_id = :bad AND state = 'pending'""",
        """UPDATE hooktide.queue SET claim = (SELECT max(id) FROM hooktide.queue),
            due_at = (SELECT max(id) >> 11 FROM hooktide.queue)
        WHERE endpoint_id = :bad""",
    ),
    (
        "leases",
        "UPDATE deliveries SET due_at = due_at + 3600000000 WHERE state = 'pending' AND claim > 0",
        "UPDATE hooktide.queue SET due_at = due_at + 3600000000 WHERE claim > 0",
    ),
    (
        "leases",
        """UPDATE deliveries SET due_at = due_at + 10 * 86400000000
        WHERE state = 'pending' AND endpoint_id = :flaky""",
        """UPDATE hooktide.queue SET due_at = due_at + 10 * 86400000000
        WHERE endpoint_id = :flaky""",
    ),
    (
        "leases",
        """UPDATE deliveries SET due_at = due_at + 3 * 86400000000
        WHERE state = 'pending' AND endpoint_id = :flaky;
        UPDATE projects SET changed_at = changed_at - 10 * 86400000000""",
        """UPDATE hooktide.queue SET due_at = due_at + 3 * 86400000000 WHERE endpoint_id = :flaky;
        UPDATE hooktide.projects SET changed_at = changed_at - 10 * 86400000000""",
    ),
    (
        "sent_after",
        """UPDATE attempts SET started_at = started_at + 3600000000
        WHERE id IN (SELECT id + 2 FROM deliveries WHERE endpoint_id = :bad)""",
        """UPDATE hooktide.attempts SET started_at = started_at + 3600000000
        WHERE number = 2 AND delivery_id IN (
            SELECT id FROM hooktide.ended WHERE endpoint_id = :bad)""",
    ),
    (
        "sent_after",
        "UPDATE deliveries SET endpoint_id = :gone WHERE origin = 'resend'",
        "UPDATE hooktide.ended SET endpoint_id = :gone WHERE origin = 'resend'",
    ),
    *(
        (
            "failing",
            f"UPDATE endpoints SET failing = {failing} WHERE id = :{name}",
            f"UPDATE hooktide.endpoints SET failing = {failing} WHERE id = :{name}",
        )
        for name, failing in (("flaky", 2), ("flaky", 0), ("good", 1))
    ),
    (
        "auto_disable",
        """UPDATE projects
        SET config = replace(config, '"disable_after":3', '"disable_after":1')""",
        """UPDATE hooktide.projects
        SET config = replace(config, '"disable_after":3', '"disable_after":1')""",
    ),
    (
        "missed enabled",
        "UPDATE endpoints SET disabled_reason = '', failing = 0 WHERE id = :bad",
        "UPDATE hooktide.endpoints SET disabled_reason = '', failing = 0 WHERE id = :bad",
    ),
    (
        "gaps",
        """UPDATE attempts SET started_at = started_at - 11900000
        WHERE id IN (SELECT id + 2 FROM deliveries WHERE endpoint_id = :flaky)""",
        """UPDATE hooktide.attempts SET started_at = started_at - 11900000
        WHERE number = 2 AND delivery_id IN (
            SELECT id FROM hooktide.ended WHERE endpoint_id = :flaky)""",
    ),
    (
        "gaps",
        """UPDATE attempts SET started_at = started_at - 60000000
        WHERE id IN (
            SELECT id + 2 FROM deliveries WHERE endpoint_id = :flaky AND state = 'failed')""",
        """UPDATE hooktide.attempts SET started_at = started_at - 60000000
        WHERE number = 2 AND delivery_id IN (
            SELECT id FROM hooktide.ended WHERE endpoint_id = :flaky AND state = 'failed')""",
    ),
    (
        "rests",
        "UPDATE endpoints SET rest_reason = '' WHERE id = :flaky",
        "UPDATE hooktide.endpoints SET rest_reason = '' WHERE id = :flaky",
    ),
    (
        "rests",
        "UPDATE endpoints SET rests_until = rest_began_at + 86400000001 WHERE id = :flaky",
        "UPDATE hooktide.endpoints SET rests_until = rest_began_at + 86400000001 WHERE id = :flaky",
    ),
    (
        "rests",
        "UPDATE endpoints SET rest_began_at = rest_began_at - 300000000 WHERE id = :flaky",
        "UPDATE hooktide.endpoints SET rest_began_at = rest_began_at - 300000000 WHERE id = :flaky",
    ),
    (
        "endpoint_limits secrets",
        "UPDATE endpoints SET removed_at = NULL WHERE id = :removed",
        "UPDATE hooktide.endpoints SET removed_at = NULL WHERE id = :removed",
    ),
    (
        "hourly_limits",
        """INSERT INTO usage
        SELECT account_id, min(minute) - 40, 100 FROM usage WHERE account_id = :acme""",
        """INSERT INTO hooktide.usage SELECT account_id, min(minute) - 40, 100
        FROM hooktide.usage WHERE account_id = :acme GROUP BY account_id""",
    ),
    *(
        (
            "usage",
            f"{change} WHERE account_id = :acme".replace("TABLE", "usage"),
            f"{change} WHERE account_id = :acme".replace("TABLE", "hooktide.usage"),
        )
        for change in ("UPDATE TABLE SET deliveries = deliveries + 3", "DELETE FROM TABLE")
    ),
    (
        "secrets",
        "DELETE FROM secrets WHERE endpoint_id = :good",
        "DELETE FROM hooktide.secrets WHERE endpoint_id = :good",
    ),
    (
        "secrets",
        "UPDATE secrets SET retires_at = 1 WHERE endpoint_id = :good",
        "UPDATE hooktide.secrets SET retires_at = 1 WHERE endpoint_id = :good",
    ),
    (
        "idempotency",
        "UPDATE idempotency SET event_id = event_id + 1 WHERE key = 'a key'",
        "UPDATE hooktide.idempotency SET event_id = event_id + 1 WHERE key = 'a key'",
    ),
    (
        "idempotency",
        "UPDATE idempotency SET event_id = (SELECT max(event_id) FROM idempotency)",
        """UPDATE hooktide.idempotency
        SET event_id = (SELECT max(event_id) FROM hooktide.idempotency)""",
    ),
    (
        "idempotency",
        "UPDATE idempotency SET project_id = 1 WHERE key = 'a key'",
        "UPDATE hooktide.idempotency SET project_id = 1 WHERE key = 'a key'",
    ),
    (
        "ownership",
        "UPDATE deliveries SET account_id = :umbrella WHERE endpoint_id = :removed",
        "UPDATE hooktide.ended SET account_id = :umbrella WHERE endpoint_id = :removed",
    ),
    (
        "ownership",
        "UPDATE deliveries SET project_id = 1 WHERE endpoint_id = :removed",
        "UPDATE hooktide.ended SET project_id = 1 WHERE endpoint_id = :removed",
    ),
    (
        "ownership",
        "UPDATE endpoints SET account_id = :umbrella WHERE id = :gone",
        "UPDATE hooktide.endpoints SET account_id = :umbrella WHERE id = :gone",
    ),
    (
        "indexed_values",
        "UPDATE event_terms SET account_id = :umbrella WHERE account_id = :acme",
        "UPDATE hooktide.event_terms SET account_id = :umbrella WHERE account_id = :acme",
    ),
    (
        "indexed_values",
        "UPDATE events SET payload = x'6e756c6c'",
        "UPDATE hooktide.events SET payload = 'null'",
    ),
    (
        "known_keys",
        "UPDATE audit_log SET target = 'key_0000000000000001'",
        "UPDATE hooktide.audit_log SET target = 'key_0000000000000001'",
    ),
    *(
        (
            "waiting_counts",
            f"UPDATE waiting_counts SET {column} = {column} + 1 WHERE endpoint_id = :flaky",
            "INSERT INTO hooktide.waiting_counts SELECT id, account_id, project_id, "
            f"{waiting}, {retries}, {held} FROM hooktide.endpoints WHERE id = :flaky",
        )
        for column, waiting, retries, held in (
            ("waiting", 1, 0, 0),
            ("retries", 0, 1, 0),
            ("held", 0, 0, 1),
        )
    ),
    (
        "waiting_counts",
        "DELETE FROM waiting_counts",
        "DELETE FROM hooktide.waiting_counts",
    ),
]
