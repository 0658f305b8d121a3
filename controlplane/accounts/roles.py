"""The roles of the service. A person may hold several; a key holds one."""

from django.db import models


class Role(models.TextChoices):
    """What somebody is to the service. Views and endpoints name the roles they are open to; the default is deny."""

    OWNER = "owner", "Data product owner"
    STEWARD = "steward", "Data steward"
    ONCALL = "oncall", "On-call engineer"
    DPO = "dpo", "Data protection officer"
    AUDITOR = "auditor", "Auditor"
    PRODUCER = "producer", "Producer"
    ADMIN = "admin", "Administrator"
