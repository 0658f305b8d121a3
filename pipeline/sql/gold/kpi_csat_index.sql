-- kpi_csat_index: customer satisfaction 0 to 100 per business day, over the cases closed that day.
-- Inputs: fact_support_case (a case closes within 60 days of its opening).
-- 100 * sum of w * (score - 1) / 4, divided by the sum of w, over cases with a score of 1 to 5. The weights w of the channels
-- are below; they are written in tenths, so that every sum is exact. The numerator is the sum without the factor 100.
-- Has a row for each day on which a case was closed; NULL when none of them has a score.
WITH closed AS (
    SELECT
        c.closed_date,
        c.case_id,
        CASE WHEN c.csat_score BETWEEN 1 AND 5 THEN c.csat_score END AS score,
        CASE
            WHEN c.csat_score IS NULL OR c.csat_score NOT BETWEEN 1 AND 5 THEN 0
            WHEN c.channel = 'phone' THEN 10
            WHEN c.channel = 'chat' THEN 8
            WHEN c.channel = 'email' THEN 6
            WHEN c.channel = 'social' THEN 4
            ELSE 0
        END AS weight_tenths
    FROM fact_support_case AS c
    INNER JOIN scope AS s ON s.business_date = c.closed_date
    WHERE c.status = 'closed'
),
weighed AS (
    SELECT
        k.closed_date,
        product(k.weight_tenths, k.score - 1, 0) AS points,
        k.weight_tenths
    FROM closed AS k
),
day AS (
    SELECT
        w.closed_date,
        COALESCE(SUM(w.points), 0) AS points,
        SUM(w.weight_tenths) AS weights
    FROM weighed AS w
    GROUP BY w.closed_date
)
SELECT
    CAST(d.closed_date AS DATE) AS business_date,
    CAST(ratio(d.points * 25, d.weights, 2) AS DECIMAL(18, 2)) AS value,
    CAST(ratio(d.points, 40, 4) AS DECIMAL(18, 4)) AS numerator,
    CAST(ratio(d.weights, 10, 4) AS DECIMAL(18, 4)) AS denominator
FROM day AS d
