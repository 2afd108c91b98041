-- Views over one trailcanary lake, for DuckDB: duckdb -init views.sql
-- Every run writes this file anew, so that it names what the lake then holds. All times are UTC.
-- Dead letters are Avro. `trailcanary query` has them as the table `dead_letters`; in DuckDB itself:
--   INSTALL avro; LOAD avro; FROM read_avro('dead_letters/*.avro');
${preamble}
SET TimeZone = 'UTC';

CREATE OR REPLACE VIEW events AS
SELECT * FROM ${events};
COMMENT ON VIEW events IS 'The archive: one row per CloudTrail record.';

CREATE OR REPLACE VIEW objects AS
SELECT * FROM ${objects}
QUALIFY row_number() OVER (PARTITION BY uri, etag, size ORDER BY handled_at DESC, run_id DESC) = 1;
COMMENT ON VIEW objects IS 'The ledger: one row per object and version of it, as last handled.';

CREATE OR REPLACE VIEW digests AS
SELECT * FROM ${digests};
COMMENT ON VIEW digests IS 'Digests as they were read; what they say is not verified.';

CREATE OR REPLACE VIEW blind AS
WITH sight AS MATERIALIZED (SELECT * FROM ${sight}),
marked AS (
    SELECT
        *,
        CASE WHEN lag(ends_at) OVER chain = starts_at
            AND lag(sight) OVER chain = sight
            AND lag(cause) OVER chain IS NOT DISTINCT FROM cause
        THEN 0 ELSE 1 END AS begins
    FROM sight
    WINDOW chain AS (PARTITION BY root, account_id, region, trail, home_region, backfill ORDER BY starts_at, ends_at)
),
islands AS (
    SELECT
        *,
        sum(begins) OVER (
            PARTITION BY root, account_id, region, trail, home_region, backfill ORDER BY starts_at, ends_at
        ) AS island
    FROM marked
),
proof AS (
    SELECT account_id, region, trail, home_region, backfill, root, sight, cause,
        min(starts_at) AS starts_at, max(ends_at) AS ends_at, max(judged_at) AS judged_at
    FROM islands
    GROUP BY account_id, region, trail, home_region, backfill, root, sight, cause, island
),
unsigned AS (
    SELECT account_id, region,
        CASE WHEN bool_or(kind = 'digest') THEN 'not_verified' ELSE 'no_digests' END AS cause,
        min(delivered_at) AS starts_at, max(delivered_at) AS ends_at, max(handled_at) AS judged_at
    FROM objects
    WHERE kind IN ('log', 'digest') AND account_id IS NOT NULL AND region IS NOT NULL
        AND (account_id, region) NOT IN (SELECT (account_id, region) FROM sight)
    GROUP BY account_id, region
)
SELECT account_id, region, trail, home_region, backfill, starts_at, ends_at, ends_at - starts_at AS duration,
    sight, cause, judged_at, root
FROM proof
UNION ALL
SELECT account_id, region, NULL, NULL, false, starts_at, ends_at, ends_at - starts_at,
    'unproved', cause, judged_at, NULL
FROM unsigned
ORDER BY account_id, region, trail, home_region, backfill, starts_at;
COMMENT ON VIEW blind IS 'What is known of which time of delivery, by account, region and trail: proved, unproved or lost, and why; without digests, or without public keys to verify them, everything is unproved.';

CREATE OR REPLACE VIEW sightings AS
SELECT * FROM ${sightings};
COMMENT ON VIEW sightings IS 'Refused canary calls found in the log.';

CREATE OR REPLACE VIEW canary_spans AS
SELECT *, last_slot - first_slot + 1 AS slots FROM ${verdicts};
COMMENT ON VIEW canary_spans IS 'Every verdict ever given: consecutive slots of one place with one verdict are one row.';

CREATE OR REPLACE VIEW canary_slots AS
WITH judged AS (
SELECT
    canary,
    account_id,
    region,
    slot,
    first_start + to_microseconds((slot - first_slot) * period_us) AS slot_start,
    slot_start + to_microseconds(period_us) AS slot_end,
    slot_end + to_microseconds(grace_us) AS deadline,
    verdict,
    delivered_at,
    prior,
    evidence,
    run_id,
    judged_at
FROM (SELECT *, unnest(generate_series(first_slot, last_slot)) AS slot FROM canary_spans)
QUALIFY row_number() OVER (
    PARTITION BY canary, account_id, region, slot_start ORDER BY judged_at DESC, run_id DESC
) = 1
)
SELECT
    *,
    CASE
        WHEN verdict <> 'missing' THEN NULL
        WHEN EXISTS (
            SELECT 1 FROM blind
            WHERE blind.account_id = judged.account_id AND blind.region = judged.region
                AND blind.cause = 'log_missing'
                AND blind.starts_at < judged.deadline AND judged.slot_start < blind.ends_at
        ) THEN 'removed'
        WHEN EXISTS (
            SELECT 1 FROM blind
            WHERE blind.account_id = judged.account_id AND blind.region = judged.region
                AND blind.sight = 'proved' AND NOT blind.backfill
                AND blind.starts_at <= judged.slot_start AND judged.deadline <= blind.ends_at
        ) THEN 'confirmed'
        ELSE 'provisional'
    END AS confidence
FROM judged
ORDER BY slot_start, canary, account_id, region;
COMMENT ON VIEW canary_slots IS 'One row per slot of a canary in a place, with the newest verdict; of a missing one how sure that is: confirmed where digests prove that it was not logged, removed where a log of that hour was taken away.';

CREATE OR REPLACE VIEW alerts AS
SELECT * FROM ${alerts};
COMMENT ON VIEW alerts IS 'Alerts: one row per transition of an incident; those without suppressed_by page.';

CREATE OR REPLACE VIEW incidents AS
SELECT
    incident_id,
    kind,
    status,
    status IN ('opened', 'updated') AS is_open,
    severity,
    title,
    account_id,
    region,
    canary,
    rule,
    actor,
    resource,
    min(window_start) OVER incident AS window_start,
    max(window_end) OVER incident AS window_end,
    CASE WHEN NOT is_open THEN max(window_end) OVER incident - min(window_start) OVER incident END AS duration,
    min(detected_at) OVER incident AS opened_at,
    CASE WHEN NOT is_open THEN detected_at END AS resolved_at,
    count(*) OVER incident AS alerts,
    CASE WHEN bool_and(suppressed_by IS NOT NULL) OVER incident THEN suppressed_by END AS suppressed_by
FROM alerts
WINDOW incident AS (PARTITION BY incident_id)
QUALIFY row_number() OVER (
    PARTITION BY incident_id
    ORDER BY
        detected_at DESC,
        list_position(['opened', 'updated', 'resolved', 'retracted'], status) DESC,
        window_end DESC,
        alert_id
) = 1
ORDER BY window_start, incident_id;
COMMENT ON VIEW incidents IS 'One row per incident as its newest alert left it; duration is the time concerned, null while it is open; suppressed_by is null if any of its alerts paged.';

CREATE OR REPLACE VIEW delivery_lag AS
SELECT
    account_id,
    region,
    count(DISTINCT object_key) AS objects,
    count(*) AS events,
    quantile_disc(lag_s, 0.5) AS p50_s,
    quantile_disc(lag_s, 0.95) AS p95_s,
    quantile_disc(lag_s, 0.99) AS p99_s,
    max(lag_s) AS max_s
FROM (
    SELECT
        recipient_account_id AS account_id,
        aws_region AS region,
        object_key,
        (epoch_us(delivered_at) - epoch_us(event_time)) / 1e6 AS lag_s
    FROM events
)
GROUP BY account_id, region
ORDER BY account_id, region;
COMMENT ON VIEW delivery_lag IS 'Seconds from event to delivery, by account and region; the key tells the delivery to the minute.';

CREATE OR REPLACE VIEW top_callers AS
SELECT
    coalesce(
        user_identity.arn, user_identity.invoked_by, user_identity.principal_id, user_identity.type, 'unknown'
    ) AS caller,
    recipient_account_id AS account_id,
    count(*) AS events,
    count(error_code) AS errors,
    count(DISTINCT event_source || ':' || event_name) AS distinct_calls,
    count(DISTINCT source_ip_address) AS distinct_ip_addresses,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen
FROM events
GROUP BY ALL
ORDER BY events DESC, caller, account_id;
COMMENT ON VIEW top_callers IS 'Who called, busiest first.';

CREATE OR REPLACE VIEW errors AS
SELECT
    error_code,
    event_source,
    event_name,
    count(*) AS events,
    count(DISTINCT recipient_account_id) AS accounts,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen
FROM events
WHERE error_code IS NOT NULL
GROUP BY ALL
ORDER BY events DESC, error_code, event_source, event_name;
COMMENT ON VIEW errors IS 'Refused and failed calls, most frequent first.';

CREATE OR REPLACE VIEW audit AS
SELECT
    coalesce(held.object_key, booked.object_key) AS object_key,
    coalesce(held.rows, 0) AS rows_in_events,
    coalesce(booked.archived, 0) AS rows_in_ledger
FROM (SELECT object_key, count(*) AS rows FROM events GROUP BY object_key) AS held
FULL JOIN (
    SELECT uri AS object_key, CAST(sum(archived) AS BIGINT) AS archived FROM objects GROUP BY uri
) AS booked ON held.object_key = booked.object_key
WHERE rows_in_events <> rows_in_ledger
ORDER BY object_key;
COMMENT ON VIEW audit IS 'Objects whose rows in the archive are not as many as the ledger says; empty when all is well.';

CREATE OR REPLACE VIEW runs AS
SELECT
    run_id,
    TRY_CAST(started_at AS TIMESTAMPTZ) AS started_at,
    TRY_CAST(finished_at AS TIMESTAMPTZ) AS finished_at,
    TRY_CAST(as_of AS TIMESTAMPTZ) AS as_of,
    inputs,
    alerts,
    coalesce(suppressed, 0) AS suppressed,
    completed_by,
    unnest(balance)
FROM ${runs}
WHERE run_id IS NOT NULL;
COMMENT ON VIEW runs IS 'One row per run, with its balance sheet; so many of its alerts are suppressed; a run that died has the one that completed it instead.';

CREATE OR REPLACE VIEW compactions AS
WITH every AS MATERIALIZED (SELECT compaction.* FROM ${compactions}),
superseded AS (
    SELECT unnest(ruling.names) AS file FROM (SELECT unnest(files) AS ruling FROM every)
    WHERE ruling.folder = 'compactions' AND NOT ruling.live
)
SELECT
    name,
    TRY_CAST(committed_at AS TIMESTAMPTZ) AS committed_at,
    rows_read,
    rows_written,
    copies_removed,
    copies_before,
    conflicts
FROM every
ANTI JOIN superseded ON superseded.file = every.name || '.json'
ORDER BY committed_at, name;
COMMENT ON VIEW compactions IS 'Merges that hold; copies_before were removed by merges that these superseded.';
