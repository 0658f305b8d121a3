"""Plain Python of the pipeline: no Django, no database."""
