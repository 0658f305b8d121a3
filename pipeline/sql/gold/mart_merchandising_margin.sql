-- mart_merchandising_margin: one row per business day and product, cancelled orders left out.
-- Inputs: fact_order, dim_product (brand and category as they stood at the end of the day).
-- cost = quantity x the unit cost of the product's version at the time of each sale; margin = net revenue (before refunds) -
-- cost.
WITH sale AS (
    SELECT
        f.order_date,
        f.sku,
        add_seconds(day_start(add_days(f.order_date, 1), 'Europe/Paris'), -1) AS day_end_at,
        f.quantity,
        f.net_revenue_amount,
        product(f.quantity, f.unit_cost, 2) AS cost_amount
    FROM fact_order AS f
    INNER JOIN scope AS s ON s.order_date = f.order_date
    WHERE NOT f.is_cancelled
),
day AS (
    SELECT
        a.order_date,
        a.sku,
        a.day_end_at,
        SUM(a.quantity) AS quantity,
        SUM(a.net_revenue_amount) AS net_revenue_amount,
        SUM(a.cost_amount) AS cost_amount
    FROM sale AS a
    GROUP BY a.order_date, a.sku, a.day_end_at
)
SELECT
    CAST(d.order_date AS DATE) AS order_date,
    CAST(d.sku AS VARCHAR) AS sku,
    CAST(d.day_end_at AS TIMESTAMPTZ) AS day_end_at,
    CAST(p.name AS VARCHAR) AS product_name,
    CAST(p.brand AS VARCHAR) AS brand,
    CAST(p.category AS VARCHAR) AS category,
    CAST(d.quantity AS BIGINT) AS quantity,
    CAST(d.net_revenue_amount AS DECIMAL(18, 2)) AS net_revenue_amount,
    CAST(d.cost_amount AS DECIMAL(18, 2)) AS cost_amount,
    CAST(d.net_revenue_amount - d.cost_amount AS DECIMAL(18, 2)) AS margin_amount
FROM day AS d
LEFT JOIN dim_product AS p
    ON
        p.sku = d.sku
        AND p.valid_from <= d.day_end_at
        AND (p.valid_to IS NULL OR d.day_end_at < p.valid_to)
