"""Which node each pod runs on."""
