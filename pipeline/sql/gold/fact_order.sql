-- fact_order: one row per order line. Orders are counted by order_id; money stands on the line, in EUR.
-- Inputs: order_lines, orders (same business day), dim_fx_rate, dim_customer, dim_product.
-- A line appears once its order has been accepted on the same business day: a line whose order is unknown, or whose order has
-- been corrected to another day (its lines are sent again with it), is not here.
-- Each amount is converted with the rate valid when the order was placed and rounded to cents on its own; the net revenue of
-- a line is gross minus discount minus tax, before refunds. Cancelled orders stay, marked: who counts leaves them out.
WITH line AS (
    SELECT
        l.order_id,
        l.line_no,
        l.order_date,
        o.ordered_at,
        o.customer_token,
        l.sku,
        o.channel_source,
        o.region,
        o.country,
        o.seller_id,
        o.status,
        l.quantity,
        l.currency,
        l.gross_amount,
        l.discount_amount,
        l.tax_amount,
        o.promised_delivery_ts,
        o.dispatched_at,
        o.delivered_at
    FROM order_lines AS l
    INNER JOIN scope AS s ON s.order_date = l.order_date
    INNER JOIN orders AS o ON o.order_id = l.order_id AND o.order_date = l.order_date
),
rate AS (
    SELECT
        s.order_date,
        r.currency,
        r.valid_from,
        r.valid_to,
        r.rate_to_eur
    FROM dim_fx_rate AS r
    INNER JOIN scope AS s
        ON r.valid_from_date <= s.order_date AND (r.valid_to_date IS NULL OR r.valid_to_date >= s.order_date)
)
SELECT
    CAST(l.order_id AS VARCHAR) AS order_id,
    CAST(l.line_no AS BIGINT) AS line_no,
    CAST(l.order_date AS DATE) AS order_date,
    CAST(l.ordered_at AS TIMESTAMPTZ) AS ordered_at,
    CAST(l.customer_token AS VARCHAR) AS customer_token,
    CAST(c.valid_from AS TIMESTAMPTZ) AS customer_valid_from,
    CAST(l.sku AS VARCHAR) AS sku,
    CAST(p.valid_from AS TIMESTAMPTZ) AS product_valid_from,
    CAST(l.channel_source AS VARCHAR) AS channel_source,
    CAST(l.region AS VARCHAR) AS region,
    CAST(l.country AS VARCHAR) AS country,
    CAST(l.seller_id AS VARCHAR) AS seller_id,
    CAST(l.status AS VARCHAR) AS status,
    CAST(l.status = 'cancelled' AS BOOLEAN) AS is_cancelled,
    CAST(l.quantity AS BIGINT) AS quantity,
    CAST(l.currency AS VARCHAR) AS currency,
    CAST(r.rate_to_eur AS DECIMAL(12, 8)) AS fx_rate,
    CAST(r.valid_from AS TIMESTAMPTZ) AS fx_rate_hour,
    CAST(eur(l.gross_amount, r.rate_to_eur) AS DECIMAL(18, 2)) AS gross_amount,
    CAST(eur(l.discount_amount, r.rate_to_eur) AS DECIMAL(18, 2)) AS discount_amount,
    CAST(eur(l.tax_amount, r.rate_to_eur) AS DECIMAL(18, 2)) AS tax_amount,
    CAST(
        eur(l.gross_amount, r.rate_to_eur) - eur(l.discount_amount, r.rate_to_eur) - eur(l.tax_amount, r.rate_to_eur)
        AS DECIMAL(18, 2)
    ) AS net_revenue_amount,
    CAST(l.gross_amount - l.discount_amount - l.tax_amount AS DECIMAL(18, 2)) AS net_amount_currency,
    CAST(p.unit_cost AS DECIMAL(18, 2)) AS unit_cost,
    CAST(l.promised_delivery_ts AS TIMESTAMPTZ) AS promised_delivery_ts,
    CAST(l.dispatched_at AS TIMESTAMPTZ) AS dispatched_at,
    CAST(business_date(l.dispatched_at, 'Europe/Paris') AS DATE) AS dispatched_date,
    CAST(l.delivered_at AS TIMESTAMPTZ) AS delivered_at,
    CAST(seconds_between(l.ordered_at, l.delivered_at) AS BIGINT) AS time_to_fulfil_s
FROM line AS l
LEFT JOIN rate AS r
    ON
        r.currency = l.currency
        AND r.order_date = l.order_date
        AND r.valid_from <= l.ordered_at
        AND (r.valid_to IS NULL OR l.ordered_at < r.valid_to)
LEFT JOIN dim_customer AS c
    ON
        c.customer_token = l.customer_token
        AND c.valid_from <= l.ordered_at
        AND (c.valid_to IS NULL OR l.ordered_at < c.valid_to)
LEFT JOIN dim_product AS p
    ON
        p.sku = l.sku
        AND p.valid_from <= l.ordered_at
        AND (p.valid_to IS NULL OR l.ordered_at < p.valid_to)
