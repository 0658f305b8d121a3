-- fact_fx_adjustment: what a corrected exchange rate changes, booked on the business day the correction was published.
-- One row per currency, hour and later version of that hour's rate.
-- Inputs: fx_rates (every version), fact_order.
-- adjustment = net revenue in the currency of all lines that were converted with that hour (not cancelled)
--              x (this version's rate - the version before), rounded to cents once.
-- Bounds, so that a refresh reads a fixed number of days: a correction counts up to 31 days after its hour's day (and one day
-- ahead of it); lines count up to 3 days after the hour's day (an hour's rate lasts until the next one that is published).
-- A correction of an hour that no line was converted with stands here with amount 0.
WITH version AS (
    SELECT
        r.currency,
        r.rate_hour,
        r.rate_date,
        r.rate_to_eur,
        r.updated_at,
        business_date(r.updated_at, 'Europe/Paris') AS adjustment_date,
        LAG(r.rate_to_eur) OVER (PARTITION BY r.currency, r.rate_hour ORDER BY r.updated_at) AS previous_rate
    FROM fx_rates AS r
),
correction AS (
    SELECT
        v.currency,
        v.rate_hour,
        v.rate_date,
        v.rate_to_eur,
        v.previous_rate,
        v.updated_at,
        v.adjustment_date
    FROM version AS v
    INNER JOIN scope AS s ON s.adjustment_date = v.adjustment_date
    WHERE
        v.previous_rate IS NOT NULL
        AND v.rate_date BETWEEN add_days(v.adjustment_date, -31) AND add_days(v.adjustment_date, 1)
),
exposure AS (
    SELECT
        f.currency,
        f.fx_rate_hour,
        f.order_date,
        COUNT(f.line_no) AS lines,
        SUM(f.net_amount_currency) AS net_amount_currency
    FROM fact_order AS f
    WHERE NOT f.is_cancelled
    GROUP BY f.currency, f.fx_rate_hour, f.order_date
),
booked AS (
    SELECT
        c.adjustment_date,
        c.currency,
        c.rate_hour,
        c.updated_at,
        c.previous_rate,
        c.rate_to_eur,
        COALESCE(SUM(e.lines), 0) AS lines,
        COALESCE(SUM(e.net_amount_currency), 0) AS net_amount_currency
    FROM correction AS c
    LEFT JOIN exposure AS e
        ON
            e.currency = c.currency
            AND e.fx_rate_hour = c.rate_hour
            AND e.order_date BETWEEN c.rate_date AND add_days(c.rate_date, 3)
    GROUP BY c.adjustment_date, c.currency, c.rate_hour, c.updated_at, c.previous_rate, c.rate_to_eur
)
SELECT
    CAST(b.adjustment_date AS DATE) AS adjustment_date,
    CAST(b.currency AS VARCHAR) AS currency,
    CAST(b.rate_hour AS TIMESTAMPTZ) AS rate_hour,
    CAST(b.updated_at AS TIMESTAMPTZ) AS published_at,
    CAST(b.previous_rate AS DECIMAL(12, 8)) AS previous_rate,
    CAST(b.rate_to_eur AS DECIMAL(12, 8)) AS new_rate,
    CAST(b.lines AS BIGINT) AS lines,
    CAST(b.net_amount_currency AS DECIMAL(18, 2)) AS net_amount_currency,
    CAST(eur(b.net_amount_currency, b.rate_to_eur - b.previous_rate) AS DECIMAL(18, 2)) AS adjustment_amount
FROM booked AS b
