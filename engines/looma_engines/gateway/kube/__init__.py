"""The gateway's side of the Kubernetes API: its objects, list and watch of them, and writes of status."""
