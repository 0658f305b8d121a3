select
    members.member_name,
    count(*) as receipts,
    sum(receipts.amount) as revenue
from {{ ref('stg_receipts') }} as receipts
join {{ ref('stg_members') }} as members on members.email = receipts.email
group by members.member_name
