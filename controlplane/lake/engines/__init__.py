"""The engines of the lake behind one interface (``base``)."""
