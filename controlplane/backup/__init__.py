"""Backup and restore of database, lake and keys together.

Low in the layers, so that whoever keeps something that must follow a restore can register it here (``registry``).
"""
