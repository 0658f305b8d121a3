-- fact_shipment: one row per parcel, on the business day its delivery is promised for.
-- Inputs: shipments.
-- is_late says what has happened, not what may: delivered after the promise, or lost. A parcel still on its way is not late
-- here even when its promise has passed; kpi_fulfilment_sla judges that, as of a time.
SELECT
    CAST(h.shipment_id AS VARCHAR) AS shipment_id,
    CAST(h.order_id AS VARCHAR) AS order_id,
    CAST(h.due_date AS DATE) AS due_date,
    CAST(h.carrier_id AS VARCHAR) AS carrier_id,
    CAST(h.region AS VARCHAR) AS region,
    CAST(h.status AS VARCHAR) AS status,
    CAST(h.shipped_at AS TIMESTAMPTZ) AS shipped_at,
    CAST(h.promised_delivery_ts AS TIMESTAMPTZ) AS promised_delivery_ts,
    CAST(h.delivered_at AS TIMESTAMPTZ) AS delivered_at,
    CAST(seconds_between(h.shipped_at, h.delivered_at) AS BIGINT) AS transit_time_s,
    CAST(
        CASE WHEN h.delivered_at IS NULL THEN h.status = 'lost' ELSE h.delivered_at > h.promised_delivery_ts END AS BOOLEAN
    ) AS is_late
FROM shipments AS h
INNER JOIN scope AS s ON s.due_date = h.due_date
