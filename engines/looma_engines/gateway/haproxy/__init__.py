"""HAProxy: its configuration from a `DataPlane`, the least change that leads to it, and what it says of itself."""
