-- dim_fx_rate: the rate that amounts of a currency are converted with, by the time of the sale or refund. The one conversion
-- that every fact uses.
-- Inputs: fx_rates (every published version of every hour's rate).
-- An hour counts with its first published version; later versions never change what was converted, they are booked by
-- fact_fx_adjustment. A rate is valid from its hour until the next hour that has a rate. EUR is worth 1, always.
-- The two dates let a fact find the few rates of its day before it compares instants.
WITH numbered AS (
    SELECT
        r.currency,
        r.rate_hour,
        r.rate_to_eur,
        r.updated_at,
        ROW_NUMBER() OVER (PARTITION BY r.currency, r.rate_hour ORDER BY r.updated_at) AS version_no
    FROM fx_rates AS r
),
first_version AS (
    SELECT
        n.currency,
        n.rate_hour AS valid_from,
        LEAD(n.rate_hour) OVER (PARTITION BY n.currency ORDER BY n.rate_hour) AS valid_to,
        n.rate_to_eur,
        n.updated_at AS published_at
    FROM numbered AS n
    WHERE n.version_no = 1
),
every_currency AS (
    SELECT
        f.currency,
        f.valid_from,
        f.valid_to,
        f.rate_to_eur,
        f.published_at
    FROM first_version AS f
    UNION ALL
    SELECT
        CAST('EUR' AS VARCHAR) AS currency,
        CAST('1970-01-01 00:00:00Z' AS TIMESTAMPTZ) AS valid_from,
        CAST(NULL AS TIMESTAMPTZ) AS valid_to,
        CAST(1 AS DECIMAL(12, 8)) AS rate_to_eur,
        CAST(NULL AS TIMESTAMPTZ) AS published_at
)
SELECT
    CAST(e.currency AS VARCHAR) AS currency,
    CAST(e.valid_from AS TIMESTAMPTZ) AS valid_from,
    CAST(e.valid_to AS TIMESTAMPTZ) AS valid_to,
    CAST(e.valid_to IS NULL AS BOOLEAN) AS is_current,
    CAST(e.rate_to_eur AS DECIMAL(12, 8)) AS rate_to_eur,
    CAST(e.published_at AS TIMESTAMPTZ) AS published_at,
    CAST(business_date(e.valid_from, 'Europe/Paris') AS DATE) AS valid_from_date,
    CAST(business_date(e.valid_to, 'Europe/Paris') AS DATE) AS valid_to_date
FROM every_currency AS e
