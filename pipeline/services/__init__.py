"""Writes of the pipeline, one module per stage.

``landing`` takes drops in · ``planning`` turns waiting work into runs · ``steps`` carries a step from ready to done ·
``silver`` and ``gold`` are what a step does · ``serving`` publishes to PostgreSQL · ``events`` tells the lineage ·
``operations`` is what people ask for (replay, backfill, reprocess, stop) · ``maintenance`` keeps the lake small.
"""
