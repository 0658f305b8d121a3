-- mart_loyalty_recommendations: what to offer a customer next and how often to write, one row per customer.
-- Only customers who agree to marketing and to profiling are here, and who have bought something: others are not profiled at
-- all.
-- Inputs: mart_customer_profile, mart_trust_scores.
-- Bundle: the active product with the highest trust score in the category of what the customer bought last, never that
-- product itself. Cadence: days between the customer's orders, held between 7 and 90; with a single order, by loyalty tier.
WITH consenting AS (
    SELECT
        p.customer_token,
        p.loyalty_tier,
        p.orders,
        p.first_order_at,
        p.last_order_at,
        p.last_sku
    FROM mart_customer_profile AS p
    WHERE p.consent_marketing AND p.consent_profiling AND p.last_sku IS NOT NULL
),
ranked AS (
    SELECT
        t.sku,
        t.product_name,
        t.category,
        t.trust_score,
        ROW_NUMBER() OVER (PARTITION BY t.category ORDER BY t.trust_score DESC, t.sku) AS place
    FROM mart_trust_scores AS t
    WHERE t.active
),
suggestion AS (
    SELECT
        c.customer_token,
        c.loyalty_tier,
        c.orders,
        c.first_order_at,
        c.last_order_at,
        c.last_sku,
        b.product_name AS last_name,
        r.sku AS bundle_sku,
        r.product_name AS bundle_name,
        r.trust_score,
        ROW_NUMBER() OVER (PARTITION BY c.customer_token ORDER BY r.place) AS choice
    FROM consenting AS c
    INNER JOIN mart_trust_scores AS b ON b.sku = c.last_sku
    INNER JOIN ranked AS r ON r.category = b.category AND r.place <= 2 AND r.sku <> c.last_sku
),
chosen AS (
    SELECT
        s.customer_token,
        s.last_sku,
        s.last_name,
        s.bundle_sku,
        s.bundle_name,
        s.trust_score,
        CASE
            WHEN s.orders > 1 THEN ratio(seconds_between(s.first_order_at, s.last_order_at), (s.orders - 1) * 86400, 0)
            WHEN s.loyalty_tier = 'platinum' THEN 14
            WHEN s.loyalty_tier = 'gold' THEN 21
            WHEN s.loyalty_tier = 'silver' THEN 30
            ELSE 45
        END AS usual_days
    FROM suggestion AS s
    WHERE s.choice = 1
)
SELECT
    CAST(c.customer_token AS VARCHAR) AS customer_token,
    CAST(c.last_sku AS VARCHAR) AS last_sku,
    CAST(c.bundle_sku AS VARCHAR) AS bundle_sku,
    CAST(CASE WHEN c.usual_days < 7 THEN 7 WHEN c.usual_days > 90 THEN 90 ELSE c.usual_days END AS BIGINT) AS cadence_days,
    CAST(c.trust_score AS BIGINT) AS trust_score,
    CAST(
        'Bought ' || c.last_name || '; in its category ' || c.bundle_name || ' has the highest trust score' AS VARCHAR
    ) AS reason
FROM chosen AS c
