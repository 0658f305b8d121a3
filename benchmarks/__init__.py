"""Every performance figure that the project states, as a command: ``make bench``, ``make bench ONLY=kpi_refresh``."""
