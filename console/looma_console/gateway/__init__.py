"""For ops: the map of services, live, from what all gateway pods see together."""
