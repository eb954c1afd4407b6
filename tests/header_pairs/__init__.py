"""compat on pairs of real kernel headers: what breaks between them, and why."""
