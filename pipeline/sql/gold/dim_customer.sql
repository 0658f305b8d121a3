-- dim_customer: one row per version of a customer's profile (SCD 2).
-- Inputs: customers (every version the source has sent, one per customer and updated_at).
-- A version is valid from its updated_at, the first one from the day the customer was created, so that orders placed before
-- the first change we heard of find it. valid_to is the next version's start, exclusive; NULL is current.
WITH version AS (
    SELECT
        c.bucket,
        c.customer_token,
        c.created_at,
        c.updated_at,
        c.country,
        c.region,
        c.loyalty_tier,
        c.segment,
        c.lifetime_value,
        c.consent_marketing,
        c.consent_profiling,
        ROW_NUMBER() OVER (PARTITION BY c.customer_token ORDER BY c.updated_at) AS version_no,
        LEAD(c.updated_at) OVER (PARTITION BY c.customer_token ORDER BY c.updated_at) AS next_updated_at
    FROM customers AS c
    INNER JOIN scope AS s ON s.bucket = c.bucket
)
SELECT
    CAST(v.customer_token AS VARCHAR) AS customer_token,
    CAST(
        CASE WHEN v.version_no = 1 AND v.created_at < v.updated_at THEN v.created_at ELSE v.updated_at END AS TIMESTAMPTZ
    ) AS valid_from,
    CAST(v.next_updated_at AS TIMESTAMPTZ) AS valid_to,
    CAST(v.next_updated_at IS NULL AS BOOLEAN) AS is_current,
    CAST(v.country AS VARCHAR) AS country,
    CAST(v.region AS VARCHAR) AS region,
    CAST(v.loyalty_tier AS VARCHAR) AS loyalty_tier,
    CAST(v.segment AS VARCHAR) AS segment,
    CAST(v.lifetime_value AS DECIMAL(18, 2)) AS lifetime_value,
    CAST(v.consent_marketing AS BOOLEAN) AS consent_marketing,
    CAST(v.consent_profiling AS BOOLEAN) AS consent_profiling,
    CAST(v.bucket AS VARCHAR) AS bucket
FROM version AS v
