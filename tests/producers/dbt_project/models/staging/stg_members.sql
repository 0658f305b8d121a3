select lower(email) as email, name as member_name
from {{ source('till', 'members') }}
