-- Request bins and the requests they received.

-- name: create_bin
INSERT INTO {schema}bins (id, token, project_id, account_id, script, created_at, expires_at, page_token)
VALUES (:id, :token, :project_id, :account_id, :script, :created_at, :expires_at, :page_token)

-- name: count_bins
SELECT count(*) FROM {schema}bins
WHERE project_id IS NOT DISTINCT FROM :project_id AND account_id IS NOT DISTINCT FROM :account_id
    AND expires_at > :now

-- name: get_bin
SELECT id, token, project_id, account_id, script, created_at, expires_at, page_token FROM {schema}bins
WHERE token = :token AND expires_at > :now

-- name: get_bin_by_page
SELECT id, token, project_id, account_id, script, created_at, expires_at, page_token FROM {schema}bins
WHERE page_token = :page_token AND expires_at > :now

-- name: get_bin_by_id
SELECT id, token, project_id, account_id, script, created_at, expires_at, page_token FROM {schema}bins
WHERE id = :id

-- name: update_bin
UPDATE {schema}bins SET script = :script, turn = 0 WHERE token = :token

-- name: take_bin_turn
UPDATE {schema}bins SET turn = turn + 1 WHERE id = :id RETURNING turn - 1, script

-- name: drop_expired_bins
DELETE FROM {schema}bins WHERE expires_at <= :now

-- name: add_bin_request
INSERT INTO {schema}bin_requests (id, bin_id, method, path, headers, body, body_size, answered,
    received_at, verdict, reason, address, note)
VALUES (:id, :bin_id, :method, :path, :headers, :body, :body_size, :answered, :received_at,
    :verdict, :reason, :address, :note)

-- name: trim_bin
DELETE FROM {schema}bin_requests WHERE bin_id = :bin_id AND id <= coalesce((
    SELECT max(r.id) FROM (
        SELECT id, row_number() OVER newest AS place,
            sum(length(body) + length(headers) + length(path)) OVER newest AS size
        FROM {schema}bin_requests WHERE bin_id = :bin_id
        WINDOW newest AS (ORDER BY id DESC)) AS r
    WHERE r.place > :keep OR (r.size > :keep_bytes AND r.place > 1)), 0)

-- name: bin_requests
SELECT id, bin_id, method, path, headers, body, body_size, answered, received_at, verdict, reason,
    address, note
FROM {schema}bin_requests

-- name: note_bin_request
UPDATE {schema}bin_requests SET note = :note WHERE bin_id = :bin_id AND id = :id

-- name: delete_bins_of_account
DELETE FROM {schema}bins WHERE account_id = :account_id

-- name: delete_bin
DELETE FROM {schema}bins WHERE id = :id

-- name: clear_bin
DELETE FROM {schema}bin_requests WHERE bin_id = :bin_id
