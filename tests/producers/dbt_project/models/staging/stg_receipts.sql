select
    receipt_id,
    lower(customer_email) as email,
    amount_cents / 100.0 as amount
from {{ source('till', 'receipts') }}
where amount_cents is not null
