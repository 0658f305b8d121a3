-- Silver, for every dataset: one template, made concrete by the contract (Jinja), portable SQL (DuckDB dialect).
-- `manage.py pipeline explain DATASET` prints it as it runs. Statements are separated by "-- name:" lines.
--
-- Registered by the runner: landed (records of the Bronze files as text), known_* (accepted keys of referenced datasets, as ref_key),
-- present (the partitions of the Silver table that this batch may change).

-- name: typed
-- Text to typed columns. A blank is NULL; currency symbols become codes; naive times are in the source's zone.
SELECT
  l._bronze_file,
  l._bronze_row
{%- for f in fields %},
  {{ f.text }} AS text_{{ f.name }},
  {{ f.typed }} AS {{ f.name }}
{%- endfor %}
FROM landed AS l

-- name: judged
-- Every rule that a row breaks, by id, each followed by a comma. Empty: the row is accepted.
SELECT
  t._bronze_file,
  t._bronze_row
{%- for f in fields %},
  t.{{ f.name }}
{%- endfor %},
  ''
{%- for rule in rules %}
    || CASE WHEN {{ rule.broken }} THEN '{{ rule.id }},' ELSE '' END
{%- endfor %} AS broken_rules
FROM typed AS t
{%- for ref in references %}
LEFT JOIN {{ ref.view }} AS {{ ref.view }} ON {{ ref.view }}.ref_key = t.{{ ref.field }}
{%- endfor %}

-- name: incoming
-- The accepted rows, with the partition they belong to.
SELECT
{%- for f in fields %}
  j.{{ f.name }},
{%- endfor %}
{%- if partition and partition.column not in names %}
  {{ partition.sql }} AS {{ partition.column }},
{%- endif %}
  j._bronze_file,
  j._bronze_row
FROM judged AS j
WHERE j.broken_rules = ''

-- name: rejected
SELECT j._bronze_file, j._bronze_row, j.broken_rules
{%- for f in drop_fields %}, l.{{ f }} AS {{ f }}{% endfor %}
FROM judged AS j
JOIN landed AS l ON l._bronze_file = j._bronze_file AND l._bronze_row = j._bronze_row
WHERE j.broken_rules <> ''

-- name: quarantined
-- Records with a value in a column that the contract does not know. The rows themselves go on without it.
SELECT l._bronze_file, l._bronze_row, l._unknown
{%- for f in drop_fields %}, l.{{ f }} AS {{ f }}{% endfor %}
FROM landed AS l
WHERE l._unknown IS NOT NULL

-- name: places
-- Where each incoming key belongs now (for datasets whose rows may move between partitions).
{%- if partition %}
SELECT DISTINCT digest({{ key_text }}) AS key_digest, CAST(i.{{ partition.column }} AS VARCHAR) AS place
FROM incoming AS i
{%- endif %}

-- name: winners
-- Where the row of each incoming key lies after the merge: an older update that came late does not move it.
{%- if partition %}
SELECT DISTINCT digest({{ key_text }}) AS key_digest, CAST(i.{{ partition.column }} AS VARCHAR) AS place
FROM merged_rows AS i
WHERE EXISTS (SELECT 1 FROM incoming AS n WHERE {% for name in key %}n.{{ name }} = i.{{ name }}{{ ' AND ' if not loop.last }}{% endfor %})
{%- endif %}

-- name: counts
SELECT i._bronze_file, {% if partition %}CAST(i.{{ partition.column }} AS VARCHAR){% else %}''{% endif %} AS place, COUNT(*) AS row_count
FROM incoming AS i
GROUP BY i._bronze_file{% if partition %}, CAST(i.{{ partition.column }} AS VARCHAR){% endif %}

-- name: ordinals
-- The accepted records one by one: asked for only when some records of a file are judged again.
SELECT i._bronze_file, i._bronze_row, {% if partition %}CAST(i.{{ partition.column }} AS VARCHAR){% else %}''{% endif %} AS place
FROM incoming AS i

-- name: merged
-- One row per business key: the newest, ties by source sequence, drop digest, record. A record judged again replaces what an
-- earlier judgement of the same record left, so that a replay gives the same table.
WITH candidates AS (
  SELECT {{ columns | join(', ') }} FROM incoming
  UNION ALL
  SELECT {% for c in columns %}p.{{ c }}{{ ', ' if not loop.last }}{% endfor %}
  FROM present AS p
  WHERE NOT EXISTS (
    SELECT 1 FROM judged AS j WHERE j._bronze_file = p._bronze_file AND j._bronze_row = p._bronze_row
  )
), ranked AS (
  SELECT {{ columns | join(', ') }},
    ROW_NUMBER() OVER (
      PARTITION BY {{ dedup_key | join(', ') }}
      ORDER BY {% for c in order_by %}{{ c }} DESC NULLS LAST, {% endfor %}_bronze_file DESC, _bronze_row DESC
    ) AS place_in_line
  FROM candidates
)
SELECT {{ columns | join(', ') }}
FROM ranked
WHERE place_in_line = 1
