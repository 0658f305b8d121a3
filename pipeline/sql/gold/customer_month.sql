-- customer_month: one row per customer and month with activity. A helper: customer marts sum it, so that a new order costs
-- them two months of facts and never the whole history.
-- Inputs: fact_order, fact_shipment, fact_support_case.
-- Orders (cancelled ones left out) count in the month of the order; their parcels count with them, as far as they are
-- promised within 30 days of the order; support cases of known customers count in the month they were opened.
WITH line AS (
    SELECT
        s.order_month,
        f.customer_token,
        f.order_id,
        f.order_date,
        f.ordered_at,
        f.sku,
        f.quantity,
        f.net_revenue_amount
    FROM fact_order AS f
    INNER JOIN scope AS s ON s.order_month = date_of_month(f.order_date)
    WHERE NOT f.is_cancelled
),
sale AS (
    SELECT
        l.order_month,
        l.customer_token,
        COUNT(DISTINCT l.order_id) AS orders,
        SUM(l.net_revenue_amount) AS net_revenue_amount,
        MIN(l.ordered_at) AS first_order_at,
        MAX(l.ordered_at) AS last_order_at
    FROM line AS l
    GROUP BY l.order_month, l.customer_token
),
item AS (
    SELECT
        l.order_month,
        l.customer_token,
        l.sku,
        SUM(l.quantity) AS quantity
    FROM line AS l
    GROUP BY l.order_month, l.customer_token, l.sku
),
ranked_item AS (
    SELECT
        i.order_month,
        i.customer_token,
        i.sku,
        ROW_NUMBER() OVER (PARTITION BY i.order_month, i.customer_token ORDER BY i.quantity DESC, i.sku) AS place
    FROM item AS i
),
customer_order AS (
    SELECT DISTINCT
        l.order_month,
        l.customer_token,
        l.order_id,
        l.order_date
    FROM line AS l
),
parcel AS (
    SELECT
        o.order_month,
        o.customer_token,
        COUNT(h.shipment_id) AS shipments,
        SUM(CASE WHEN h.is_late THEN 1 ELSE 0 END) AS late_shipments
    FROM customer_order AS o
    INNER JOIN fact_shipment AS h
        ON h.order_id = o.order_id AND h.due_date BETWEEN o.order_date AND add_days(o.order_date, 30)
    GROUP BY o.order_month, o.customer_token
),
contact AS (
    SELECT
        s.order_month,
        c.customer_token,
        COUNT(c.case_id) AS cases,
        COUNT(c.csat_score) AS scored_cases,
        SUM(c.csat_score) AS csat_points
    FROM fact_support_case AS c
    INNER JOIN scope AS s ON s.order_month = date_of_month(c.opened_date)
    WHERE c.customer_token IS NOT NULL
    GROUP BY s.order_month, c.customer_token
),
active AS (
    SELECT
        a.order_month,
        a.customer_token
    FROM sale AS a
    UNION
    SELECT
        b.order_month,
        b.customer_token
    FROM contact AS b
)
SELECT
    CAST(x.order_month AS DATE) AS order_month,
    CAST(x.customer_token AS VARCHAR) AS customer_token,
    CAST(COALESCE(a.orders, 0) AS BIGINT) AS orders,
    CAST(COALESCE(a.net_revenue_amount, 0) AS DECIMAL(18, 2)) AS net_revenue_amount,
    CAST(a.first_order_at AS TIMESTAMPTZ) AS first_order_at,
    CAST(a.last_order_at AS TIMESTAMPTZ) AS last_order_at,
    CAST(i.sku AS VARCHAR) AS top_sku,
    CAST(COALESCE(p.shipments, 0) AS BIGINT) AS shipments,
    CAST(COALESCE(p.late_shipments, 0) AS BIGINT) AS late_shipments,
    CAST(COALESCE(c.cases, 0) AS BIGINT) AS cases,
    CAST(COALESCE(c.scored_cases, 0) AS BIGINT) AS scored_cases,
    CAST(COALESCE(c.csat_points, 0) AS BIGINT) AS csat_points
FROM active AS x
LEFT JOIN sale AS a ON a.order_month = x.order_month AND a.customer_token = x.customer_token
LEFT JOIN ranked_item AS i ON i.order_month = x.order_month AND i.customer_token = x.customer_token AND i.place = 1
LEFT JOIN parcel AS p ON p.order_month = x.order_month AND p.customer_token = x.customer_token
LEFT JOIN contact AS c ON c.order_month = x.order_month AND c.customer_token = x.customer_token
